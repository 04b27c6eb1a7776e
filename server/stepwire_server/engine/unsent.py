"""Tokens that rows were given and nobody was told of yet.

Most rows ask for nothing but their tokens. Those are kept here, as arrays, until it is time
to tell: what a step costs does not grow with what is done for each token.
Shapes: C slots, M rows.
"""

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.filters import Tokens
from stepwire_server.engine.slots import Slots

MOST = 64  # of a row, before it must be told

_NONE = -1  # no token


class Unsent:
    """Tokens by slot, oldest first."""

    def __init__(self, capacity: int, end: int | None) -> None:
        self._end = _NONE if end is None else end
        self._tokens = np.zeros((capacity, MOST), np.int64)
        self._counts = np.zeros(capacity, np.int64)
        self._left = np.zeros(capacity, np.int64)  # tokens that a row may still take
        self._fullest = 0  # no row has more

    def allow(self, slots: Slots, most: NDArray[np.int64]) -> None:
        """Says how many tokens rows may take, [M]; those that they have here are among them."""
        self._left[slots] = most - self._counts[slots]

    def add(self, slots: Slots, tokens: Tokens) -> NDArray[np.bool_]:
        """Keeps a token of each row, unless it is the end.

        Args:
            slots: [M], none of them full.
            tokens: [M].

        Returns:
            [M], which rows have ended with it.
        """
        counts = self._counts[slots]
        self._tokens[slots, counts] = tokens
        kept = tokens != self._end
        self._counts[slots] = counts + kept
        left = self._left[slots] - 1
        self._left[slots] = left
        self._fullest += 1
        return ~kept | (left == 0)

    @property
    def is_full(self) -> bool:
        """Whether a row may have no room for one more."""
        return self._fullest >= MOST

    def take(self, slot: int) -> list[int]:
        """Gives what a row has, and forgets it."""
        tokens: list[int] = self._tokens[slot, : self._counts[slot]].tolist()
        self._counts[slot] = 0
        return tokens

    def take_all(self) -> list[tuple[int, list[int]]]:
        """Gives what every row has, by slot, and forgets it."""
        self._fullest = 0
        slots = np.flatnonzero(self._counts)
        counts = self._counts[slots].tolist()
        rows = self._tokens[slots].tolist()
        self._counts[slots] = 0
        return [
            (slot, row[:count])
            for slot, row, count in zip(slots.tolist(), rows, counts, strict=True)
        ]
