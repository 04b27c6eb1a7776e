"""How values flow through someone's graph, as far as its operators say it without running."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import onnx
import onnx.inliner

# Operators that hand values on as they are, at other places or in another shape.
CARRYING = frozenset(
    {
        *("Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice"),
        *("Split", "Concat", "Gather", "Expand", "Dropout", "Pad"),
    }
)
_KEEPING_AXES = frozenset({"Identity", "Cast", "Slice", "Split", "Concat", "Dropout"})
_WIDENING = frozenset({"Cast", "CastLike", "DequantizeLinear", "Identity"})
RECURRENT = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
_STATE_PORTS = {5: "h", 6: "c"}  # inputs of a recurrent operator
_STATE_RESULTS = {1: "h", 2: "c"}  # its outputs
_LENGTHS_PORT = 4


class Place(NamedTuple):
    """An input or output of an operator."""

    node: int
    port: int


class Memory(NamedTuple):
    """A value that an operator carries through the steps it takes."""

    node: int
    what: str  # "h", "c", or "carried" with a number


class Anatomy:
    """A graph's operators and what flows between them."""

    def __init__(self, data: bytes) -> None:
        """Reads an ONNX file that is known to be one."""
        model = onnx.load_model_from_string(data)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        self.nodes = list(model.graph.node)
        self.inputs = [value.name for value in model.graph.input]
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._consumers: dict[str, list[Place]] = {}
        self._producer: dict[str, Place] = {}
        for index, node in enumerate(self.nodes):
            self._enter(index, node)

    def _enter(self, index: int, node: onnx.NodeProto) -> None:
        for port, value in enumerate(node.input):
            self._consumers.setdefault(value, []).append(Place(index, port))
        for port, value in enumerate(node.output):
            self._producer[value] = Place(index, port)
        for value in _captured(node):
            self._consumers.setdefault(value, []).append(Place(index, -1))
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                self._constants[node.output[0]] = attribute.t

    def operators(self) -> set[str]:
        """Kinds of operators in the graph."""
        return {node.op_type for node in self.nodes}

    def label(self, node: int) -> str:
        """What to call an operator in words."""
        name = self.nodes[node].name
        return f"{self.nodes[node].op_type} {name!r}" if name else self.nodes[node].op_type

    def landings(self, name: str) -> set[Place]:
        """Where an input's values arrive as they are, at operators that change them."""
        found, seen, waiting = set(), {name}, [name]
        while waiting:
            for place in self._consumers.get(waiting.pop(), ()):
                node = self.nodes[place.node]
                if not self._carries(node, place.port):
                    found.add(place)
                    continue
                fresh = {value for value in node.output if value not in seen}
                seen |= fresh
                waiting += fresh
        return found

    def origins(self, name: str) -> tuple[set[Place], set[str]]:
        """Where an output's values come from as they are: operators, and inputs."""
        found, carried, seen, waiting = set(), set(), {name}, [name]
        while waiting:
            value = waiting.pop()
            place = self._producer.get(value)
            if place is None:
                carried |= {value} & {*self.inputs}
                continue
            node = self.nodes[place.node]
            if node.op_type not in CARRYING:
                found.add(place)
                continue
            ports = range(len(node.input)) if node.op_type == "Concat" else range(1)
            fresh = {node.input[port] for port in ports} - seen
            seen |= fresh
            waiting += fresh
        return found, carried

    def depends(self, output: str) -> set[str]:
        """Inputs that an output may depend on."""
        seen, waiting = {output}, [output]
        while waiting:
            place = self._producer.get(waiting.pop())
            if place is None:
                continue
            node = self.nodes[place.node]
            fresh = {*node.input, *_captured(node)} - seen
            seen |= fresh
            waiting += fresh
        return seen & {*self.inputs}

    def memories_read(self, name: str) -> set[Memory]:
        """The memories that begin with an input's values."""
        kept = (self._memory_read(place) for place in self.landings(name))
        return {memory for memory in kept if memory}

    def memories_given(self, name: str) -> set[Memory]:
        """The memories that end as an output's values."""
        kept = (self._memory_given(place) for place in self.origins(name)[0])
        return {memory for memory in kept if memory}

    def reads_lengths(self, name: str) -> str:
        """The recurrent operator that takes an input as its sequence_lens, in words, or ""."""
        for place in sorted(self.landings(name)):
            if self.nodes[place.node].op_type in RECURRENT and place.port == _LENGTHS_PORT:
                return self.label(place.node)
        return ""

    def rows_looked_up(self, name: str) -> int | None:
        """How many rows the table has that an input's values look up; the smallest of them."""
        sizes = [self._table_rows(place) for place in self._lookups(name)]
        return min((size for size in sizes if size), default=None)

    def axis_roles(self, name: str, rank: int) -> dict[int, tuple[str, str]]:
        """What recurrent operators make of an input's axes: "batch" or "time", and the operator."""
        waiting, seen = [(name, tuple(range(rank)))], {name}
        while waiting:
            value, axes = waiting.pop()
            for place in self._consumers.get(value, ()):
                node = self.nodes[place.node]
                if node.op_type in RECURRENT and place.port in (0, 5, 6):
                    return self._recurrent_roles(place, axes)
                following = self._axes_after(node, place.port, axes)
                for output in node.output if following else ():
                    if following and output not in seen:
                        seen.add(output)
                        waiting.append((output, following))
        return {}

    def _recurrent_roles(self, place: Place, axes: tuple[int, ...]) -> dict[int, tuple[str, str]]:
        node = self.nodes[place.node]
        batch_first = any(a.name == "layout" and a.i == 1 for a in node.attribute)
        batch, time = (0, 1) if batch_first else (1, 0)
        roles = {batch: "batch", time: "time"} if place.port == 0 else {batch: "batch"}
        label = self.label(place.node)
        return {axes[at]: (role, label) for at, role in roles.items() if at < len(axes)}

    def _axes_after(
        self, node: onnx.NodeProto, port: int, axes: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """Where the axes of an operator's input stand in its output; None: nobody knows."""
        if node.op_type == "Transpose":
            perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
            order = perm or list(range(len(axes)))[::-1]
            return tuple(axes[at] for at in order) if len(order) == len(axes) else None
        looked_up = node.op_type == "Gather" and port == 1
        changed = node.op_type == "MatMul" and port == 0  # its last axis, but no other
        if looked_up or changed or (node.op_type in _KEEPING_AXES and port == 0):
            return axes
        if node.op_type in ("Add", "Mul", "Sub", "Div", "Relu", "Tanh") and port == 0:
            return axes
        return None

    def _carries(self, node: onnx.NodeProto, port: int) -> bool:
        return node.op_type in CARRYING and (port == 0 or node.op_type == "Concat")

    def _memory_read(self, place: Place) -> Memory | None:
        node = self.nodes[place.node]
        if node.op_type in RECURRENT and place.port in _STATE_PORTS:
            return Memory(place.node, _STATE_PORTS[place.port])
        if node.op_type == "Loop" and place.port >= 2:
            return Memory(place.node, f"carried {place.port - 2}")
        if node.op_type == "Scan" and 0 <= place.port < _scan_states(node):
            return Memory(place.node, f"carried {place.port}")
        return None

    def _memory_given(self, place: Place) -> Memory | None:
        node = self.nodes[place.node]
        if node.op_type in RECURRENT and place.port in _STATE_RESULTS:
            return Memory(place.node, _STATE_RESULTS[place.port])
        if node.op_type == "Loop" and place.port < len(node.input) - 2:
            return Memory(place.node, f"carried {place.port}")
        if node.op_type == "Scan" and place.port < _scan_states(node):
            return Memory(place.node, f"carried {place.port}")
        return None

    def _lookups(self, name: str) -> Iterator[Place]:
        """Places where an input's values are used as row numbers."""
        for place in self.landings(name):
            if self.nodes[place.node].op_type == "Gather" and place.port == 1:
                yield place

    def _table_rows(self, place: Place) -> int | None:
        node = self.nodes[place.node]
        table = self._constant_behind(node.input[0])
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        return int(table.dims[axis]) if table is not None and len(table.dims) > axis else None

    def _constant_behind(self, name: str) -> onnx.TensorProto | None:
        """A constant, perhaps stored in fewer bits than it is used in, and a scale for each row."""
        while name not in self._constants:
            place = self._producer.get(name)
            if place is None:
                return None
            node = self.nodes[place.node]
            if node.op_type == "Mul":
                parts = [self._constant_behind(each) for each in node.input]
                known = [part for part in parts if part is not None]
                widest = max(known, key=lambda part: math.prod(part.dims), default=None)
                return widest if len(known) == len(parts) else None
            if node.op_type not in _WIDENING:
                return None
            name = node.input[0]
        return self._constants[name]


def _scan_states(node: onnx.NodeProto) -> int:
    scanned = next((a.i for a in node.attribute if a.name == "num_scan_inputs"), 0)
    return len(node.input) - int(scanned)


def _captured(node: onnx.NodeProto) -> set[str]:
    """Outer values that the bodies of an operator use."""
    bodies = [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    used: set[str] = set()
    for body in bodies:
        own = {value.name for value in body.input} | {t.name for t in body.initializer}
        for inner in body.node:
            used |= ({*inner.input} | _captured(inner)) - own
            own |= {*inner.output}
        used |= {value.name for value in body.output} - own
    return used
