"""Series of real values, cut into windows to learn from and streams to measure.

B rows, T positions, F columns, H rows ahead. The targets of a position are what the next
H rows hold, [H, F]; NaN where they count for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stepwire_training.data.batches import Batch, Shard
from stepwire_training.data.observed import Rows, Span


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How windows are cut."""

    rows: int  # windows in a batch, B
    length: int  # positions of a window, T
    skip: int  # of them only read, before predictions count
    horizon: int  # H


class Windows:
    """Windows drawn at random from some series, each read from an empty state."""

    def __init__(self, series: Sequence[Rows], cut: Cut, seed: int) -> None:
        """Keeps the series, [n, F] each; the seed draws the windows of every step."""
        self._series, self._cut, self._seed = series, cut, seed
        room = np.array([len(rows) - cut.length - cut.horizon + 1 for rows in series])
        if room.min() < 1:
            raise ValueError(f"a series is shorter than {cut.length + cut.horizon} rows")
        self._ends = np.cumsum(room)  # of the places that windows may begin at, series by series

    def __len__(self) -> int:
        return max(1, int(self._ends[-1]) // (self._cut.rows * self._cut.length))

    def batch(self, step: int, shard: Shard) -> Batch:
        """Windows of a step: features [B / world, T, F] and targets [B / world, T, H, F]."""
        cut, rng = self._cut, np.random.default_rng([self._seed, step])
        drawn = rng.integers(self._ends[-1], size=cut.rows)[shard.rank :: shard.world]
        numbers = np.searchsorted(self._ends, drawn, side="right")
        starts = drawn - np.concatenate([[0], self._ends])[numbers]
        positions = np.arange(cut.length)
        features = [
            self._series[number][start + positions]
            for number, start in zip(numbers, starts, strict=True)
        ]
        targets = [
            ahead(self._series[number], start + positions, cut.horizon)
            for number, start in zip(numbers, starts, strict=True)
        ]
        wanted = torch.from_numpy(np.stack(targets))
        wanted[:, : cut.skip] = torch.nan
        return Batch((torch.from_numpy(np.stack(features)),), wanted, fresh=True)


class Streams:
    """Series read from their first row on, one after another, in chunks that carry the state."""

    CHUNK = 1024  # positions of a batch

    def __init__(self, series: Sequence[Rows], spans: Sequence[Span], horizon: int) -> None:
        """Keeps the series, [n, F] each.

        Args:
            series: what is read.
            spans: the rows of each whose predictions count; what is before is only read.
            horizon: H; all of them must lie within the span.
        """
        self._series, self._spans, self._horizon = series, spans, horizon
        self._chunks = [
            (number, first)
            for number, (_, end) in enumerate(spans)
            for first in range(0, end - horizon, self.CHUNK)
        ]

    def __len__(self) -> int:
        return len(self._chunks)

    def batch(self, step: int, shard: Shard) -> Batch:
        """A chunk: features [1, T, F] and targets [1, T, H, F]."""
        del shard  # measuring is the work of one process
        number, first = self._chunks[step % len(self._chunks)]
        rows, (begin, end) = self._series[number], self._spans[number]
        positions = np.arange(first, min(first + self.CHUNK, end - self._horizon))
        targets = ahead(rows, positions, self._horizon)
        targets[positions + 1 < begin] = np.nan
        features = torch.from_numpy(rows[positions])
        return Batch((features[None],), torch.from_numpy(targets)[None], fresh=first == 0)


def ahead(rows: Rows, positions: NDArray[np.int64], horizon: int) -> Rows:
    """The rows behind each position: [T, H, F]."""
    return rows[positions[:, None] + np.arange(1, horizon + 1)]
