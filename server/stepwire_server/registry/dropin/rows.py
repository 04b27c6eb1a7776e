"""Which axis of each tensor counts the rows: guessed from the file, decided by running it.

An axis counts rows if another row at one place of it changes what comes out at that place
and nowhere else.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stepwire_server.engine.runtime import Arrays, Port
from stepwire_server.registry.dropin.anatomy import Anatomy
from stepwire_server.registry.dropin.naming import BATCH, TIME
from stepwire_server.registry.dropin.trials import (
    Shape,
    Slot,
    TrialFailed,
    Trials,
    largest_difference,
    same,
    slot,
    slots,
)

Axes = dict[str, int | None]

OTHER_SIZES = (4, 1, 2, 3, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)
_FEW, _MANY, _CHANGED = 3, 5, 1
_SEEDS = (1, 4, 5, 6)
_MOST_GUESSES = 128
# Rows of a graph that quantizes whole batches differ in their last digits; rows that are
# mixed differ in their first.
_NEARLY = 0.02


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Where the rows are."""

    axes: Axes  # of every input and output
    sizes: dict[Slot, int]  # with which the graph runs, one row at a time
    counted: frozenset[Slot]  # the sizes that count rows
    trials: Trials  # with inputs that the graph takes
    reasons: dict[str, str] = field(default_factory=dict)  # by tensor
    why_none: str = ""  # where no axis counts rows
    exact: bool = True  # a row changes no other by a single bit

    def shapes(self, rows: int, sizes: Mapping[Slot, int] | None = None) -> dict[str, Shape]:
        """Shapes of the inputs for a number of rows."""
        chosen = {**self.sizes, **(sizes or {}), **dict.fromkeys(self.counted, rows)}
        return self.trials.shapes(chosen)


class _Guess(NamedTuple):
    score: float
    axes: Axes
    reasons: dict[str, str]


def find_rows(trials: Trials, anatomy: Anatomy, given: Mapping[str, int | None]) -> Rows:
    """Finds where the rows are.

    Args:
        trials: the graph.
        anatomy: the same graph's operators.
        given: axes that are known; the others are found.

    Raises:
        TrialFailed: it runs with no inputs that were tried.
    """
    ports = trials.graph.inputs
    guesses = _guesses(ports, anatomy, given)
    why = ""
    nearly: Rows | None = None
    for guess in guesses:
        try:
            found = _try(trials, guess)
        except (TrialFailed, _RowsMix) as error:
            why = why or str(error)
            continue
        if found.exact:
            return found
        nearly = nearly or found
    return nearly or _without_rows(trials, guesses, why)


class _RowsMix(Exception):
    """Rows of a guess change each other, or cannot be told apart."""


def _try(trials: Trials, guess: _Guess) -> Rows:
    counted = frozenset(_counted(trials.graph.inputs, guess.axes))
    if not counted:
        raise _RowsMix("no size of its inputs varies that could count rows")
    others = [name for name in slots(trials.graph.inputs) if name not in counted]
    trials, sizes = _sizes_that_run(trials, dict.fromkeys(counted, 1), others)
    steps = max((sizes[name] for name in others), default=1)
    few, many = ({**sizes, **dict.fromkeys(counted, rows)} for rows in (_FEW, _MANY))
    before = trials.feeds(trials.shapes(few), seed=1, steps=steps)
    swapped = trials.feeds(trials.shapes(few), seed=2, steps=steps)
    after = {name: _with_row(before[name], swapped[name], guess.axes[name]) for name in before}
    first, second = trials.run(before), trials.run(after)
    larger = trials.run(trials.feeds(trials.shapes(many), seed=1, steps=steps))
    axes, exact = dict(guess.axes), True
    for name in first:
        axes[name] = _axis_that_grew(name, first[name].shape, larger[name].shape)
        exact &= _stays(name, axes[name], first, second)
    for seed in _SEEDS:
        _check_rows(trials, trials.feeds(trials.shapes(few), seed, steps), axes)
    return Rows(
        axes=axes, sizes=sizes, counted=counted, trials=trials, reasons=guess.reasons, exact=exact
    )


def take_rows(arrays: Arrays, axes: Mapping[str, int | None], rows: Sequence[int]) -> Arrays:
    """Some rows of every tensor; those without rows as they are."""
    return {
        name: value if axis is None else np.ascontiguousarray(np.take(value, rows, axis))
        for name, value in arrays.items()
        for axis in (axes[name],)
    }


def _check_rows(trials: Trials, feeds: Arrays, axes: Axes) -> None:
    """Rows may be named by number in other inputs, or be divided by how many there are.

    Raises:
        _RowsMix: they are not the same in another order, or alone.
    """
    given = trials.run(feeds)
    for order, how in (([2, 0, 1], "in another order"), ([0], "alone")):
        seen = trials.run(take_rows(feeds, axes, order))
        wanted = take_rows(given, axes, order)
        for name in seen:
            if largest_difference(seen[name], wanted[name]) > _NEARLY:
                raise _RowsMix(f"a row's {name} is another one {how}")


def _with_row(before: np.ndarray, swapped: np.ndarray, axis: int | None) -> np.ndarray:
    """The first array with one row of the second."""
    if axis is None:
        return before
    changed = before.copy()
    place = (slice(None),) * axis + (_CHANGED,)
    changed[place] = swapped[place]
    return changed


