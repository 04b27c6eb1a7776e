"""Graphs as other people export them, and their wirings. Weights are random, fixed by a seed."""

import numpy as np
from onnx import TensorProto, helper

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.runtime import OnnxGraph
from stepwire_server.engine.tensor_graph import TensorGraph
from stepwire_server.engine.wiring import StatePair, Wire, Wiring
from support.tiny import onnx_file

FEATURES, HIDDEN, LAYERS, VOCABULARY = 3, 8, 2, 20
FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32


def _weights(seed=0):
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return (0.4 * rng.normal(size=shape)).astype(np.float32)

    return weight


def _lstm_layers(weight, first, lengths=""):
    """Layers above each other, their states stacked as PyTorch has them: [L, N, H]."""
    nodes, values, below, width = [], {"one": np.array([1], np.int64)}, first, FEATURES
    for part in ("h", "c"):
        each = [f"{part}0_{layer}" for layer in range(LAYERS)]
        nodes.append(helper.make_node("Split", [f"{part}0"], each, axis=0, num_outputs=LAYERS))
    for layer in range(LAYERS):
        values[f"W{layer}"] = weight(1, 4 * HIDDEN, width)
        values[f"R{layer}"] = weight(1, 4 * HIDDEN, HIDDEN)
        inputs = [below, f"W{layer}", f"R{layer}", "", lengths, f"h0_{layer}", f"c0_{layer}"]
        outputs = [f"Y{layer}", f"h1_{layer}", f"c1_{layer}"]
        nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=HIDDEN))
        nodes.append(helper.make_node("Squeeze", [f"Y{layer}", "one"], [f"y{layer}"]))
        below, width = f"y{layer}", HIDDEN
    for part in ("h", "c"):
        each = [f"{part}1_{layer}" for layer in range(LAYERS)]
        nodes.append(helper.make_node("Concat", each, [f"{part}n"], axis=0))
    return nodes, values, below


def lstm_file(*, lengths=False):
    """x [N, T, F], h0 and c0 [L, N, H] to y [N, T, H], last [N, H], hn and cn."""
    nodes, values, top = _lstm_layers(_weights(), "xt", "lengths" if lengths else "")
    nodes.insert(0, helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]))
    nodes.append(helper.make_node("Transpose", [top], ["y"], perm=[1, 0, 2]))
    nodes.append(helper.make_node("Gather", ["hn", "minus_one"], ["last"], axis=0))
    values["minus_one"] = np.array(-1, np.int64)
    state = (FLOAT, [LAYERS, "N", HIDDEN])
    inputs = {"x": (FLOAT, ["N", "T", FEATURES]), "h0": state, "c0": state}
    if lengths:
        inputs["lengths"] = (INT32, ["N"])
    outputs = {"y": (FLOAT, ["N", "T", HIDDEN]), "last": (FLOAT, ["N", HIDDEN])}
    return onnx_file(nodes, values, inputs, {**outputs, "hn": state, "cn": state})


def lstm_wiring(*, lengths=False, start=None, merges=True):
    state = {"dtype": "float32", "shape": (LAYERS, -1, HIDDEN), "batch_axis": 1}
    wires = [Wire(name="x", dtype="float32", shape=(-1, -1, FEATURES), batch_axis=0, time_axis=1)]
    if lengths:
        wires.append(Wire(name="lengths", dtype="int32", shape=(-1,), batch_axis=0))
    return Wiring(
        inputs=tuple(wires),
        outputs=(
            Wire(name="y", dtype="float32", shape=(-1, -1, HIDDEN), batch_axis=0, time_axis=1),
            Wire(name="last", dtype="float32", shape=(-1, HIDDEN), batch_axis=0),
        ),
        # The file has h before c in its inputs and outputs; nothing may lean on that.
        states=(
            StatePair(input=Wire(name="c0", **state), output=Wire(name="cn", **state), start=start),
            StatePair(input=Wire(name="h0", **state), output=Wire(name="hn", **state)),
        ),
        lengths="lengths" if lengths else None,
        merges=merges,
    )


