"""What was measured, round by round, and what the rounds say together.

Rounds interleave the servers, so that a machine which slows down for a while slows all of
them: ratios are formed within a round, and their median is the figure.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Case(NamedTuple):
    """One thing that is measured in every round."""

    section: str  # as the suite names it
    load: str  # how much at once, in words: "128 streams"
    subject: str  # what was measured: ours, a naive variant, the raw loop


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A figure over all rounds."""

    median: float
    lowest: float
    highest: float


class Ledger:
    """Every measured value, by case and quantity, in the order of the rounds."""

    def __init__(self) -> None:
        self._values: dict[Case, dict[str, list[float]]] = {}

    def __iter__(self) -> Iterator[tuple[Case, dict[str, list[float]]]]:
        """All cases in the order in which they were first measured."""
        return iter(self._values.items())

    def add(self, case: Case, values: dict[str, float]) -> None:
        """Writes down one round of one case."""
        kept = self._values.setdefault(case, {})
        for quantity, value in values.items():
            kept.setdefault(quantity, []).append(value)

    def has(self, case: Case) -> bool:
        """Whether a case was measured."""
        return case in self._values

    def quantities(self, case: Case) -> list[str]:
        """What was measured of a case."""
        return list(self._values[case])

    def rounds(self, case: Case, quantity: str) -> list[float]:
        """The values of all rounds."""
        return self._values[case][quantity]

    def ratio(self, ours: Case, theirs: Case, quantity: str) -> Spread:
        """Divides round by round."""
        pairs = zip(self.rounds(ours, quantity), self.rounds(theirs, quantity), strict=True)
        return spread([a / b for a, b in pairs])

    def better(self, cases: Sequence[Case], quantity: str, *, highest: bool) -> Case:
        """The case whose median is best."""
        choose = max if highest else min
        return choose(cases, key=lambda case: spread(self.rounds(case, quantity)).median)


def spread(values: Sequence[float]) -> Spread:
    """Sums up the rounds of one figure."""
    return Spread(median=statistics.median(values), lowest=min(values), highest=max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1]
