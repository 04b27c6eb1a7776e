"""A recurrent model that judges a text while it is read: a verdict after every token.

B rows, T positions, C labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stepwire_training.data.batches import PADDING
from stepwire_training.models.language_model import LanguageModel


class StreamClassifier(LanguageModel):
    """A language model that scores labels where others score the next token."""

    @dataclass(frozen=True, kw_only=True)
    class Config(LanguageModel.Config):
        """Shape and regularisation."""

        # How a text's positions share its loss: each counts by its place in the text, in
        # (0, 1], to this power. 0 asks everywhere alike, infinity at the end alone.
        lean: float = 0.0

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{super().architecture}, a verdict after each token"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "StreamClassifier":
            """A model with fresh weights."""
            del sources
            return StreamClassifier(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__(config, vocabulary, labels)
        self.lean = config.lean

    def begin_from(self, vectors: Tensor) -> None:
        """Puts word vectors [V, E] into the embedding."""
        self.embedding.weight.data.copy_(vectors)

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """What an update brings down; every text counts alike, however long.

        Args:
            outputs: logits [B, T, C].
            targets: int64 [B, T], each row's label where it is asked for, at least once.
            smoothing: share of each target that all labels have in common.

        Returns:
            A scalar.
        """
        each = functional.cross_entropy(
            outputs.float().flatten(0, 1),
            targets.flatten(),
            label_smoothing=smoothing,
            reduction="none",
        )
        return (each.view_as(targets) * shares(targets != PADDING, self.lean)).sum(dim=1).mean()


def shares(asked: Tensor, lean: float) -> Tensor:
    """How much each position of a text counts.

    Args:
        asked: bool [B, T], at least once a row.
        lean: power of a position's place among those of its row.

    Returns:
        [B, T], a sum of 1 a row, zero where nothing is asked.
    """
    places = asked.cumsum(dim=1) / asked.sum(dim=1, keepdim=True)  # the last has 1
    weights = torch.where(asked, places**lean, 0.0)
    return weights / weights.sum(dim=1, keepdim=True)
