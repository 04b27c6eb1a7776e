"""A recurrent layer that reads a text once, from its beginning, and judges by what is left.

B rows, T positions, E values of an embedding, H hidden units.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from stepwire_training.models.encoder import recurrent
from stepwire_training.models.recurrent import Cell, RecurrentLayer
from stepwire_training.models.text_classifier import TextClassifier, at_end
from stepwire_training.models.wording import layers


class OneWay(TextClassifier):
    """The plainest recurrent classifier: the state behind the last token is all it goes by."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TextClassifier.Config):
        """Shape and regularisation."""

        cell: Cell
        hidden: int
        weight_dropout: float = 0.0  # on recurrent weights, one mask per batch

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{layers(1, self.cell, self.hidden)}, judged by its last state"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "OneWay":
            """A model with fresh weights."""
            del sources
            return OneWay(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__(config, vocabulary, (config.hidden, labels))
        layer = RecurrentLayer(config.cell, config.embedding, config.hidden, config.weight_dropout)
        self.layers = nn.ModuleList([layer])

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The state at the end of each text: x [B, T, E] to [B, H]."""
        for layer in recurrent(self.layers):
            x, _ = layer(x, layer.start(len(x)))
        return at_end(x, lengths)
