"""Tokens that rows were given and nobody was told of yet.

Most rows ask for nothing but their tokens. Those are kept here, as arrays, until it is time
to tell: what a step costs does not grow with what is done for each token.
Shapes: C slots, M rows.
"""

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.filters import Tokens
from stepwire_server.engine.slots import Slots

MOST = 64  # steps between two tellings

_NOWHERE = MOST + 1
_NEVER = np.iinfo(np.int64).max


class Unsent:
    """Tokens by slot, oldest first. The rows of one step are `settle`d before it."""

    def __init__(self, capacity: int, end: int | None) -> None:
        self._end = end
        self._tokens = np.zeros((MOST, capacity), np.int64)
        self._kept = 0  # steps whose tokens are here
        self._since = np.full(capacity, _NOWHERE)  # the first of them that is a row's own
        self._steps = 0  # all that were ever taken
        self._last = np.zeros(capacity, np.int64)  # the step with which a row has all it may take
        self._next_end = 0  # no row ends by length before this step
        self._slots: Slots = np.empty(0, np.int64)
        self._where: Slots | slice = self._slots

    def settle(self, slots: Slots, left: NDArray[np.int64]) -> None:
        """Says which rows get a token in each step from now on.

        Args:
            slots: [M], ascending.
            left: [M], tokens that each may take, beside those that are here.
        """
        self._slots = slots
        crowded = len(slots) > 0 and slots[-1] == len(slots) - 1
        self._where = slice(0, len(slots)) if crowded else slots  # a view where it can be one
        self._since[slots] = np.minimum(self._since[slots], self._kept)
        self._last[slots] = self._steps + left
        self._next_end = int(self._last[slots].min()) if len(slots) else _NEVER

    def add(self, tokens: Tokens) -> NDArray[np.int64]:
        """Keeps the tokens of a step, [M].

        Returns:
            Places of the rows that have ended with theirs.
        """
        self._tokens[self._kept, self._where] = tokens
        self._kept += 1
        self._steps += 1
        full = self._steps >= self._next_end
        ended = self._last[self._slots] <= self._steps if full else np.zeros(len(tokens), bool)
        if self._end is not None:
            ended |= tokens == self._end
        elif not full:
            return _NO_PLACES
        return np.flatnonzero(ended)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another step."""
        return self._kept >= MOST

    def waiting(self, slot: int) -> int:
        """How many tokens of a row are here."""
        return max(0, self._kept - int(self._since[slot]))

    def take(self, slot: int) -> list[int]:
        """Gives what a row has, and forgets it."""
        tokens: list[int] = self._tokens[self._since[slot] : self._kept, slot].tolist()
        self._since[slot] = _NOWHERE
        return tokens

    def take_all(self) -> list[tuple[int, list[int]]]:
        """Gives what every row has, by slot, and forgets it."""
        slots = np.flatnonzero(self._since < self._kept)
        columns = self._tokens[: self._kept, slots].T.tolist()
        firsts = self._since[slots].tolist()
        self._kept = 0
        self._since[self._since < _NOWHERE] = 0
        told = zip(slots.tolist(), columns, firsts, strict=True)
        return [(slot, column[first:] if first else column) for slot, column, first in told]


_NO_PLACES = np.empty(0, np.int64)