def classifier_file():
    """ids [N, T] and a scale [1] for all rows to logits [N, T, 2] and a label for each row."""
    weight = _weights(1)
    nodes = [
        helper.make_node("Gather", ["embed", "ids"], ["found"]),
        helper.make_node("Tanh", ["found"], ["bent"]),
        helper.make_node("MatMul", ["bent", "output"], ["raw"]),
        helper.make_node("Mul", ["raw", "scale"], ["logits"]),
        helper.make_node("Gather", ["words", "first"], ["name"]),
        helper.make_node("Gather", ["ids", "zero"], ["first"], axis=1),
    ]
    nodes[4], nodes[5] = nodes[5], nodes[4]
    values = {
        "embed": weight(VOCABULARY, 4),
        "output": weight(4, 2),
        "zero": np.array(0, np.int64),
        "words": np.array([f"wörd {n}" for n in range(VOCABULARY)], object),
    }
    inputs = {"ids": (INT64, ["N", "T"]), "scale": (FLOAT, [1])}
    outputs = {"logits": (FLOAT, ["N", "T", 2]), "name": (TensorProto.STRING, ["N"])}
    return onnx_file(nodes, values, inputs, outputs)


def classifier_wiring():
    return Wiring(
        inputs=(
            Wire(name="ids", dtype="int64", shape=(-1, -1), batch_axis=0, time_axis=1),
            Wire(name="scale", dtype="float32", shape=(1,), batch_axis=None),
        ),
        outputs=(
            Wire(name="logits", dtype="float32", shape=(-1, -1, 2), batch_axis=0, time_axis=1),
            Wire(name="name", dtype="bytes", shape=(-1,), batch_axis=0),
        ),
    )


def counter_file():
    """total' = total + x, without rows: x [2] and total [2]."""
    nodes = [
        helper.make_node("Add", ["total", "x"], ["total_next"]),
        helper.make_node("Identity", ["total_next"], ["y"]),
    ]
    two = (FLOAT, [2])
    return onnx_file(nodes, {}, {"x": two, "total": two}, {"y": two, "total_next": two})


def counter_wiring():
    def wire(name):
        return Wire(name=name, dtype="float32", shape=(2,), batch_axis=None)

    start = np.array([10, 20], np.float32)
    pair = StatePair(input=wire("total"), output=wire("total_next"), start=start)
    return Wiring(inputs=(wire("x"),), outputs=(wire("y"),), states=(pair,))


def open_graph(file):
    return OnnxGraph(file, "model.onnx", RuntimeConfig())


def tensor_graph(file, wiring):
    return TensorGraph(open_graph(file), wiring)


def lstm(**settings):
    return tensor_graph(lstm_file(lengths=settings.get("lengths", False)), lstm_wiring(**settings))


def classifier():
    return tensor_graph(classifier_file(), classifier_wiring())


def counter():
    return tensor_graph(counter_file(), counter_wiring())


def mixed():
    """States of many types, packed at odd places: flags [N, 3], a count [N], a sum [1, N]."""
    nodes = [
        helper.make_node("Not", ["flags"], ["flags_next"]),
        helper.make_node("Add", ["count", "one"], ["count_next"]),
        helper.make_node("Add", ["sum", "x"], ["sum_next"]),
        helper.make_node("Identity", ["count_next"], ["y"]),
    ]
    kinds = {
        "flags": (TensorProto.BOOL, ["N", 3]),
        "count": (INT64, ["N"]),
        "sum": (TensorProto.DOUBLE, [1, "N"]),
    }
    x = {"x": (TensorProto.DOUBLE, [1, "N"])}
    following = {f"{name}_next": kind for name, kind in kinds.items()}
    file = onnx_file(
        nodes,
        {"one": np.array(1, np.int64)},
        {**x, **kinds},
        {"y": kinds["count"], **following},
    )
    shapes = {"flags": ("bool", (-1, 3), 0), "count": ("int64", (-1,), 0)}
    shapes["sum"] = ("float64", (1, -1), 1)
    starts = {"flags": np.array([True, False, True]), "count": np.array(40)}

    def wire(name, end=""):
        dtype, shape, axis = shapes[name]
        return Wire(name=name + end, dtype=dtype, shape=shape, batch_axis=axis)

    pairs = tuple(
        StatePair(input=wire(name), output=wire(name, "_next"), start=starts.get(name))
        for name in shapes
    )
    wiring = Wiring(
        inputs=(Wire(name="x", dtype="float64", shape=(1, -1), batch_axis=1),),
        outputs=(Wire(name="y", dtype="int64", shape=(-1,)),),
        states=pairs,
    )
    return tensor_graph(file, wiring)
