"""A graph's wiring, out of what was found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.runtime import Arrays, Port
from stepwire_server.engine.wiring import StatePair, Wire, Wiring
from stepwire_server.registry.dropin.inspecting import Inspected
from stepwire_server.registry.dropin.proving import Candidate
from stepwire_server.registry.dropin.times import grown
from stepwire_server.registry.dropin.trials import Shape, slot
from stepwire_zoo.errors import ManifestInvalid, WiringUnproved


def wiring_of(
    inspected: Inspected, starts: Mapping[str, Any] | None = None, merges: bool = False
) -> Wiring:
    """Puts a wiring together.

    Args:
        inspected: what was found.
        starts: a number or an array, of one row, for states that do not start at zeros.
        merges: whether rows of different callers may share a run.

    Raises:
        ManifestInvalid: a start has not the form of its state.
    """
    candidate = inspected.candidate
    wires = _wires(inspected)
    graph = candidate.rows.trials.graph
    inputs = {pair.input for pair in candidate.pairs}
    outputs = {pair.output for pair in candidate.pairs}
    return Wiring(
        inputs=tuple(wires[p.name] for p in graph.inputs if p.name not in inputs),
        outputs=tuple(wires[p.name] for p in graph.outputs if p.name not in outputs),
        states=tuple(
            StatePair(
                input=wires[pair.input],
                output=wires[pair.output],
                start=_shaped_start(wires[pair.input], (starts or {}).get(pair.input)),
            )
            for pair in candidate.pairs
        ),
        lengths=candidate.lengths,
        merges=merges,
    )


def _wires(inspected: Inspected) -> dict[str, Wire]:
    """Every input and output; a size varies if it was seen to, whatever the file says."""
    candidate = inspected.candidate
    graph = candidate.rows.trials.graph
    seen = [{**feeds, **candidate.run(feeds)} for feeds in _different(candidate)]
    times = candidate.time.axes if candidate.time else {}
    wires = {}
    for port in (*graph.inputs, *graph.outputs):
        fixed = [_is_fixed(inspected, port, axis) for axis in range(len(port.shape))]
        shapes = [arrays[port.name].shape for arrays in seen]
        shape = _varying(shapes, fixed)
        for axis in (candidate.rows.axes[port.name], times.get(port.name)):
            if axis is not None:
                shape[axis] = -1
        wires[port.name] = Wire(
            name=port.name,
            dtype=port.dtype,
            shape=tuple(shape),
            batch_axis=candidate.rows.axes[port.name],
            time_axis=times.get(port.name),
        )
    return wires


def _different(candidate: Candidate) -> list[Arrays]:
    """Inputs of different sizes."""
    if candidate.time is None:
        return [candidate.feeds(rows, seed=1) for rows in (2, 3)]
    longer = max(grown(candidate.rows, candidate.time.slots).values())
    return [candidate.feeds(2, seed=1), candidate.feeds(3, seed=1, steps=longer)]


def _varying(shapes: Sequence[Shape], fixed: Sequence[bool]) -> list[int]:
    """One shape for several: -1 where they differ, or where they are free to."""
    if len({len(shape) for shape in shapes}) > 1:
        raise WiringUnproved("an output's rank changes from run to run")
    known = [*fixed, *[True] * len(shapes[0])]
    return [
        sizes[0] if held and len({*sizes}) == 1 else -1
        for held, sizes in zip(known, zip(*shapes, strict=True), strict=False)
    ]


def _is_fixed(inspected: Inspected, port: Port, axis: int) -> bool:
    """Whether nobody may send another size."""
    size = port.shape[axis]
    fixed = {name for pair in inspected.candidate.pairs for name in pair}
    return isinstance(size, int) or port.name in fixed or slot(port, axis) in inspected.baked


def _shaped_start(wire: Wire, start: Any) -> NDArray[Any] | None:
    """A start of one row, the batch axis left out.

    Raises:
        ManifestInvalid: it has another shape or type than the state.
    """
    if start is None:
        return None
    shape = tuple(s for axis, s in enumerate(wire.shape) if axis != wire.batch_axis)
    if not isinstance(start, np.ndarray):
        return np.full(shape, start, wire.dtype)
    if wire.batch_axis is not None and start.shape == _one_row(wire):
        start = start.reshape(shape)
    if (start.shape, str(start.dtype)) != (shape, wire.dtype):
        raise ManifestInvalid(
            f"start of {wire.name} must be {wire.dtype} {list(shape)}, "
            f"got {start.dtype} {list(start.shape)}"
        )
    return start


def _one_row(wire: Wire) -> Shape:
    """The whole shape of a single row."""
    return tuple(1 if axis == wire.batch_axis else size for axis, size in enumerate(wire.shape))
