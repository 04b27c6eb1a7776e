"""Fixed memory for the recurrent states that rows bring into a batch.

Shapes: N rows in this step, C capacity, * the state's own shape.
"""

import heapq
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]
Slots = NDArray[np.int64]


class SlotPool:
    """One array for each state tensor, [C, *]; a slot is a row index into all of them.

    Nothing is allocated after construction, so memory use is known at load time. The
    lowest free slot is taken first: rows that begin together crowd at the front, where a step
    can read them in place.
    """

    def __init__(self, capacity: int, start: State) -> None:
        """Makes a pool.

        Args:
            capacity: C.
            start: the state of a row that begins, [*] for each name.
        """
        self._start = start
        self._rows: State = {
            name: np.zeros((capacity, *value.shape), value.dtype) for name, value in start.items()
        }
        self._free = list(range(capacity))

    @property
    def free(self) -> int:
        """Slots that can still be acquired."""
        return len(self._free)

    def acquire(self, state: State | None = None) -> int:
        """Takes a slot and writes a state, [*] for each name, or the start into it."""
        slot = self.take()
        for name, value in (state or self._start).items():
            self._rows[name][slot] = value
        return slot

    def take(self) -> int:
        """Takes a slot and writes nothing: `write` will."""
        return heapq.heappop(self._free)

    def write(self, slots: Slots, states: State) -> None:
        """Writes states, [N, *] for each name, into slots that were taken."""
        for name, rows in self._rows.items():
            rows[slots] = states[name]

    def release(self, slot: int) -> None:
        """Gives the slot back."""
        heapq.heappush(self._free, slot)

    def read(self, slot: int) -> State:
        """Copies the state of one row, [*] for each name."""
        return {name: rows[slot].copy() for name, rows in self._rows.items()}

    def move(self, slots: Slots, origins: Slots) -> None:
        """Copies the state of each of `origins` into one of `slots`; both are [N]."""
        for rows in self._rows.values():
            rows[slots] = rows[origins]

    def gather(self, slots: Slots) -> State:
        """Gives the state of `slots` as one contiguous batch, [N, *].

        It is a view where the slots are the first ones in order, so write to no part of it.
        """
        if len(slots) and slots[-1] == len(slots) - 1 and (slots[1:] > slots[:-1]).all():
            return {name: rows[: len(slots)] for name, rows in self._rows.items()}
        return {name: rows[slots] for name, rows in self._rows.items()}
