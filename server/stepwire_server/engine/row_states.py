"""The states of the rows of a run: packed between two runs, tensors inside one.

Shapes: N rows of a run, n of one request, B bytes of a packed state, * a state's own shape.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.layout import Layout
from stepwire_server.engine.tensors import Asked
from stepwire_server.engine.wiring import StatePair, Wire


class RowStates:
    """Knows the layout of a row's state, and where the batch axis of each part is."""

    def __init__(self, pairs: Sequence[StatePair]) -> None:
        """Takes the pairs of a graph; there may be none."""
        self._pairs = pairs
        self._start = {pair.input.name: start_of(pair) for pair in pairs}  # [*]
        self.layout = Layout.like(self._start)
        self._packed_start = self.layout.pack(self._start) if pairs else b""

    def feeds(self, requests: Sequence[Asked]) -> dict[str, NDArray[Any]]:
        """Puts the states of all rows together, each with its batch axis where the graph has it."""
        if not self._pairs:
            return {}
        packed: list[bytes] = []
        for asked in requests:
            packed.extend(self._packed(asked) if asked.states is None else asked.states)
        assert {len(state) for state in packed} == {self.layout.size_bytes}
        block = np.frombuffer(b"".join(packed), np.uint8).reshape(len(packed), -1)  # [N, B]
        return {pair.input.name: _placed(part, pair.input) for pair, part in self._parts(block)}

    def pack(self, outputs: dict[str, NDArray[Any]], rows: int) -> list[bytes]:
        """Packs the states that follow, one for each of N rows."""
        block = np.empty((rows, self.layout.size_bytes), np.uint8)  # [N, B]
        for pair, part in self._parts(block):
            part[...] = _rows_first(outputs[pair.output.name], pair.output)
        return [row.tobytes() for row in block]

    def _parts(self, block: NDArray[np.uint8]) -> Iterator[tuple[StatePair, NDArray[Any]]]:
        """Each part of the states, [N, *], where it lies in packed rows, [N, B].

        So every number is copied once between rows and tensors, whatever its batch axis is.
        """
        start = 0
        for pair, (_, shape, dtype) in zip(self._pairs, self.layout.parts, strict=True):
            end = start + math.prod(shape) * dtype.itemsize
            numbers = block[:, start:end].view(dtype.newbyteorder("<"))
            yield pair, numbers.reshape(len(block), *shape)
            start = end

    def spoiled(self, outputs: dict[str, NDArray[Any]]) -> set[int]:
        """The rows whose next state has a number that is not finite.

        A part that starts with such a number by itself, as a running maximum may, is not
        looked at.
        """
        rows: set[int] = set()
        for pair in self._pairs:
            following = outputs[pair.output.name]
            if following.dtype.kind != "f" or np.isfinite(following).all():
                continue
            if np.isfinite(self._start[pair.input.name]).all():
                finite = np.isfinite(_rows_first(following, pair.output))  # [N, *]
                rows.update(np.flatnonzero(~finite.reshape(len(finite), -1).all(axis=1)).tolist())
        return rows

    def _packed(self, asked: Asked) -> Sequence[bytes]:
        """The state of each row, [n], of a request that brings no packed ones.

        What is not sent along is the start.
        """
        if all(pair.input.name not in asked.tensors for pair in self._pairs):
            return [self._packed_start] * asked.rows
        rows = {pair.input.name: self._sent(pair.input, asked) for pair in self._pairs}
        return [row.tobytes() for row in self.layout.pack_rows(rows)]

    def _sent(self, wire: Wire, asked: Asked) -> NDArray[Any]:
        """What a request brings of one part, or its start, [n, *]."""
        if wire.name in asked.tensors:
            return _rows_first(asked.tensors[wire.name], wire)
        start = self._start[wire.name]
        return np.broadcast_to(start, (asked.rows, *start.shape))


def start_of(pair: StatePair) -> NDArray[Any]:
    """The state that a row begins with, [*], its batch axis left out."""
    wire = pair.input
    shape = tuple(size for axis, size in enumerate(wire.shape) if axis != wire.batch_axis)
    if pair.start is None:
        return np.zeros(shape, wire.dtype)
    assert pair.start.size == math.prod(shape), f"start of {wire.name} is not {shape}"
    return pair.start.astype(wire.dtype).reshape(shape)


def _rows_first(tensor: NDArray[Any], wire: Wire) -> NDArray[Any]:
    """A state as [N, *]; the one state of a graph that takes no rows is one row."""
    return tensor[None] if wire.batch_axis is None else np.moveaxis(tensor, wire.batch_axis, 0)


def _placed(rows: NDArray[Any], wire: Wire) -> NDArray[Any]:
    """A state, [N, *], as the graph has it."""
    if wire.batch_axis is None:
        return np.require(rows[0], requirements=["C", "A"])
    return np.require(np.moveaxis(rows, 0, wire.batch_axis), requirements=["C", "A"])
