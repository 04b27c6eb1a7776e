"""Labelled texts whose label is asked for while they are read.

B rows, T positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from stepwire_training.data.batches import PADDING, Batch, Batches, Dataset, Shard

QUARTERS = (0.25, 0.5, 0.75, 1.0)


class Texts(Protocol):
    """Names labelled texts."""

    def load(self) -> Dataset:
        """Reads them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Along:
    """Texts that teach at every token and are judged at the quarters of their length."""

    texts: Texts

    def load(self) -> Dataset:
        """Reads the texts; the test split is asked at their ends."""
        dataset = self.texts.load()
        return replace(
            dataset,
            train=AskedAlong(dataset.train),
            dev=AskedAlong(dataset.dev, QUARTERS),
            test=AskedAlong(dataset.test, (1.0,)),
        )


class AskedAlong:
    """Batches of texts, with their labels as targets of some or all positions."""

    def __init__(self, texts: Batches, after: Sequence[float] = ()) -> None:
        """Asks for labels along the way.

        Args:
            texts: batches of whole texts, padded.
            after: shares of a text's tokens, in (0, 1], rounded up; none asks after every token.
        """
        self._texts, self._after = texts, tuple(after)

    def __len__(self) -> int:
        return len(self._texts)

    def asked(self, after: float) -> "AskedAlong":
        """The same texts, asked after one share of their tokens."""
        return AskedAlong(self._texts, (after,))

    def batch(self, step: int, shard: Shard) -> Batch:
        """Texts of a step: tokens int64 [B / world, T], targets alike, PADDING if not asked."""
        (tokens, lengths), labels, fresh = self._texts.batch(step, shard)
        asked = self._asked(lengths, tokens.shape[1])
        return Batch((tokens,), torch.where(asked, labels.unsqueeze(1), PADDING), fresh)

    def _asked(self, lengths: Tensor, positions: int) -> Tensor:
        """Where labels are asked for: bool [B, T]."""
        position = torch.arange(1, positions + 1)  # how many tokens are read by then
        if not self._after:
            return position <= lengths.unsqueeze(1)
        read = torch.tensor(self._after, dtype=torch.float64) * lengths.unsqueeze(1)  # [B, shares]
        return (position == read.ceil().unsqueeze(2)).any(dim=1)
