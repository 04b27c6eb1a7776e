"""What is known of a series beside its batches.

F columns, H rows ahead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]  # [n, F]
Span = tuple[int, int]  # the first row, and the row behind the last


@dataclass(frozen=True)
class Labelled:
    """A stream, and where people found it strange."""

    name: str
    rows: Rows  # [n, 1]
    windows: tuple[tuple[int, int], ...]  # first and last row of each


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a forecaster must know of its series, and what its figures are measured on."""

    columns: tuple[str, ...]
    horizon: int  # rows ahead that are predicted, H
    means: Rows  # [F] of the training split
    scales: Rows  # [F] its standard deviations
    season: int = 1  # rows after which the series is much the same again
    rows: Rows | None = None  # the whole series, where forecasts are measured
    held_out: Span = (0, 0)  # the rows of it whose forecasts are measured
    learned: tuple[Labelled, ...] = ()  # streams that choose the threshold of alarms
    unseen: tuple[Labelled, ...] = ()  # streams whose alarms are measured
