"""A tagger that reads one way: what it says of a word waits for no other.

B rows, T positions, C characters of a word, N layers, H hidden units, L labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.network import State
from stepwire_training.models.recurrent import RecurrentLayer
from stepwire_training.models.tagger import Tagger
from stepwire_training.models.wording import layers


class StreamTagger(Tagger):
    """Scores the labels of every word by the words up to it."""

    directions = 1

    @dataclass(frozen=True, kw_only=True)
    class Config(Tagger.Config):
        """Shape and regularisation."""

        def __post_init__(self) -> None:
            if self.pairs:
                raise ValueError(f"pairs must be 0: the word behind is not known, got {self.pairs}")

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{layers(self.layers, 'lstm', self.hidden)} over {self.read}"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "StreamTagger":
            """A model with fresh weights; `sources` are the known characters."""
            return StreamTagger(self, vocabulary, labels, sources)

    def layer(self, inputs: int) -> nn.Module:
        """A layer that reads ahead."""
        return RecurrentLayer("lstm", inputs, self.config.hidden, self.config.weight_dropout)

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, in the order they read."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def start(self, rows: int) -> State:
        """The state before any word: [B, N, H] each."""
        parts = zip(*(layer.start(rows) for layer in self.recurrent_layers()), strict=True)
        return tuple(torch.stack(part, dim=1) for part in parts)

    def forward(
        self, tokens: Tensor, characters: Tensor, lengths: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Scores the labels of every word.

        Args:
            tokens: the words, int64 [B, T].
            characters: their characters, int64 [B, T, C], padded behind each word.
            lengths: int64 [B]; what stands behind them is read like any word, and nobody asks.
            state: [B, N, H] each.

        Returns:
            Logits [B, T, L], and the state after the last position, [B, N, H] each.
        """
        x = self.before_layers(self.features(tokens, characters, lengths))
        ends: list[State] = []
        for index, layer in enumerate(self.recurrent_layers()):
            x = self.between(x) if index else x
            x, end = layer(x, tuple(part[:, index] for part in state))
            ends.append(end)
        logits = self.output(self.before_output(x))
        return logits, tuple(torch.stack(part, dim=1) for part in zip(*ends, strict=True))
