"""A bidirectional LSTM that judges a whole text.

B rows, T positions, H hidden units of one direction, C labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.dropout import LockedDropout, TokenDropout
from stepwire_training.models.network import Network, State
from stepwire_training.models.recurrent import RecurrentLayer


class Classifier(Network):
    """Reads a text both ways, pools over its positions, scores the labels."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        layers: int
        hidden: int  # units of each direction
        embedding: int
        token_dropout: float = 0.0  # share of positions hidden from the model
        embedding_dropout: float = 0.0  # one mask per row
        layer_dropout: float = 0.0  # between layers, one mask per row
        output_dropout: float = 0.0  # on the pooled features
        weight_dropout: float = 0.0  # on recurrent weights, one mask per batch

        def build(self, vocabulary: int, labels: int) -> "Classifier":
            """A model with fresh weights."""
            return Classifier(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        widths = [config.embedding] + [2 * config.hidden] * (config.layers - 1)
        self.forwards = nn.ModuleList(self._layer(width) for width in widths)
        self.backwards = nn.ModuleList(self._layer(width) for width in widths)
        self.hide = TokenDropout(config.token_dropout)
        self.after_embedding = LockedDropout(config.embedding_dropout)
        self.between = LockedDropout(config.layer_dropout)
        self.before_output = nn.Dropout(config.output_dropout)
        self.output = nn.Linear(4 * config.hidden, labels)

    def _layer(self, width: int) -> RecurrentLayer:
        return RecurrentLayer("lstm", width, self.config.hidden, self.config.weight_dropout)

    def start(self, rows: int) -> State:
        """A text is judged whole: there is no state to carry."""
        del rows
        return ()

    def forward(self, tokens: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores the labels of whole texts.

        Args:
            tokens: int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, C], and the empty state.
        """
        turned = backwards_index(lengths, tokens.shape[1])  # [B, T]
        x = self.after_embedding(self.hide(self.embedding(tokens)))  # [B, T, E]
        for index in range(self.config.layers):
            x = self.between(x) if index else x
            forwards, backwards = self.directions(index)
            ahead, _ = forwards(x, forwards.start(len(x)))
            back, _ = backwards(reorder(x, turned), backwards.start(len(x)))
            x = torch.cat([ahead, reorder(back, turned)], dim=2)  # [B, T, 2H]
        return self.output(self.before_output(pool(x, lengths))), state

    def directions(self, index: int) -> list[RecurrentLayer]:
        """The forward and the backward half of a layer."""
        pair = (self.forwards[index], self.backwards[index])
        return [layer for layer in pair if isinstance(layer, RecurrentLayer)]


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


def pool(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum over the positions of the text alone.

    Args:
        x: [B, T, 2H].
        lengths: int64 [B].

    Returns:
        [B, 4H]: the means, then the maxima.
    """
    inside = (torch.arange(x.shape[1]) < lengths.unsqueeze(1)).unsqueeze(2)  # [B, T, 1]
    mean = torch.where(inside, x, 0.0).sum(dim=1) / lengths.unsqueeze(1).to(x.dtype)
    # A tanh-bounded output never falls to -1, so padding never wins.
    maximum = torch.where(inside, x, -1.0).amax(dim=1)
    return torch.cat([mean, maximum], dim=1)
