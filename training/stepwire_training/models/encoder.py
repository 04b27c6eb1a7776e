"""Two stacks of recurrent layers, one reading a text from its beginning and one from its end.

B rows, T positions, H hidden units of one direction.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.dropout import LockedDropout, TokenDropout
from stepwire_training.models.recurrent import Cell, RecurrentLayer


class Encoder(nn.Module):
    """Reads texts both ways.

    The stacks meet only above their last layer, as in ELMo (Peters et al., 2018): a layer
    then reads H features instead of 2H, a third less to compute.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        layers: int
        hidden: int  # units of each direction
        embedding: int
        token_dropout: float = 0.0  # share of positions hidden from the model
        embedding_dropout: float = 0.0  # one mask per row
        layer_dropout: float = 0.0  # between layers, one mask per row
        weight_dropout: float = 0.0  # on recurrent weights, one mask per batch
        cell: Cell = "lstm"

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.forwards = self._stack()
        self.backwards = self._stack()
        self.hide = TokenDropout(config.token_dropout)
        self.after_embedding = LockedDropout(config.embedding_dropout)
        self.between = LockedDropout(config.layer_dropout)

    def _stack(self) -> nn.ModuleList:
        config = self.config
        widths = [config.embedding] + [config.hidden] * (config.layers - 1)
        return nn.ModuleList(
            RecurrentLayer(config.cell, width, config.hidden, config.weight_dropout)
            for width in widths
        )

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Reads whole texts.

        Args:
            tokens: int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.

        Returns:
            What each direction knows at each position, itself included: [B, T, H] twice.
        """
        turned = backwards_index(lengths, tokens.shape[1])  # [B, T]
        x = self.after_embedding(self.hide(self.embedding(tokens)))  # [B, T, E]
        ahead = self._run(self.forwards, x)
        back = self._run(self.backwards, reorder(x, turned))
        return ahead, reorder(back, turned)

    def _run(self, stack: nn.ModuleList, x: Tensor) -> Tensor:
        for index, layer in enumerate(recurrent(stack)):
            x = self.between(x) if index else x
            x, _ = layer(x, layer.start(len(x)))
        return x


def recurrent(stack: nn.ModuleList) -> list[RecurrentLayer]:
    """A stack's layers, in the order they read."""
    return [layer for layer in stack if isinstance(layer, RecurrentLayer)]


def backwards_index(lengths: Tensor, positions: int) -> Tensor:
    """Where each position of a row lies when its text is read from the end.

    Padding stays behind the text in both directions, so it can change neither, and the
    fused kernel needs no packed sequences (which it does not take).

    Args:
        lengths: int64 [B].
        positions: T.

    Returns:
        int64 [B, T].
    """
    forward = torch.arange(positions).expand(len(lengths), positions)
    mirrored = lengths.unsqueeze(1) - 1 - forward
    return torch.where(mirrored >= 0, mirrored, forward)


def reorder(x: Tensor, index: Tensor) -> Tensor:
    """Takes positions in another order; x [B, T, H], index [B, T], result [B, T, H]."""
    return x.gather(1, index.unsqueeze(2).expand_as(x))
