"""Where the states of running rows stand: in what the last step gave, or in slots.

What a step gave feeds the next one as it is while the same rows go on. When rows move, part,
come or go, only places are written down; the next step finds its rows put together by them,
once, on the device that holds them.

Shapes: N rows in this step, C capacity, * the state's own shape.
"""

import numpy as np

from stepwire_server.engine.device import joined, taken
from stepwire_server.engine.slots import SlotPool, Slots, State

_IN_SLOT = -1


class Standing:
    """The states of some running rows, by their slots."""

    def __init__(self, capacity: int, start: State) -> None:
        """Makes room.

        Args:
            capacity: C.
            start: the state of a row that begins, [*] for each name.
        """
        self._pool = SlotPool(capacity, start)
        self._capacity = capacity
        self._following: State | None = None  # what the last step gave, [N, *] each
        self._places = np.full(capacity, _IN_SLOT)  # [C], rows of it
        self._moved = True  # the next step is not simply of all its rows
        # What a step is fed with when rows have moved; it is needed until the step is over.
        # Pages that are never written cost no memory.
        self._room: State = {
            name: np.empty((capacity, *value.shape), value.dtype) for name, value in start.items()
        }

    def enter(self, state: State | None = None) -> int:
        """Takes a slot for a row with a state, [*] for each name, or with the start."""
        self._moved = True
        return self._pool.acquire(state)

    def take(self) -> int:
        """Takes a slot for a row whose state `write` will bring."""
        self._moved = True
        return self._pool.take()

    def write(self, slots: Slots, states: State) -> None:
        """Writes states, [N, *] for each name, into slots that were taken."""
        self._pool.write(slots, states)

    def twin(self, slot: int) -> int:
        """Takes a slot for a row whose state is that of another."""
        if self._places[slot] == _IN_SLOT:
            return self.enter(self._pool.read(slot))
        twin = self.take()
        self._places[twin] = self._places[slot]
        return twin

    def leave(self, slot: int) -> None:
        """Gives a slot back; its state is forgotten."""
        self._pool.release(slot)
        self._places[slot] = _IN_SLOT
        self._moved = True
        if self._pool.free == self._capacity:
            self._following = None  # it is nobody's

    def read(self, slot: int) -> State:
        """Copies the state of one row to the host, [*] for each name."""
        return {name: rows[0].copy() for name, rows in self.gather(np.array([slot])).items()}

    def move(self, slots: Slots, origins: Slots) -> None:
        """Gives the rows in `slots` the states of those in `origins`; both are [N]."""
        places = self._places[origins]
        inside = places == _IN_SLOT
        if inside.any():
            self._pool.move(slots[inside], origins[inside])
        self._places[slots] = places
        self._moved = True

    def gather(self, slots: Slots, room: State | None = None) -> State:
        """Gives the states of the rows in some slots, [N, *] each; nobody writes to them.

        Args:
            slots: [N].
            room: where they may be put together; None: in new memory.
        """
        if self._following is None:
            return self._pool.gather(slots)
        places = self._places[slots]
        inside = np.flatnonzero(places == _IN_SLOT)
        if not len(inside):
            return taken(self._following, places, room)
        coming = self._pool.gather(slots[inside])
        if len(inside) == len(slots):
            return coming
        return joined(self._following, places, inside, coming, room)

    def together(self, slots: Slots) -> State:
        """The same for a step of all rows that are here, in the order of their slots."""
        if self._following is None or self._moved:
            return self.gather(slots, self._room)
        return self._following

    def follow(self, slots: Slots, states: State) -> None:
        """Takes what that step gave, [N, *] each."""
        self._following = states
        if self._moved:
            self._places[slots] = np.arange(len(slots))
            self._moved = False
