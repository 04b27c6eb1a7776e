"""What rows look at while they step: the encoded sources of a translator.

A source belongs to a job, and its rows share it: they stand in the places of a group, so
that the graph multiplies a group's queries with one memory and copies nothing. Shapes:
N rows, J groups, P places in a group, S padded source length, * what else a tensor has.
"""

import heapq
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.slots import Slots, State

Arrays = dict[str, NDArray[Any]]

# Constant, because a product of one row and a product of five round differently: a row's
# bits must not depend on how many siblings it has. Five fits the usual beam.
PLACES = 5


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """One encoded source."""

    length: int  # tokens
    contexts: Arrays  # [S, *] each, zeros behind the length
    start: State  # what a row begins with, [*] each
    bucket: int  # S

    def padded(self, bucket: int) -> "Source":
        """The same with contexts of another padded length."""
        contexts = {name: padded(array, bucket) for name, array in self.contexts.items()}
        return replace(self, contexts=contexts, bucket=bucket)

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """All its numbers."""
        return [*self.contexts.values(), *self.start.values()]

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return sum(array.nbytes for array in self.arrays)


def padded(context: NDArray[Any], size: int) -> NDArray[Any]:
    """Cuts or pads axis 0 of [T, *] to a length; what is behind the source is zeros anyway."""
    result = np.zeros((size, *context.shape[1:]), context.dtype)
    count = min(size, len(context))
    result[:count] = context[:count]
    return result


class View(NamedTuple):
    """What a step is fed of the sources."""

    contexts: Arrays  # [J, S, *] each
    lengths: NDArray[np.int64]  # [J], of the sources
    rows: NDArray[np.int64]  # [J, P], which row stands in each place
    places: NDArray[np.int64]  # [N], the place of each row, counted through all groups


class SourceBoard:
    """The sources of the running rows, each written down once for each group of rows.

    A group keeps its index while it is needed, the lowest free one first, so that nothing
    moves when others come and go: what is fed to a step is the front of these arrays.
    """

    def __init__(self, capacity: int) -> None:
        """Makes a board.

        Args:
            capacity: rows at most; every one may need a group of its own.
        """
        self._capacity = capacity
        self._contexts: Arrays = {}  # [capacity, S, *] each; made when the first source comes
        self._lengths = np.ones(capacity, np.int64)
        self._free = list(range(capacity))
        self._groups: dict[tuple[int, int], _Group] = {}  # by source and number of the group
        self._place_of_slot = np.zeros(capacity, np.int64)
        self._group_of_slot: dict[int, tuple[int, int]] = {}
        self.view: View | None = None  # None: nothing to look at

    def enter(self, slot: int, source: Source, owner: int, sibling: int) -> None:
        """Gives a row its place.

        Args:
            slot: of the row.
            source: what it looks at.
            owner: tells its job from every other.
            sibling: its number among the job's rows.
        """
        key = (owner, sibling // PLACES)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(heapq.heappop(self._free))
            self._write(group.index, source)
        group.members += 1
        self._group_of_slot[slot] = key
        self._place_of_slot[slot] = group.index * PLACES + sibling % PLACES

    def leave(self, slot: int) -> None:
        """Frees a row's place, and its group with the last of them."""
        key = self._group_of_slot.pop(slot)
        group = self._groups[key]
        group.members -= 1
        if not group.members:
            del self._groups[key]
            heapq.heappush(self._free, group.index)

    def arrange(self, slots: Slots) -> None:
        """Prepares what is fed, for rows in this order, until rows come or go."""
        places = self._place_of_slot[slots]  # [N]
        count = int(places.max()) // PLACES + 1 if len(places) else 0
        rows = np.zeros(count * PLACES, np.int64)
        rows[places] = np.arange(len(places))
        self.view = View(
            {name: array[:count] for name, array in self._contexts.items()},
            self._lengths[:count],
            rows.reshape(count, PLACES),
            places,
        )

    def _write(self, index: int, source: Source) -> None:
        for name, array in source.contexts.items():
            if name not in self._contexts:
                # Pages that are never written cost no memory.
                self._contexts[name] = np.zeros((self._capacity, *array.shape), array.dtype)
            self._contexts[name][index] = array
        self._lengths[index] = source.length


@dataclass
class _Group:
    index: int
    members: int = 0
