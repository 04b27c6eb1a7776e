"""From a file to a graph whose wiring is proved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.runtime import Arrays, OnnxGraph, Port
from stepwire_server.engine.wiring import StatePair, Wire, Wiring
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.inspecting import Inspected, inspect
from stepwire_server.registry.dropin.proving import (
    RELATED,
    Candidate,
    Claim,
    prove_lengths,
    prove_order,
    prove_rows,
    prove_state_changes,
    prove_state_matters,
    prove_steps,
)
from stepwire_server.registry.dropin.settings import Settings, read_golden, read_start
from stepwire_server.registry.dropin.times import grown
from stepwire_server.registry.dropin.trials import (
    Shape,
    TrialFailed,
    largest_difference,
    shortened,
    slot,
)
from stepwire_zoo.errors import GoldenMismatch, ManifestInvalid, WiringUnproved


@dataclass(frozen=True, kw_only=True)
class Proved:
    """A graph, what its tensors mean, and what bore that out."""

    graph: OnnxGraph
    wiring: Wiring
    inspected: Inspected
    claims: tuple[Claim, ...]


def look(files: Files, settings: Settings, runtime: RuntimeConfig) -> tuple[OnnxGraph, Inspected]:
    """Loads a graph and finds out what its tensors mean; questions may be left.

    Raises:
        BundleError: why it is refused.
    """
    data = files.graph()
    graph = OnnxGraph(data, files.name, runtime)
    return graph, inspect(graph, data, settings)


def open_graph(files: Files, settings: Settings, runtime: RuntimeConfig, most: int) -> Proved:
    """Loads a graph, finds out what its tensors mean, and proves it.

    Args:
        files: the graph's file, and those beside it.
        settings: what is said of it.
        runtime: provider and threads.
        most: rows that will share a run.

    Raises:
        BundleError: why it is refused.
    """
    graph, inspected = look(files, settings, runtime)
    if inspected.questions:
        raise WiringUnproved(
            f"{'; '.join(inspected.questions)}: say it in stepwire.json (docs/add_a_model.md)"
        )
    return prove(graph, inspected, files, most)


def wiring_of(inspected: Inspected) -> Wiring:
    """What a graph is thought to be, before it is proved."""
    return _wiring(inspected, {}, merges=False)


def prove(graph: OnnxGraph, inspected: Inspected, files: Files, most: int) -> Proved:
    """Proves what a graph is thought to be.

    Raises:
        BundleError: it is not so.
    """
    settings = inspected.settings
    try:
        claims, apart = _claims(inspected.candidate, max(1, settings.max_batch_size or most))
    except TrialFailed as error:
        raise WiringUnproved(f"it cannot be proved: {error}") from error
    for claim in claims:
        if not claim.held:
            raise WiringUnproved(f"it is not so that {claim.words}: {claim.about}")
    starts = {state.input: _start(state.start, files) for state in settings.states or ()}
    wiring = _wiring(inspected, starts, merges=_merges(settings, apart))
    if settings.golden:
        claims.append(_replay(graph, files, settings))
    return Proved(graph=graph, wiring=wiring, inspected=inspected, claims=tuple(claims))


def _claims(candidate: Candidate, most: int) -> tuple[list[Claim], float]:
    claims, apart = [], 0.0
    if candidate.rows.counted:
        alone, apart = prove_rows(candidate, most)
        claims += [prove_order(candidate), alone]
    for pair in candidate.pairs:
        claims += [prove_state_changes(candidate, pair), prove_state_matters(candidate, pair)]
    if candidate.pairs and candidate.time:
        try:
            claims.append(prove_steps(candidate))
        except TrialFailed as error:
            # A graph that looks some steps ahead takes no single ones.
            words = "steps and chunk could not be compared"
            claims.append(Claim(words, True, str(error)))
    if candidate.lengths:
        claims.append(prove_lengths(candidate))
    return claims, apart


def _merges(settings: Settings, apart: float) -> bool:
    if settings.merge == "never" or settings.max_batch_size in (0, 1):
        return False
    return apart == 0.0 or (settings.merge == "always" and apart <= RELATED)


def _wiring(inspected: Inspected, starts: dict[str, Any], merges: bool) -> Wiring:
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
                start=_shaped_start(wires[pair.input], starts.get(pair.input)),
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


def _start(said: str | float, files: Files) -> NDArray[Any] | float | None:
    if said == "zeros":
        return None
    if isinstance(said, str):
        return read_start(files.beside(said), said)
    return said


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
    if (start.shape, str(start.dtype)) != (shape, wire.dtype):
        raise ManifestInvalid(
            f"start of {wire.name} must be {wire.dtype} {list(shape)}, "
            f"got {start.dtype} {list(start.shape)}"
        )
    return start


def _replay(graph: OnnxGraph, files: Files, settings: Settings) -> Claim:
    """Replays the golden case that someone gave.

    Raises:
        ManifestInvalid: it is no such file, or lacks an input, or has no output.
        GoldenMismatch: the graph gives other numbers.
    """
    name = settings.golden or ""
    arrays = read_golden(files.beside(name), name)
    inputs = [port.name for port in graph.inputs]
    missing = [name for name in inputs if name not in arrays]
    wanted = [port.name for port in graph.outputs if port.name in arrays]
    if missing or not wanted:
        lacks = f"input {missing[0]}" if missing else "every output"
        raise ManifestInvalid(f"{name} must hold all inputs and an output by name, lacks {lacks}")
    try:
        given = graph.run(wanted, {name: arrays[name] for name in inputs})
    except Exception as error:  # of ONNX Runtime's many classes
        raise GoldenMismatch(f"{name} cannot be replayed: {shortened(error)}") from error
    for output, value in zip(wanted, given, strict=True):
        apart = largest_difference(arrays[output], value)
        if apart > settings.golden_tolerance:
            raise GoldenMismatch(
                f"{output} must be within {settings.golden_tolerance:g} of {name}, got {apart:.3g}"
            )
    return Claim(f"{name} is given again", True, ", ".join(wanted))
