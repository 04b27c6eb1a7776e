"""How large the numbers of a graph can become, whatever it reads.

A hidden state of an LSTM or a GRU lies in (-1, 1) by construction, so do gates and whatever
tanh made; attention gives a weighted mean of what it looks at, which is no larger than that.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from stepwire_training.int8.opened import Opened
from stepwire_zoo.manifest import State

Bounds = dict[str, float]  # by name: the largest absolute value; math.inf where nobody knows

_Bound = Callable[[str], float]
_Rule = Callable[[Opened, NodeProto, _Bound], float]

BY_TANH = 1.0  # what tanh and the logistic function stay within


def bounds(opened: Opened, known: Mapping[str, float]) -> Bounds:
    """Follows the numbers through a graph.

    Args:
        opened: the graph.
        known: bounds of inputs; those that are left out may be anything.

    Returns:
        Bounds of every tensor that a node makes, and of what is known.
    """
    found: Bounds = dict(known)

    def bound(name: str) -> float:
        if name not in found:
            found[name] = _of_constant(opened.constant(name))
        return found[name]

    for node in opened.nodes:
        rule = _RULES.get(node.op_type)
        for place, name in enumerate(node.output):
            cells = node.op_type == "LSTM" and place == 2  # what it remembers may grow
            found[name] = rule(opened, node, bound) if rule and not cells else math.inf
    return found


def bounded_states(
    opened: Opened,
    states: Sequence[State],
    starts: Mapping[str, float],
    known: Mapping[str, float],
) -> Bounds:
    """Which states of a step stay in (-1, 1): by induction, from their start on.

    Args:
        opened: a step graph.
        states: what it carries on.
        starts: bounds of what begins them, by input.
        known: bounds of its other inputs.

    Returns:
        Bounds of the states that have one, by input.
    """
    assumed = {s.input: BY_TANH for s in states if starts.get(s.input, math.inf) <= BY_TANH}
    while True:
        found = bounds(opened, {**known, **assumed})
        kept = {s.input: BY_TANH for s in states if s.input in assumed and found[s.output] <= 1}
        if kept == assumed:
            return kept
        assumed = kept


def _of_constant(value: NDArray[Any] | None) -> float:
    if value is None or not value.size or value.dtype.kind not in "fiu":
        return math.inf
    return float(np.abs(value).max())


def _by_tanh(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    del opened, node, bound
    return BY_TANH


def _of_cells(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    """Of a recurrent operator with its usual activations, which begins at zeros."""
    del opened, bound
    named = any(each.name == "activations" for each in node.attribute)
    begins = len(node.input) > 5 and bool(node.input[5])
    return math.inf if named or begins else BY_TANH


def _of_first(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    del opened
    return bound(node.input[0])


def _of_all(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    del opened
    return max(bound(name) for name in node.input)


def _of_choice(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    del opened
    return max(bound(name) for name in node.input[1:])


def _of_clip(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    least, most = (opened.constant(name) for name in (*node.input[1:], "", "")[:2])
    limits = [abs(float(limit)) for limit in (least, most) if limit is not None]
    return min(bound(node.input[0]), max(limits)) if len(limits) == 2 else bound(node.input[0])


def _of_product(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    del opened
    factors = [bound(name) for name in node.input]
    return 0.0 if 0.0 in factors else math.prod(factors)


def _of_sum(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    """A sum; a GRU's a + share x (b - a) lies between a and b."""
    for a, change in _either_way(node):
        for share, apart in _either_way(opened.makers.get(change), "Mul"):
            minus = opened.makers.get(apart)
            towards = minus is not None and minus.op_type == "Sub" and minus.input[1] == a
            if minus is not None and towards and _is_share(opened, share):
                return max(bound(a), bound(minus.input[0]))
    return sum(bound(name) for name in node.input)


def _of_mean(opened: Opened, node: NodeProto, bound: _Bound) -> float:
    """A product of matrices; shares of what is looked at, which add up to one, give a mean."""
    weights = opened.makers.get(node.input[0])
    shares = weights is not None and weights.op_type == "Softmax"
    return bound(node.input[1]) if shares else math.inf


def _is_share(opened: Opened, name: str) -> bool:
    """Whether numbers lie in [0, 1]: a gate, or one of several that were made together."""
    node = opened.makers.get(name)
    while node is not None and node.op_type == "Split":
        node = opened.makers.get(node.input[0])
    return node is not None and node.op_type == "Sigmoid"


def _either_way(node: NodeProto | None, operator: str = "Add") -> Iterator[tuple[str, str]]:
    if node is not None and node.op_type == operator and len(node.input) == 2:
        a, b = node.input
        yield from ((a, b), (b, a))


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("Tanh", "Sigmoid", "Softmax"), _by_tanh),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _of_cells),
    **dict.fromkeys(
        (
            *("Cast", "Expand", "Gather", "Identity", "Reshape", "Slice"),
            *("Split", "Squeeze", "Transpose", "Unsqueeze"),
        ),
        _of_first,
    ),
    "Concat": _of_all,
    "Where": _of_choice,
    "Clip": _of_clip,
    "Mul": _of_product,
    "Add": _of_sum,
    "Sub": _of_sum,
    "MatMul": _of_mean,
}
