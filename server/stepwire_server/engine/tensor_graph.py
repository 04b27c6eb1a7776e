"""A graph that runs several requests of named tensors at once.

Shapes: N rows of a run, n of one request, T steps of one, P steps that it is padded to,
* a tensor's own shape.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.row_states import RowStates
from stepwire_server.engine.runtime import OnnxGraph
from stepwire_server.engine.tensors import Asked, Tensors
from stepwire_server.engine.wiring import Wire, Wiring
from stepwire_server.errors import InternalError, InvalidRequest, StepwireError


@dataclass(eq=False, kw_only=True)
class Work:
    """A request that can share a run with others of its group."""

    asked: Asked
    keeps: bool  # its answer has the packed states that follow
    group: Hashable  # None: it runs alone
    steps: int = 0  # T; 0 where the graph takes no lengths
    padded: int = 0  # P; T where nothing is padded
    lengths: NDArray[Any] | None = None  # [n], of a graph that takes some


@dataclass(eq=False, kw_only=True)
class Inputs:
    """Everything that one run reads."""

    works: Sequence[Work]
    rows: int  # N
    outputs: list[str]
    feeds: Tensors


Given = tuple[Tensors, Sequence[bytes]] | StepwireError  # outputs and packed states, or why not


class TensorGraph:
    """Puts requests together, runs them, and takes what comes out apart.

    Where the graph takes lengths, a request is padded to the smallest bucket that holds it,
    and never to its neighbours' length: so its numbers depend on itself alone.
    """

    def __init__(self, graph: OnnxGraph, wiring: Wiring) -> None:
        """Makes a graph.

        Args:
            graph: what runs.
            wiring: which of its axes and tensors belong together, proved.
        """
        self._graph = graph
        self.wiring = wiring
        self._states = RowStates(wiring.states)
        self.layout = self._states.layout  # of a row's packed state
        self._following = [pair.output.name for pair in wiring.states]
        outputs = (*wiring.outputs, *(pair.output for pair in wiring.states))
        self._outputs = {wire.name: wire for wire in outputs}
        self._timed = tuple(
            (wire.name, wire.time_axis) for wire in wiring.inputs if wire.time_axis is not None
        )
        # Whether requests of unequal length may share a run.
        self.takes_lengths = wiring.lengths is not None and bool(self._timed)
        self._grows = all(
            wire.shape[wire.time_axis] == -1 for wire in wiring.inputs if wire.time_axis is not None
        )
        self._common = [wire.name for wire in wiring.inputs if wire.batch_axis is None]

    def prepare(self, asked: Asked, *, keeps: bool) -> Work:
        """Finds out which others a request may run with.

        Args:
            asked: its tensors checked against the signature.
            keeps: whether the packed states that follow are wanted.

        Raises:
            InvalidRequest: a tensor is empty, or its steps or lengths make no sense.
        """
        for name, value in asked.tensors.items():
            # ONNX Runtime ends the whole process over some of these.
            if not value.size:
                raise InvalidRequest.of(name, "be empty on no axis", list(value.shape))
        work = Work(asked=asked, keeps=keeps, group=None)
        if self.takes_lengths:
            work.steps = self._steps(asked)
            work.padded = bucket_of(work.steps) if self._grows else work.steps
            work.lengths = self._lengths(asked, work.steps)
        if self.wiring.merges and self.wiring.batched:
            work.group = self._group(work)
        return work

    def put_together(self, works: Sequence[Work]) -> Inputs:
        """Lays the rows of requests of one group out for one run."""
        requests = [work.asked for work in works]
        feeds = {wire.name: self._joined(wire, works) for wire in self.wiring.inputs}
        feeds.update(self._states.feeds(requests))
        outputs = dict.fromkeys(name for asked in requests for name in asked.wanted)
        if any(work.keeps for work in works):
            outputs.update(dict.fromkeys(self._following))
        rows = sum(asked.rows for asked in requests)
        return Inputs(works=works, rows=rows, outputs=list(outputs), feeds=feeds)

    def run(self, inputs: Inputs) -> Tensors:
        """Runs the graph once; whatever ONNX Runtime raises passes through."""
        values = self._graph.run(inputs.outputs, inputs.feeds)
        return dict(zip(inputs.outputs, values, strict=True))

    def take_apart(self, inputs: Inputs, outputs: Tensors) -> list[Given]:
        """Gives every request its rows, cropped to the steps that it sent.

        Outputs that are not finite are given as they are: what they mean is the caller's to
        say. A state that is not finite fails the request, since it would spoil every step
        to come.
        """
        self._check_rows(inputs, outputs)
        outputs = {name: _as_texts(value) for name, value in outputs.items()}
        packed, spoiled = self._kept(inputs, outputs)
        given: list[Given] = []
        start = 0
        for work in inputs.works:
            end = start + work.asked.rows
            if work.keeps and not spoiled.isdisjoint(range(start, end)):
                given.append(_not_finite(work.asked))
            else:
                given.append(self._given(work, outputs, packed[start:end], start))
            start = end
        return given

    def _kept(self, inputs: Inputs, outputs: Tensors) -> tuple[list[bytes], set[int]]:
        if self._following and any(work.keeps for work in inputs.works):
            return self._states.pack(outputs, inputs.rows), self._states.spoiled(outputs)
        return [], set()

    def _given(
        self, work: Work, outputs: Tensors, packed: Sequence[bytes], start: int
    ) -> tuple[Tensors, Sequence[bytes]]:
        cut = {
            name: _cut(outputs[name], self._outputs[name], work, start)
            for name in work.asked.wanted
        }
        return cut, packed if work.keeps else ()

    def _check_rows(self, inputs: Inputs, outputs: Tensors) -> None:
        for name, value in outputs.items():
            axis = self._outputs[name].batch_axis
            if axis is not None and value.shape[axis] != inputs.rows:
                raise InternalError(
                    f"the model gave {name} the shape {list(value.shape)}: "
                    f"axis {axis} should have {inputs.rows} rows"
                )

    def _steps(self, asked: Asked) -> int:
        """T of a request, the same in all its tensors."""
        first, axis = self._timed[0]
        steps = asked.tensors[first].shape[axis]
        for name, other in self._timed[1:]:
            shape = asked.tensors[name].shape
            if shape[other] != steps:
                allowed = f"have the {steps} steps of {first} on axis {other}"
                raise InvalidRequest.of(name, allowed, list(shape))
        return steps

    def _lengths(self, asked: Asked, steps: int) -> NDArray[Any]:
        """How much of each row counts, [n]; left out, all of it."""
        [wire] = [wire for wire in self.wiring.inputs if wire.name == self.wiring.lengths]
        lengths = asked.tensors.get(wire.name)
        if lengths is None:
            return np.full(asked.rows, steps, wire.dtype)
        for row, length in enumerate(lengths.ravel().tolist()):
            if not 1 <= length <= steps:
                raise InvalidRequest.of(f"{wire.name}[{row}]", f"be in [1, {steps}]", length)
        return lengths

    def _group(self, work: Work) -> Hashable:
        """Equal for requests whose tensors can be laid beside each other."""
        tensors = work.asked.tensors
        shapes = [
            _without(self._laid_shape(wire, work), wire.batch_axis)
            for wire in self.wiring.inputs
            if wire.name != self.wiring.lengths
        ]
        # What has no batch axis is there once in a run, so it must be the same for all.
        return (*shapes, *(_digest(tensors[name]) for name in self._common))

    def _laid_shape(self, wire: Wire, work: Work) -> tuple[int, ...]:
        shape = work.asked.tensors[wire.name].shape
        if wire.time_axis is None or work.padded == work.steps:
            return shape
        return (*shape[: wire.time_axis], work.padded, *shape[wire.time_axis + 1 :])

    def _joined(self, wire: Wire, works: Sequence[Work]) -> NDArray[Any]:
        """One input of a run, [N, *] or wherever its batch axis is."""
        if wire.name == self.wiring.lengths and works[0].lengths is not None:
            return np.concatenate([work.lengths for work in works if work.lengths is not None])
        parts = [work.asked.tensors[wire.name] for work in works]
        if wire.time_axis is not None and any(work.padded != work.steps for work in works):
            return self._padded(wire, works)
        if len(parts) == 1 or wire.batch_axis is None:
            return np.require(parts[0], requirements=["C", "A"])
        return np.ascontiguousarray(np.concatenate(parts, axis=wire.batch_axis))

    def _padded(self, wire: Wire, works: Sequence[Work]) -> NDArray[Any]:
        shape = list(self._laid_shape(wire, works[0]))
        if wire.batch_axis is not None:
            shape[wire.batch_axis] = sum(work.asked.rows for work in works)
        first = works[0].asked.tensors[wire.name]
        # Zero is a number that every table has a row for.
        laid = np.full(shape, "" if first.dtype == object else 0, first.dtype)
        start = 0
        for work in works:
            laid[_where(wire, work, start)] = work.asked.tensors[wire.name]
            start += work.asked.rows
        return laid


def bucket_of(steps: int) -> int:
    """The length that a request is padded to: 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, ...

    From 8 on two sizes are at most 1.5 times apart: at worst a third of a run is padding,
    and lengths up to 1,000 share 18 sizes. A single step stays one.
    """
    power = 1 << (steps - 1).bit_length()
    return power * 3 // 4 if power >= 16 and steps <= power * 3 // 4 else power


def _where(wire: Wire, work: Work, start: int) -> tuple[slice, ...]:
    """The place of a request's rows and steps inside a run's tensor."""
    slices = [slice(None)] * len(wire.shape)
    if wire.batch_axis is not None:
        slices[wire.batch_axis] = slice(start, start + work.asked.rows)
    if wire.time_axis is not None and work.padded != work.steps:
        slices[wire.time_axis] = slice(work.steps)
    return tuple(slices)


def _cut(value: NDArray[Any], wire: Wire, work: Work, start: int) -> NDArray[Any]:
    """A request's part of an output; of most outputs the rows lie one behind the other."""
    if wire.batch_axis == 0 and (wire.time_axis is None or work.padded == work.steps):
        return value[start : start + work.asked.rows]
    place = list(_where(wire, work, start))
    if wire.time_axis is not None and value.shape[wire.time_axis] != work.padded:
        # As long as it likes, whatever was sent: there is nothing to crop.
        place[wire.time_axis] = slice(None)
    return value[tuple(place)]


def _without(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])


def _digest(value: NDArray[Any]) -> bytes:
    raw = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
    return blake2b(raw, digest_size=16).digest()


def _as_texts(value: NDArray[Any]) -> NDArray[Any]:
    """Texts as they travel; numbers as they are."""
    if value.dtype != object:
        return value
    texts = np.empty(value.shape, object)
    texts.ravel()[:] = [text.encode() for text in value.ravel().tolist()]
    return texts


def _not_finite(asked: Asked) -> StepwireError:
    for name, value in asked.tensors.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return InvalidRequest.of(name, "be finite", "a number that is not")
    return InternalError("the model gave a state that is not finite")
