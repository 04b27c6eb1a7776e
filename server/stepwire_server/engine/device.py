"""The states that a step gave: arrays, or tensors that stay on the device that ran it.

Whoever steps on, reorders rows or lets some go asks for rows by their places, and what is on
the device is put together there. Only who reads the numbers has them copied to the host.

Shapes: N rows, R rows that are taken, M rows that join them, * the state's own shape.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.slots import State

Places = NDArray[np.int64]


class OnDevice(Protocol):
    """A tensor where ONNX Runtime keeps it."""

    def numpy(self) -> NDArray[Any]:
        """Copies it to the host, if it is not there."""
        ...


Held = dict[str, OnDevice]


class Holding(Protocol):
    """Who rearranges the rows of held states."""

    rows_read: int  # rows of held states that were copied to the host

    def rearranged(self, held: Held, order: Places, more: State | None) -> Held:
        """Takes rows of held states [N, *], or of others that join them.

        Args:
            held: the states.
            order: [R], each below N: one of their rows; from N on: one of those that join.
            more: [M, *] each, on the host.

        Returns:
            [R, *] each, on the device.
        """
        ...


class _Whereabouts(NamedTuple):
    """Which rows of what a run left on the device."""

    held: Held  # [N, *] each
    rows: int  # N
    order: Places | None  # [R]; None: all, as they are


class HeldStates(Mapping[str, NDArray[Any]]):
    """States by name, [R, *] each, that are copied to the host when one is read, and then once.

    They never change: what the next step gives are others.
    """

    def __init__(
        self, held: Held, rows: int, holding: Holding, order: Places | None = None
    ) -> None:
        """Takes what a run left on the device.

        Args:
            held: [N, *] each.
            rows: N.
            holding: who rearranges them.
            order: [R], the rows that these are; None: all, as they are.
        """
        # One value, replaced as a whole: callers may read on their thread what the engine's goes
        # on with.
        self._at = _Whereabouts(held, rows, order)
        self._holding = holding
        self._read: dict[str, NDArray[Any]] = {}

    @property
    def rows(self) -> int:
        """R."""
        _, rows, order = self._at
        return rows if order is None else len(order)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A state, [R, *], on the host."""
        if not self._read:
            self._read = {each: value.numpy() for each, value in self.on_device().items()}
            self._holding.rows_read += self.rows
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._at.held)

    def __len__(self) -> int:
        """How many states a row has."""
        return len(self._at.held)

    def on_device(self) -> Held:
        """The states where they are, [R, *] each."""
        held, _, order = self._at
        if order is not None:
            held = self._holding.rearranged(held, order, None)
            self._at = _Whereabouts(held, len(order), None)
        return held

    def taken(self, order: Places) -> "HeldStates":
        """Some of the rows; they are put together when somebody asks for them."""
        held, rows, own = self._at
        if own is not None:
            order = own[order]
        elif _are_all(order, rows):
            return self
        return HeldStates(held, rows, self._holding, order)

    def joined(self, order: Places, joining: Places, more: State) -> "HeldStates":
        """Some of the rows, and others that join them; as `joined` below, but put together now."""
        order = order.copy()
        order[joining] = self.rows + np.arange(len(joining))
        held = self._holding.rearranged(self.on_device(), order, more)
        return HeldStates(held, len(order), self._holding)


def taken(states: State, order: Places, room: State | None = None) -> State:
    """Some rows of states [N, *], in an order [R]; not copied where they lie one after another.

    Args:
        states: [N, *] each.
        order: [R], places of rows, each below N.
        room: where arrays are copied to, R rows or more; None: to new ones. Fresh memory may
            cost more than the copy.
    """
    if isinstance(states, HeldStates):
        return states.taken(order)
    if len(order) and (np.diff(order) == 1).all():
        return {name: value[order[0] : order[-1] + 1] for name, value in states.items()}
    return {name: _copied(value, order, name, room) for name, value in states.items()}


def joined(
    states: State, order: Places, joining: Places, more: State, room: State | None = None
) -> State:
    """Some rows of states [N, *] in an order [R]; others join them at some places of it.

    Args:
        states: [N, *] each.
        order: [R], places of rows; where others join them it does not matter.
        joining: [M], where in the order the others are.
        more: they, [M, *] each.
        room: as of `taken`.
    """
    if isinstance(states, HeldStates):
        return states.joined(order, joining, more)
    together = {name: _copied(value, order, name, room) for name, value in states.items()}
    for name, value in together.items():
        value[joining] = more[name]  # over what the one pass put there
    return together


def appended(states: State, more: State) -> State:
    """All rows of states [N, *], and behind them those of others [M, *]."""
    if isinstance(states, HeldStates):
        order = np.arange(states.rows + len(next(iter(more.values()))))
        return states.joined(order, order[states.rows :], more)
    return {name: np.concatenate([value, more[name]]) for name, value in states.items()}


def _copied(value: NDArray[Any], order: Places, name: str, room: State | None) -> NDArray[Any]:
    """Rows of a state [N, *] in an order [R]; where that is none of theirs, any row."""
    out = None if room is None else room[name][: len(order)]
    return value.take(order, axis=0, out=out, mode="clip")


def _are_all(order: Places, count: int) -> bool:
    return len(order) == count and bool((order == np.arange(count)).all())
