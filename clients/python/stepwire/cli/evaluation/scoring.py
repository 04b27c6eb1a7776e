"""What it takes to score a served model: a split, the calls, and the figures that come of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from stepwire.cli.lines import InputError
from stepwire.client import Client

EXAMPLES_PER_CALL = 128


class Measured(NamedTuple):
    """A figure, as it was found."""

    value: float
    counted: int  # texts, words, or whatever was counted

    @classmethod
    def mean(cls, total: float, counted: int) -> Self:
        """What each of so many adds to a total.

        Raises:
            InputError: there is none, as may happen in a small sample.
        """
        if not counted:
            raise InputError("examples must hold something to count, got none: take more of them")
        return cls(total / counted, counted)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a card, and how it comes of the answers."""

    metric: str  # its name in the card
    split: str  # and its split
    unit: str  # what is counted
    measure: Callable[[Sequence[Any], Sequence[Any]], Measured]  # of examples and their answers
    tolerance: float = 1e-3  # how far the card's may lie off: 0.1 points of a share


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One reading of some examples, and every figure that comes of it."""

    read: Callable[[], Sequence[Any]]  # the examples
    ask: Callable[[Client, str, Sequence[Any]], Sequence[Any]]  # an answer for each of a call's
    figures: tuple[Figure, ...]
    per_call: int = EXAMPLES_PER_CALL