def _axis_that_grew(name: str, few: Shape, many: Shape) -> int | None:
    if len(few) != len(many):
        raise _RowsMix(f"{name} has another rank for other numbers of rows")
    grew = [axis for axis, (a, b) in enumerate(zip(few, many, strict=True)) if a != b]
    if not grew:
        return None
    if len(grew) > 1 or (few[grew[0]], many[grew[0]]) != (_FEW, _MANY):
        raise _RowsMix(f"{name} is {list(few)} for {_FEW} rows and {list(many)} for {_MANY}")
    return grew[0]


def _stays(name: str, axis: int | None, before: Arrays, after: Arrays) -> bool:
    """Whether all rows but the changed one are the same, bit for bit.

    Raises:
        _RowsMix: they are not even nearly so.
    """
    left, right = before[name], after[name]
    if axis is not None:
        left, right = (np.delete(value, _CHANGED, axis) for value in (left, right))
    if same(left, right):
        return True
    if largest_difference(left, right) > _NEARLY:
        raise _RowsMix(f"one row changes {name} of others")
    return False


def _sizes_that_run(
    trials: Trials, fixed: dict[Slot, int], others: Sequence[Slot]
) -> tuple[Trials, dict[Slot, int]]:
    refused: TrialFailed | None = None
    for size in OTHER_SIZES if others else (1,):
        sizes = {**fixed, **dict.fromkeys(others, size)}
        try:
            return trials.settled(sizes, size), sizes
        except TrialFailed as error:
            refused = refused or error
    raise refused or TrialFailed("it was not run")


def _without_rows(trials: Trials, guesses: Sequence[_Guess], why: str) -> Rows:
    """A graph whose rows cannot be counted runs as it is, one request at a time."""
    names = [port.name for port in (*trials.graph.inputs, *trials.graph.outputs)]
    all_slots = slots(trials.graph.inputs)
    best = next((guess for guess in guesses if _counted(trials.graph.inputs, guess.axes)), None)
    ones = _counted(trials.graph.inputs, best.axes) if best else set()
    try:
        others = [name for name in all_slots if name not in ones]
        trials, sizes = _sizes_that_run(trials, dict.fromkeys(ones, 1), others)
    except TrialFailed:
        trials, sizes = _sizes_that_run(trials, {}, all_slots)
    if not all_slots:
        why = "all its sizes are fixed in the file"
    axes: Axes = dict.fromkeys(names)
    return Rows(axes=axes, sizes=sizes, counted=frozenset(), trials=trials, why_none=why)


def _counted(ports: Sequence[Port], axes: Axes) -> set[Slot]:
    counted = ((port, axes.get(port.name)) for port in ports)
    return {slot(port, axis) for port, axis in counted if axis is not None}


def _guesses(
    ports: Sequence[Port], anatomy: Anatomy, given: Mapping[str, int | None]
) -> list[_Guess]:
    """Where rows may be, likeliest first."""
    options = [list(_options(port, ports, anatomy, given)) for port in ports]
    combined = itertools.islice(itertools.product(*options), 4096)
    guesses = [
        _Guess(
            sum(option.score for option in chosen),
            {port.name: option.axis for port, option in zip(ports, chosen, strict=True)},
            {port.name: option.reason for port, option in zip(ports, chosen, strict=True)},
        )
        for chosen in combined
    ]
    held = [guess for guess in guesses if _is_consistent(ports, guess.axes)]
    return sorted(held, key=lambda guess: -guess.score)[:_MOST_GUESSES]


class _Option(NamedTuple):
    score: float
    axis: int | None
    reason: str


def _options(
    port: Port, ports: Sequence[Port], anatomy: Anatomy, given: Mapping[str, int | None]
) -> Iterator[_Option]:
    if port.name in given:
        yield _Option(0, given[port.name], "stepwire.json says so")
        return
    roles = anatomy.axis_roles(port.name, len(port.shape))
    varying = [axis for axis in (0, 1) if axis < len(port.shape) and _varies(port, axis)]
    for axis in varying:
        yield _weighed(port, axis, ports, roles)
    yield _Option(-3 if varying else 0, None, "it has no axis for rows")


def _weighed(
    port: Port, axis: int, ports: Sequence[Port], roles: Mapping[int, tuple[str, str]]
) -> _Option:
    name, score, reasons = port.shape[axis], float(axis == 0), []
    role, operator = roles.get(axis, ("", ""))
    if role:
        score += 10 if role == "batch" else -10
        reasons.append(f"{operator} has its rows there")
    if isinstance(name, str):
        sharing = sum(name in other.shape for other in ports if other is not port)
        score += sharing
        if name.lower() in BATCH:
            score += 8
            reasons.append(f"the file calls it {name!r}")
        elif name.lower() in TIME:
            score -= 6
        elif sharing:
            reasons.append("other inputs share its size")
    return _Option(score, axis, reasons[0] if reasons else "its size varies")


def _varies(port: Port, axis: int) -> bool:
    return not isinstance(port.shape[axis], int)


def _is_consistent(ports: Sequence[Port], axes: Axes) -> bool:
    """Whether a size that counts rows of one input counts those of all that share it.

    An axis 0 or 1 that has it must be the one that was chosen.
    """
    counted = _counted(ports, axes)
    return all(
        axes[port.name] is not None and slot(port, axis) == slot(port, axes[port.name] or 0)
        for port in ports
        for axis in range(min(2, len(port.shape)))
        if _varies(port, axis) and slot(port, axis) in counted
    )
