"""What 8 bits would be worth to graphs of whole sequences: `python -m benchmarks.sequences`.

One layer over padded rows, on one thread: ONNX Runtime's LSTM in float32, its DynamicQuantizeLSTM,
whose scale depends on the whole batch, and a cell that is written out for every position with
bounded scales, as step graphs have it. Weights are random. Prints milliseconds a run.

Shapes: T positions, N rows, I inputs, H units.
"""

import time
from statistics import median

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from benchmarks import machine

LENGTH, INPUTS, UNITS = 32, 128, 128
ROWS = (1, 8, 32, 64, 128)
RUNS = 15

Weights = dict[str, NDArray[np.generic]]


def main() -> None:
    """Prints a table."""
    print(machine.describe(), f"load average {machine.load_average()}")
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.1, (4 * UNITS, size)) for size in (INPUTS, UNITS)]
    ways = {
        "LSTM, float32": _lstm(*weights),
        "DynamicQuantizeLSTM": _dynamic(*weights),
        "cell by cell, bounded int8": _written_out(*weights),
    }
    print("| rows |", " | ".join(ways), "|")
    for rows in ROWS:
        x = np.tanh(rng.normal(size=(LENGTH, rows, INPUTS))).astype(np.float32)
        feeds = {"x": x, "lengths": np.full(rows, LENGTH, np.int32)}
        times = [f"{_milliseconds(way, feeds):.2f}" for way in ways.values()]
        print(f"| {rows} |", " | ".join(times), "|")


def _milliseconds(session: onnxruntime.InferenceSession, feeds: Weights) -> float:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        session.run(None, feeds)
        took.append(time.perf_counter() - began)
    return 1e3 * median(took)


def _lstm(w: NDArray[np.float64], r: NDArray[np.float64]) -> onnxruntime.InferenceSession:
    node = helper.make_node("LSTM", ["x", "w", "r", "b", "lengths"], ["y"], hidden_size=UNITS)
    weights = {"w": w[None], "r": r[None], "b": np.zeros((1, 8 * UNITS))}
    return _session([node], {name: value.astype(np.float32) for name, value in weights.items()})


def _dynamic(w: NDArray[np.float64], r: NDArray[np.float64]) -> onnxruntime.InferenceSession:
    inputs = ["x", "w", "r", "b", "lengths", "", "", "", "ws", "wz", "rs", "rz"]
    node = helper.make_node(
        "DynamicQuantizeLSTM", inputs, ["y"], domain="com.microsoft", hidden_size=UNITS
    )
    weights: Weights = {"b": np.zeros((1, 8 * UNITS), np.float32)}
    for name, matrix in (("w", w), ("r", r)):
        integers, scales = _by_column(matrix.T)
        weights |= {name: integers[None], f"{name}s": scales[None]}
        weights[f"{name}z"] = np.zeros((1, 4 * UNITS), np.int8)
    return _session([node], weights)


def _written_out(w: NDArray[np.float64], r: NDArray[np.float64]) -> onnxruntime.InferenceSession:
    nodes: list[NodeProto] = []
    weights: Weights = {
        "step": np.float32(1 / 127),
        "zero": np.uint8(128),
        "gates": np.array([3 * UNITS, UNITS]),
        "time": np.array([0]),
        "column": np.array([1]),
    }
    for name, matrix in (("w", w), ("r", r)):
        weights[name], scales = _by_column(matrix.T)
        weights[f"{name}s"] = scales / 127

    def node(operator: str, inputs: list[str], outputs: int = 1, **attributes: object) -> list[str]:
        names = [f"{operator}_{len(nodes)}_{n}" for n in range(outputs)]
        nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def product(x: str, name: str) -> str:
        [integers] = node("QuantizeLinear", [x, "step", "zero"])
        [total] = node("MatMulInteger", [integers, name, "zero"])
        [wide] = node("Cast", [total], to=TensorProto.FLOAT)
        return node("Mul", [wide, f"{name}s"])[0]

    h = c = ""
    read = node("Split", [product("x", "w")], LENGTH, axis=0, num_outputs=LENGTH)
    told = []
    for position, x in enumerate(read):
        [gates] = node("Squeeze", [x, "time"])
        if h:
            [gates] = node("Add", [gates, product(h, "r")])
        opening, candidate = node("Split", [gates, "gates"], 2, axis=1)
        admit, keep, show = node("Split", node("Sigmoid", [opening]), 3, axis=1, num_outputs=3)
        [c_next] = node("Mul", [admit, *node("Tanh", [candidate])])
        if c:
            [c_next] = node("Add", [c_next, *node("Mul", [keep, c])])
        [h_next] = node("Mul", [show, *node("Tanh", [c_next])])
        told += node("Unsqueeze", [h_next, "time"])
        if h:
            weights[f"position_{position}"] = np.int32(position)
            [inside] = node("Less", [f"position_{position}", "lengths"])
            [inside] = node("Unsqueeze", [inside, "column"])
            [h_next] = node("Where", [inside, h_next, h])
            [c_next] = node("Where", [inside, c_next, c])
        h, c = h_next, c_next
    nodes.append(helper.make_node("Concat", told, ["y"], axis=0))
    return _session(nodes, weights)


def _by_column(matrix: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    scales = np.abs(matrix).max(axis=0) / 127
    return np.rint(matrix / scales).astype(np.int8), scales.astype(np.float32)


def _session(nodes: list[NodeProto], weights: Weights) -> onnxruntime.InferenceSession:
    graph = helper.make_graph(
        nodes,
        "layer",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [LENGTH, "N", INPUTS]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["N"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in weights.items()],
    )
    domains = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, ir_version=10, opset_imports=domains)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


if __name__ == "__main__":
    main()
