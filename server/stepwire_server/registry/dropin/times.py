"""Which axis of each tensor is time, if any: sizes that vary and are not rows.

K: the size with which the graph was seen to run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stepwire_server.engine.runtime import Port
from stepwire_server.registry.dropin.anatomy import Anatomy
from stepwire_server.registry.dropin.naming import TIME
from stepwire_server.registry.dropin.rows import Rows
from stepwire_server.registry.dropin.trials import Shape, Slot, TrialFailed, slot, slots


@dataclass(frozen=True, kw_only=True)
class Times:
    """One length that varies."""

    slots: frozenset[Slot]  # sizes that only vary together
    axes: dict[str, int]  # of the inputs and outputs that have it
    score: float = 0.0  # how much speaks for its being time
    reason: str = "its size varies"


_ROWS = 2


class Varying(NamedTuple):
    """What the sizes that are not rows turned out to be."""

    times: list[Times]  # likeliest first
    baked: dict[Slot, int]  # sizes that vary in the file, but not when it runs


def find_times(rows: Rows, anatomy: Anatomy, given: Mapping[str, int | None]) -> Varying:
    """Finds the lengths that vary.

    Args:
        rows: what is known of the graph.
        anatomy: its operators.
        given: axes that are known to be time, or not to be.
    """
    left = [name for name in slots(rows.trials.graph.inputs) if name not in rows.counted]
    alone = [name for name in left if _varies(rows, {name})]
    tied = frozenset(left) - {*alone}
    groups = [frozenset({name}) for name in alone]
    if tied and _varies(rows, tied):
        groups.append(tied)
        tied = frozenset()
    elif tied and _varies(rows, frozenset(left)):
        groups, tied = [frozenset(left)], frozenset()
    baked = {name: rows.sizes[name] for name in tied}
    times = [_weighed(rows, group, anatomy) for group in groups]
    fitting = [time for time in times if _fits(time, given, rows.trials.graph.inputs)]
    return Varying(sorted(fitting, key=lambda time: -time.score), baked)


def grown(rows: Rows, group: Iterable[Slot]) -> dict[Slot, int]:
    """Other sizes for some, with which the graph runs.

    Raises:
        TrialFailed: there are none.
    """
    refused = TrialFailed("no size varies")
    held = {rows.sizes[name] for name in group}
    size = max(held)
    for other in dict.fromkeys((size + 1, 2 * size, size + 2, max(1, size - 1), 1, 2)):
        if other in held:
            continue
        sizes = dict.fromkeys(group, other)
        try:
            given = rows.trials.run(
                rows.trials.feeds(rows.shapes(_ROWS, sizes), steps=min(size, other))
            )
        except TrialFailed as error:
            refused = error
            continue
        if all(axis is None or given[n].shape[axis] == _ROWS for n, axis in _outputs(rows)):
            return sizes
        # An exporter that froze one length may still reshape another into more rows.
        refused = TrialFailed("other sizes give other numbers of rows")
    raise refused


def _outputs(rows: Rows) -> Iterator[tuple[str, int | None]]:
    return ((port.name, rows.axes[port.name]) for port in rows.trials.graph.outputs)


def _varies(rows: Rows, group: Iterable[Slot]) -> bool:
    try:
        return bool(grown(rows, group))
    except TrialFailed:
        return False


def _weighed(rows: Rows, group: frozenset[Slot], anatomy: Anatomy) -> Times:
    inputs = _axes_of(rows.trials.graph.inputs, group)
    outputs = _axes_that_follow(rows, group)
    score, reason = float(len(outputs)), "its size varies"
    if outputs:
        reason = f"{next(iter(outputs))} has as many steps"
    names = [name for name in group if name.lower() in TIME]
    if names:
        score, reason = score + 8, f"the file calls it {names[0]!r}"
    for name, axis in inputs.items():
        rank = len(rows.trials.port(name).shape)
        role, operator = anatomy.axis_roles(name, rank).get(axis, ("", ""))
        if role == "time":
            score, reason = score + 10, f"{operator} takes its steps there"
    return Times(slots=group, axes={**inputs, **outputs}, score=score, reason=reason)


def _axes_of(ports: Iterable[Port], group: Iterable[Slot]) -> dict[str, int]:
    return {
        port.name: axis
        for port in ports
        for axis, size in enumerate(port.shape)
        if not isinstance(size, int) and slot(port, axis) in group
    }


def _axes_that_follow(rows: Rows, group: Iterable[Slot]) -> dict[str, int]:
    """The axis of each output that is as long as the inputs are."""
    sizes = grown(rows, group)
    after = next(iter(sizes.values()))
    before = max(rows.sizes[name] for name in group)
    steps = min(before, after)
    shapes = [
        {name: value.shape for name, value in rows.trials.run(feeds).items()}
        for feeds in (
            rows.trials.feeds(rows.shapes(1), steps=steps),
            rows.trials.feeds(rows.shapes(1, sizes), steps=steps),
        )
    ]
    found = {
        name: _axis_between(shapes[0][name], shapes[1][name], before, after) for name in shapes[0]
    }
    return {name: axis for name, axis in found.items() if axis is not None}


def _axis_between(left: Shape, right: Shape, before: int, after: int) -> int | None:
    if len(left) != len(right):
        return None
    changed = [axis for axis, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
    follows = len(changed) == 1 and (left[changed[0]], right[changed[0]]) == (before, after)
    return changed[0] if follows else None


def _fits(time: Times, given: Mapping[str, int | None], inputs: Iterable[Port]) -> bool:
    """Whether it agrees with what is known of the inputs."""
    known = {port.name for port in inputs} & given.keys()
    return all(time.axes.get(name) == given[name] for name in known)
