"""A recurrent language model: embedding, a stack of layers, a score for every next token.

B rows, T positions, L layers, H hidden units, V tokens.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.models.adaptive import AdaptiveWords
from stepwire_training.models.dropout import LockedDropout, TokenDropout
from stepwire_training.models.network import Network, State
from stepwire_training.models.normalised_lstm import NormalisedLayer
from stepwire_training.models.recurrent import Cell, RecurrentLayer
from stepwire_training.models.wording import layers

Layer = RecurrentLayer | NormalisedLayer


class LanguageModel(Network):
    """Reads tokens and scores the token after each."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        cell: Cell | Literal["ln-lstm"]
        layers: int
        hidden: int
        embedding: int
        token_dropout: float = 0.0  # share of positions hidden from the model
        embedding_dropout: float = 0.0  # on what a token is read as, one mask per row
        layer_dropout: float = 0.0  # between layers
        output_dropout: float = 0.0  # before the scores
        weight_dropout: float = 0.0  # on recurrent weights, one mask per chunk
        locked: bool = False  # whether a row keeps its masks for a whole chunk (variational)
        longest: int = 0  # steps that memories of LSTM cells begin with, if they are to differ
        tied: bool = False  # whether a token is scored by what it is read as; both of one size
        # Where rarer words begin, if they are read and scored by narrower vectors; see adaptive.
        cuts: tuple[int, ...] = ()
        # Two tokens that the loss asks about once more, which of them comes: see `_apart`.
        told_apart: tuple[int, int] | None = None
        shows_memory: bool = False  # whether a step tells tanh of the memory of LSTM cells

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return layers(self.layers, self.cell, self.hidden)

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "LanguageModel":
            """A model with fresh weights; every token of the vocabulary is also a label."""
            del labels, sources
            return LanguageModel(self, vocabulary, vocabulary)

    def __init__(self, config: Config, vocabulary: int, scores: int) -> None:
        """Begins with fresh weights; `scores` is how many there are after each token."""
        super().__init__()
        self.config = config
        self.vocabulary = scores
        if not config.cuts:
            self.embedding = nn.Embedding(vocabulary, config.embedding)
        widths = [config.embedding] + [config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(
            NormalisedLayer(width, config.hidden, config.weight_dropout)
            if config.cell == "ln-lstm"
            else RecurrentLayer(config.cell, width, config.hidden, config.weight_dropout)
            for width in widths
        )
        for layer in self.layers if config.longest else ():
            assert isinstance(layer, RecurrentLayer), "a memory is spread by the gates of an LSTM"
            layer.remember(config.longest)
        self.hide: nn.Module = TokenDropout(config.token_dropout)
        if config.embedding_dropout:
            self.hide = nn.Sequential(self.hide, LockedDropout(config.embedding_dropout))
        dropout = LockedDropout if config.locked else nn.Dropout
        self.between = dropout(config.layer_dropout)
        self.before_output = dropout(config.output_dropout)
        self.words: AdaptiveWords | None = None
        if config.cuts:
            self.words = AdaptiveWords(vocabulary, config.embedding, config.cuts)
            return
        self.output = nn.Linear(config.hidden, scores)
        if config.tied:
            self.output.weight = self.embedding.weight
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def start(self, rows: int) -> State:
        """The state before any token: [B, L, H] each."""
        parts = zip(*(layer.start(rows) for layer in self.recurrent_layers()), strict=True)
        return tuple(torch.stack(part, dim=1) for part in parts)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores every next token.

        Args:
            tokens: int64 [B, T].
            state: [B, L, H] each.

        Returns:
            Logits [B, T, V], and the state after the last token, [B, L, H] each. While a model
            learns rare words by narrower vectors it gives what they are scored by, [B, T, H]:
            the loss needs few scores of each place.
        """
        x, state = self.read(tokens, state)
        return (x if self.words and self.training else self.scores(x)), state

    def read(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """What the last layer says after each token, [B, T, H], and the state after the last."""
        embedded = self.words.read if self.words else self.embedding
        x = self.hide(embedded(tokens))  # [B, T, E]
        ends: list[State] = []
        for index, layer in enumerate(self.recurrent_layers()):
            x = self.between(x) if index else x
            x, end = layer(x, tuple(part[:, index] for part in state))
            ends.append(end)
        state = tuple(torch.stack(part, dim=1) for part in zip(*ends, strict=True))
        return self.before_output(x), state

    def scores(self, x: Tensor) -> Tensor:
        """Logits [B, T, V] from what the last layer says, [B, T, H]."""
        logits: Tensor = self.words.scores(x) if self.words else self.output(x)
        return logits

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of the targets; see `Network.loss`."""
        if self.words is None:
            nats = super().loss(outputs, targets, smoothing)
            return nats + self._apart(outputs, targets) if self.config.told_apart else nats
        assert not smoothing, "labels that are scored by classes cannot be smoothed"
        return self.words.nats(outputs.flatten(0, 1), targets.flatten()).mean()

    def _apart(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats of telling two tokens apart, over the places where one of them comes.

        What tells them apart may pay so little in the nats of all tokens that it drowns in their
        noise. Where the wanted answer is one of both, this asks for it alone; a model whose
        probabilities are right loses nothing by it.
        """
        pair = torch.tensor(self.config.told_apart)
        among = torch.isin(targets, pair)
        scores = outputs.float()[..., pair][among]  # [N, 2]
        first = (targets[among] == pair[0]).float()
        odds = scores[:, 0] - scores[:, 1]
        missed = functional.binary_cross_entropy_with_logits(odds, first, reduction="sum")
        return missed / max(1, len(first))

    def recurrent_layers(self) -> list[Layer]:
        """The layers, in the order they read."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]
