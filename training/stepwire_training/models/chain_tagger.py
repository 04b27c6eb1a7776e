"""A tagger whose tags depend on one another: the field of chain.py above the layers of tagger.py.

B rows, T positions, L labels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stepwire_training.data.batches import PADDING
from stepwire_training.models.chain import Chain
from stepwire_training.models.tagger import Tagger


class ChainTagger(Tagger):
    """Scores the labels of every word, and how well they go together."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Tagger.Config):
        """Shape and regularisation."""

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{super().architecture}, a CRF over the tags"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "ChainTagger":
            """A model with fresh weights; `sources` are the known characters."""
            return ChainTagger(self, vocabulary, labels, sources)

    def __init__(self, config: Config, vocabulary: int, labels: int, characters: int) -> None:
        super().__init__(config, vocabulary, labels, characters)
        self.chain = Chain(labels)

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of the words of all sentences; there is nothing to smooth.

        Args:
            outputs: logits [B, T, L].
            targets: int64 [B, T], PADDING behind each sentence.
            smoothing: must be 0.
        """
        assert smoothing == 0.0, "the tags of a chain are not smoothed"
        nats = self.chain.nats(outputs.float(), targets.clamp(min=0), lengths_of(targets))
        return nats.sum() / (targets != PADDING).sum()

    def tally(self, outputs: Any, targets: Tensor) -> Tensor:
        """Sums over all words: nats, hits of the likeliest sequences, and how many: float64 [3]."""
        logits, lengths = outputs.float(), lengths_of(targets)
        nats = self.chain.nats(logits, targets.clamp(min=0), lengths).sum().double()
        hits = sum(
            int((torch.tensor(tags) == wanted[:length]).sum())
            for tags, wanted, length in zip(
                self.likeliest(logits, lengths), targets, lengths.tolist(), strict=True
            )
        )
        return torch.stack([nats, torch.tensor(float(hits)).double(), lengths.sum().double()])

    def likeliest(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """The likeliest sequences of tags of sentences, logits [B, T, L]."""
        return [
            self.chain.best(row[:length])
            for row, length in zip(logits, lengths.tolist(), strict=True)
        ]


def lengths_of(targets: Tensor) -> Tensor:
    """Of sentences of which every word has a target, int64 [B]."""
    return (targets != PADDING).sum(dim=1)
