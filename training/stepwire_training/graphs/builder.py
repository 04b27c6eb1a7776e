"""Collects the nodes and weights of an ONNX graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from stepwire_training.eight_bits import Rows, in_8_bits

OPSET = 20
IR_VERSION = 10  # of the ONNX file; what that opset was released with

SHORTENED_FROM = 4096  # elements; of what is smaller, fewer bits would save nothing worth a node

Shape = Sequence[str | int]


class GraphBuilder:
    """A graph in the making; its methods answer with the names of tensors."""

    def __init__(self, name: str, before: str = "") -> None:
        """Begins a graph.

        Args:
            name: of the graph.
            before: what the names of its tensors begin with, if it stands inside another.
        """
        self._name = name
        self._before = before
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._numbers: dict[float, str] = {}
        self._whole: dict[int, str] = {}

    def input(self, name: str, kind: type[np.generic], shape: Shape) -> str:
        """Declares an input."""
        self._inputs.append(_declared(name, kind, shape))
        return name

    def output(
        self, name: str, source: str, shape: Shape, kind: type[np.generic] = np.float32
    ) -> None:
        """Declares an output, under its own name."""
        self._nodes.append(helper.make_node("Identity", [source], [name]))
        self._outputs.append(_declared(name, kind, shape))

    def weight(self, name: str, value: Tensor | NDArray[Any]) -> str:
        """Stores a constant; in a quarter or half of the bytes where not a bit is lost by it.

        ONNX Runtime widens it once, when it loads the graph.
        """
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        rows = _rows(array)
        if rows is not None:
            scales = self._widened(f"{name}_scales", rows.scales)
            return self.op("Mul", self._widened(name, rows.whole), scales)
        halved = _halved(array)
        return self._stored(name, array) if halved is None else self._widened(name, halved)

    def joined(self, name: str, parts: Sequence[Tensor], axis: int) -> str:
        """Stores matrices side by side; each by itself where its scales are its own."""
        if all(_rows(part.detach().numpy()) is None for part in parts):
            return self.weight(name, torch.cat(list(parts), dim=axis))
        stored = [self.weight(f"{name}_{n}", part) for n, part in enumerate(parts)]
        return self.node("Concat", stored, axis=axis)

    def _stored(self, name: str, array: NDArray[Any]) -> str:
        self._weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def _widened(self, name: str, array: NDArray[Any]) -> str:
        """Stores an array of few bits; gives it as float32."""
        return self.node("Cast", [self._stored(name, array)], to=onnx.TensorProto.FLOAT)

    def integers(self, name: str, *values: int) -> str:
        """Stores a short list of integers: a shape, axes, sizes."""
        return self.weight(name, np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """Stores a float32, once however often it is asked for."""
        if value not in self._numbers:
            name = f"{self._before}number_{len(self._numbers)}"
            self._numbers[value] = self.weight(name, np.array(value, np.float32))
        return self._numbers[value]

    def whole_number(self, value: int) -> str:
        """Stores an int64, once however often it is asked for."""
        if value not in self._whole:
            name = f"{self._before}whole_number_{len(self._whole)}"
            self._whole[value] = self.weight(name, np.array(value, np.int64))
        return self._whole[value]

    def shaped(self, tensor: str, *sizes: int) -> str:
        """Gives the rows of a tensor another shape."""
        shape = self.integers(f"shape_{len(self._nodes)}", 0, *sizes)
        return self.node("Reshape", [tensor, shape])

    def op(self, operator: str, *inputs: str) -> str:
        """Adds a node that has one output and no settings."""
        return self.node(operator, inputs)

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node with one output."""
        return self.nodes(operator, inputs, 1, **attributes)[0]

    def nodes(
        self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> list[str]:
        """Adds a node with several outputs."""
        node = f"{self._before}{operator.lower()}_{len(self._nodes)}"
        names = [f"{node}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def inner(self, name: str) -> "GraphBuilder":
        """A graph that is to run inside this one (see scan); it may read this one's tensors."""
        return GraphBuilder(name, before=f"{name}_")

    def scan(self, body: "GraphBuilder", states: Sequence[str], read: Sequence[str]) -> list[str]:
        """Runs an inner graph once for each place along axis 0 of some tensors.

        Args:
            body: its inputs are the states and then what stands at a place; its outputs are
                the next states.
            states: where they begin.
            read: the tensors [T, *].

        Returns:
            The last states.
        """
        return self.nodes(
            "Scan",
            [*states, *read],
            len(states),
            body=body._graph(),
            num_scan_inputs=len(read),
        )

    def _graph(self) -> onnx.GraphProto:
        return helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, self._weights
        )

    def build(self) -> bytes:
        """The checked file."""
        model = helper.make_model(
            self._graph(),
            producer_name="stepwire",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


def reordered(gates: Sequence[int], hidden: int) -> Tensor:
    """Where the rows of a weight [G x H, I] go when its gates change order: int64 [G x H]."""
    starts = torch.tensor(gates).unsqueeze(1) * hidden  # [G, 1]
    return (starts + torch.arange(hidden)).flatten()


def _rows(array: NDArray[Any]) -> Rows | None:
    """A large array in 8 bits, if they hold each number exactly, as it is or turned round."""
    if array.dtype != np.float32 or array.size < SHORTENED_FROM or array.ndim < 2:
        return None
    tried = (in_8_bits(array, along) for along in (-1, -2))
    return next((rows for rows in tried if np.array_equal(rows.widened(), array)), None)


def _halved(array: NDArray[Any]) -> NDArray[np.float16] | None:
    """A large array as float16, if that holds every number of it exactly."""
    if array.dtype != np.float32 or array.size < SHORTENED_FROM:
        return None
    with np.errstate(over="ignore"):
        halved = array.astype(np.float16)
    return halved if np.array_equal(halved.astype(np.float32), array) else None


def _declared(name: str, kind: type[np.generic], shape: Shape) -> onnx.ValueInfoProto:
    code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    return helper.make_tensor_value_info(name, code, shape)
