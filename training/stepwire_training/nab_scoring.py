"""The Numenta Anomaly Benchmark's way to score detectors of anomalies in streams.

As Lavin and Ahmad describe it (Evaluating Real-time Anomaly Detection Algorithms, 2015),
with the weights of their standard profile. A detector gives every row of a stream a
score, and rows from one threshold up are alarms. An alarm inside a labelled window earns
the more the earlier it comes, only the best of a window counts, and a window without one
costs a whole point; an alarm outside costs a little, less so close behind a window. The
sum is scaled so that 0 is silence and 100 is every window found in its first row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FALSE_ALARM = 0.11  # the standard profile's weight; a window found or missed weighs 1
PROBATION_SHARE = 0.15  # of a stream's rows, in which nothing counts
PROBATION_ROWS_OF = 5000  # longest stream whose share grows
FAR = 3.0  # window widths behind a window; from there on, or before any, an alarm costs all

OUTSIDE = -1  # the window of a row in none

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """What is known of one stream."""

    rows: int
    windows: tuple[tuple[int, int], ...]  # first and last row of each, in order

    @property
    def probation(self) -> int:
        """Rows at the start that do not count, which a detector learns from."""
        return int(PROBATION_SHARE * min(self.rows, PROBATION_ROWS_OF))


@dataclass(frozen=True)
class Alarms:
    """Rows of several streams that count, the strangest first."""

    scores: Floats  # [M] descending
    gains: Floats  # [M] what an alarm there earns, or costs
    windows: Numbers  # [M] counted over all streams, or OUTSIDE
    count: int  # windows

    def totals(self) -> Floats:
        """What alarms up to each row earn together, windows still missed included: [M]."""
        earned = np.where(self.windows == OUTSIDE, self.gains, 0.0)
        best = np.full(self.count, -1.0)  # a window that is missed costs a whole point
        for place in np.flatnonzero(self.windows != OUTSIDE):
            window = self.windows[place]
            earned[place] = max(0.0, self.gains[place] - best[window])
            best[window] += earned[place]
        return np.cumsum(earned) - self.count


def gains_of(labels: Labels) -> tuple[Floats, Numbers]:
    """What an alarm in each row of a stream earns [T], and the window it lies in [T]."""
    gains = np.full(labels.rows, -FALSE_ALARM)
    windows = np.full(labels.rows, OUTSIDE)
    for number, (first, last) in enumerate(labels.windows):
        width = last - first + 1
        inside = np.arange(first, last + 1)
        gains[inside] = _sigmoid(-(last - inside + 1) / width) / _sigmoid(-1.0)
        windows[inside] = number
        behind = np.arange(last + 1, labels.rows)
        distance = (behind - last) / max(1, width - 1)
        gains[behind] = FALSE_ALARM * np.where(distance < FAR, _sigmoid(distance), -1.0)
    return gains, windows


def alarms(streams: Sequence[tuple[Labels, Floats]]) -> Alarms:
    """The rows of several streams that count.

    Args:
        streams: the labels of each and its scores, [T].
    """
    parts: list[list[NDArray[Any]]] = []
    count = 0
    for labels, scores in streams:
        gains, windows = gains_of(labels)
        numbered = np.where(windows == OUTSIDE, OUTSIDE, windows + count)
        parts.append([part[labels.probation :] for part in (scores, gains, numbered)])
        count += len(labels.windows)
    scored, gained, within = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(-scored, kind="stable")
    return Alarms(scored[order], gained[order], within[order], count)


def best_threshold(rows: Alarms) -> float:
    """The threshold that earns most, which is how the benchmark sets it."""
    totals = rows.totals()
    last = np.append(rows.scores[1:] != rows.scores[:-1], True)  # of those that score the same
    places = np.flatnonzero(last)
    place = places[totals[places].argmax()]
    # Alarms are rows of this score and above; silence may be better than any.
    return float(rows.scores[place]) if totals[place] > -rows.count else float("inf")


def scaled(rows: Alarms, threshold: float) -> float:
    """The benchmark's score of all streams together: 0 for silence, 100 for perfection."""
    raised = int((rows.scores >= threshold).sum())
    total = rows.totals()[raised - 1] if raised else -float(rows.count)
    # Silence is at minus one point a window, perfection at plus one.
    return 100.0 * (total + rows.count) / (2.0 * rows.count)


def sliding_z(values: Floats, rows: int) -> Floats:
    """The simplest detector: how many deviations a value lies off its predecessors' mean.

    Args:
        values: [T].
        rows: how many values before it are looked at, at most.

    Returns:
        [T], 0 where nothing varied before.
    """
    wide = values - values.mean()  # sums of squares of large numbers would lose the deviation
    sums = np.concatenate([[0.0], np.cumsum(wide)])
    squares = np.concatenate([[0.0], np.cumsum(wide**2)])
    ends = np.arange(len(values))
    starts = np.maximum(0, ends - rows)
    counts = np.maximum(1, ends - starts)
    means = (sums[ends] - sums[starts]) / counts
    variances = (squares[ends] - squares[starts]) / counts - means**2
    deviations = np.sqrt(np.maximum(variances, 0.0))
    least = 1e-6 * max(1e-6, float(np.abs(wide).max()))
    varied = deviations > least
    return np.where(varied, np.abs(wide - means) / np.where(varied, deviations, 1.0), 0.0)


def _sigmoid(position: Floats | float) -> Floats | float:
    """From 1 far before a window's end to -1 far behind it."""
    return 2.0 / (1.0 + np.exp(5.0 * np.asarray(position))) - 1.0
