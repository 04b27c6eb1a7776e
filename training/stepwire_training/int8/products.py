"""Replaces products by constant matrices with products of 8-bit integers.

N rows, I inputs of a product, G outputs. With inputs x = s (q - 128) for uint8 q and known
scales s, and weights w = t v for int8 v and one scale t for each output,

    x W = t * ((q - 128) V)  where W's rows have taken in the scales s,

so one product of integers, which is exact, serves all inputs of a layer however their scales
differ, and one multiplication brings it back. Weights are int8 and inputs are uint8 because
that is the pair for which CPUs have an instruction.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from stepwire_training.int8.bounds import bounds
from stepwire_training.int8.opened import Opened, attribute

ZERO = 128  # what stands for 0 among the inputs
LARGEST = 127  # steps to the largest input or weight
LEAST_WEIGHTS = 1 << 14  # of a matrix; below, quantising costs more than the product
MOST_IN_TABLE = 1 << 19  # numbers that a table of products may hold

Floats = NDArray[Any]  # of float32 or float64


class _Product(NamedTuple):
    """A product by a constant matrix, and what is added to it."""

    x: str  # [..., I]
    weight: Floats  # [I, G]
    bias: Floats | None  # [G]
    output: str


class _Part(NamedTuple):
    """Some of the inputs of a product, quantised."""

    name: str  # uint8 [..., *]
    scales: Floats  # [*]


def quantised(
    content: bytes, known: Mapping[str, float], least: int = LEAST_WEIGHTS
) -> bytes | None:
    """A graph with its products in 8 bits, where what is multiplied has bounds.

    Args:
        content: the ONNX file.
        known: bounds of its inputs, by name.
        least: weights that a matrix must have.

    Returns:
        The file of a graph with the same inputs and outputs; None if there is nothing to do.
    """
    return _Rewriting(Opened(content), known, least).run()


class _Rewriting:
    """A graph that is being written anew."""

    def __init__(self, opened: Opened, known: Mapping[str, float], least: int) -> None:
        self._opened = opened
        self._least = least
        self._bounds = bounds(opened, known)
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []
        self._quantised: dict[str, _Part] = {}
        self._written: set[str] = set()  # tensors that a product gives, its bias added

    def run(self) -> bytes | None:
        """Writes it; None if it stays as it is."""
        done = [self._replace(node) for node in self._opened.nodes]
        if not any(done):
            return None
        model = self._opened.model
        del model.graph.node[:], model.graph.value_info[:]
        model.graph.initializer.extend(self._weights)
        model.graph.node.extend(self._nodes)
        _drop_unused(model.graph)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def _replace(self, node: NodeProto) -> bool:
        """Writes a node, or what stands for it; says whether it is another."""
        if node.output[0] in self._written:
            return False
        product = self._product(node)
        pays = product is not None and product.weight.size >= self._least
        if product is not None and pays and self._write_product(product):
            return True
        self._nodes.append(node)
        return False

    def _product(self, node: NodeProto) -> _Product | None:
        if node.op_type not in ("MatMul", "Gemm"):
            return None
        weight = self._opened.constant(node.input[1])
        if weight is None or weight.ndim != 2:
            return None
        if node.op_type == "MatMul":
            return self._with_bias(node, weight)
        if attribute(node, "transA", 0) or any(a.name in ("alpha", "beta") for a in node.attribute):
            return None
        bias = self._opened.constant(node.input[2]) if len(node.input) > 2 else None
        return _Product(
            node.input[0],
            weight.T if attribute(node, "transB", 0) else weight,
            bias,
            node.output[0],
        )

    def _with_bias(self, node: NodeProto, weight: Floats) -> _Product:
        """A product of matrices, with the constant that the one node that reads it adds."""
        x, product = node.input[0], node.output[0]
        readers = [other for other in self._opened.nodes if product in other.input]
        if len(readers) == 1 == self._opened.uses[product] and readers[0].op_type == "Add":
            (added,) = set(readers[0].input) - {product}
            bias = self._opened.constant(added)
            if bias is not None and bias.shape == weight.shape[1:]:
                return _Product(x, weight, bias, readers[0].output[0])
        return _Product(x, weight, None, product)

    def _write_product(self, product: _Product) -> bool:
        """Writes a product in integers; says whether its inputs let it."""
        names = self._inputs(product.x)
        widths = [self._opened.width(name) for name in names]
        if sum(widths) != len(product.weight) or 0 in widths:
            return False
        rows = np.split(product.weight.astype(np.float64), np.cumsum(widths)[:-1])
        parts = list(zip(names, rows, strict=True))
        looked_up = [part for part in parts if self._fits_table(*part)]
        multiplied = [part for part in parts if not self._fits_table(*part)]
        if not all(self._can_quantise(name) for name, _ in multiplied):
            return False
        bias = product.bias
        terms = []
        for name, part in looked_up:
            terms.append(self._table(name, part, bias))
            bias = None  # it is in the table
        if multiplied:
            terms.append(self._integers(multiplied))
        if bias is not None:
            terms.append(self._weight(bias.astype(np.float32)))
        self._sum(terms, product.output)
        self._written.add(product.output)
        return True

    def _inputs(self, x: str) -> list[str]:
        """What a tensor was joined of, along its last axis."""
        maker = self._opened.makers.get(x)
        if maker is None or maker.op_type != "Concat":
            return [x]
        last = attribute(maker, "axis", 0) in (-1, self._opened.dimensions(x) - 1)
        return list(maker.input) if last else [x]

    def _looked_up(self, name: str) -> tuple[Floats, NodeProto] | None:
        """The table of which a tensor is rows, and who takes them."""
        maker = self._opened.makers.get(name)
        if maker is None or maker.op_type != "Gather" or attribute(maker, "axis", 0):
            return None
        table = self._opened.constant(maker.input[0])
        return (table, maker) if table is not None and table.ndim == 2 else None

    def _fits_table(self, name: str, weight: Floats) -> bool:
        found = self._looked_up(name)
        return found is not None and len(found[0]) * weight.shape[1] <= MOST_IN_TABLE

    def _table(self, name: str, weight: Floats, bias: Floats | None) -> str:
        """Products of every row of a table, of which one is taken."""
        found = self._looked_up(name)
        assert found is not None
        table, maker = found
        products = table.astype(np.float64) @ weight + (0.0 if bias is None else bias)
        return self._node("Gather", [self._weight(products.astype(np.float32)), maker.input[1]])

    def _can_quantise(self, name: str) -> bool:
        return self._looked_up(name) is not None or math.isfinite(self._bounds[name])

    def _integers(self, parts: list[tuple[str, Floats]]) -> str:
        """The product of some inputs by their rows of the matrix."""
        quantised = [self._quantise(name) for name, _ in parts]
        rows = [
            part.scales[:, None] * weight
            for part, (_, weight) in zip(quantised, parts, strict=True)
        ]
        integers, scales = _by_column(np.concatenate(rows))
        x = quantised[0].name
        if len(quantised) > 1:
            x = self._node("Concat", [part.name for part in quantised], axis=-1)
        zero = self._weight(np.array(ZERO, np.uint8), "zero")
        total = self._node("MatMulInteger", [x, self._weight(integers), zero])
        wide = self._node("Cast", [total], to=TensorProto.FLOAT)
        return self._node("Mul", [wide, self._weight(scales)])

    def _quantise(self, name: str) -> _Part:
        """A tensor in 8 bits; once, however many products read it."""
        if name not in self._quantised:
            found = self._looked_up(name)
            self._quantised[name] = self._rows(*found) if found else self._bounded(name)
        return self._quantised[name]

    def _rows(self, table: Floats, maker: NodeProto) -> _Part:
        """Rows of a table, which knows its own range: a scale for each column."""
        most = np.abs(table).max(axis=0).astype(np.float64)
        scales = np.where(most > 0, most, 1.0) / LARGEST
        integers = (np.rint(table / scales) + ZERO).astype(np.uint8)
        return _Part(self._node("Gather", [self._weight(integers), maker.input[1]]), scales)

    def _bounded(self, name: str) -> _Part:
        scale = np.float32((self._bounds[name] or 1.0) / LARGEST)
        zero = self._weight(np.array(ZERO, np.uint8), "zero")
        given = self._weight(np.array(scale), f"scale_{scale!r}")
        width = self._opened.width(name)
        integers = self._node("QuantizeLinear", [name, given, zero])
        return _Part(integers, np.full(width, float(scale)))

    def _sum(self, terms: list[str], output: str) -> None:
        """Adds terms up, the last addition under a given name."""
        if len(terms) == 1:
            self._nodes.append(helper.make_node("Identity", terms, [output]))
            return
        total = terms[0]
        for term in terms[1:-1]:
            total = self._node("Add", [total, term])
        self._nodes.append(helper.make_node("Add", [total, terms[-1]], [output]))

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"int8_{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _weight(self, value: NDArray[Any], name: str = "") -> str:
        """Stores a constant; one with a name of its own once."""
        name = f"int8_{name or len(self._weights)}"
        if name not in (stored.name for stored in self._weights):
            self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _by_column(weight: Floats) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights [I, G] as integers, and what the product by them is to be multiplied with, [G]."""
    most = np.abs(weight).max(axis=0)
    scales = np.where(most > 0, most, 1.0) / LARGEST
    return np.rint(weight / scales).astype(np.int8), scales.astype(np.float32)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Leaves out what no output needs."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(node.input)
    stored = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(stored)
