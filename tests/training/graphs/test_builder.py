import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper

from stepwire_training import parity
from stepwire_training.eight_bits import in_8_bits
from stepwire_training.graphs.builder import SHORTENED_FROM, GraphBuilder
from stepwire_training.int8.opened import Opened


def scaled_by(weight: torch.Tensor) -> bytes:
    graph = GraphBuilder("scale")
    x = graph.input("x", np.float32, ["N", weight.shape[0]])
    graph.output("y", graph.node("MatMul", [x, graph.weight("weight", weight)]), ["N", "M"])
    return graph.build()


def stored(graph: bytes) -> np.ndarray:
    (part,) = onnx.load_from_string(graph).graph.initializer
    return numpy_helper.to_array(part)


def test_a_large_weight_that_half_precision_holds_is_stored_so_and_loses_nothing():
    weight = torch.randn(64, SHORTENED_FROM // 64).half().float()
    graph = scaled_by(weight)
    x = np.eye(64, dtype=np.float32)

    assert stored(graph).dtype == np.float16
    assert np.array_equal(parity.run(parity.session(graph), {"x": x})["y"], weight.numpy())


def test_a_weight_that_would_lose_a_bit_is_stored_whole():
    weight = torch.randn(64, SHORTENED_FROM // 64)

    assert stored(scaled_by(weight)).dtype == np.float32
    assert stored(scaled_by(weight * 1e30)).dtype == np.float32


def test_a_small_weight_is_stored_whole():
    assert stored(scaled_by(torch.ones(2, 2))).dtype == np.float32


def table_in_8_bits() -> np.ndarray:
    random = np.random.default_rng(0).normal(size=(64, SHORTENED_FROM // 64))
    return in_8_bits(random.astype(np.float32)).widened()


def test_a_large_table_that_8_bits_hold_is_stored_so_and_loses_nothing():
    table = table_in_8_bits()
    graph = scaled_by(torch.from_numpy(table))
    kinds = [part.data_type for part in onnx.load_from_string(graph).graph.initializer]
    x = np.eye(64, dtype=np.float32)

    assert sorted(kinds) == sorted([onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16])
    assert np.array_equal(parity.run(parity.session(graph), {"x": x})["y"], table)


def test_so_is_one_that_is_turned_round():
    table = np.ascontiguousarray(table_in_8_bits().T)
    graph = scaled_by(torch.from_numpy(table))
    x = np.eye(len(table), dtype=np.float32)

    assert onnx.TensorProto.INT8 in {
        part.data_type for part in onnx.load_from_string(graph).graph.initializer
    }
    assert np.array_equal(parity.run(parity.session(graph), {"x": x})["y"], table)


def test_matrices_side_by_side_keep_scales_of_their_own():
    table = table_in_8_bits()
    parts = [torch.from_numpy(table), torch.from_numpy(in_8_bits(3 * table[:, ::-1]).widened())]
    graph = GraphBuilder("side by side")
    x = graph.input("x", np.float32, ["N", 2 * len(table)])
    product = graph.op("MatMul", x, graph.joined("weight", parts, axis=0))
    graph.output("y", product, ["N", "M"])
    content, rows = graph.build(), np.eye(2 * len(table), dtype=np.float32)

    assert len(content) < 2.5 * table.size
    whole = torch.cat(parts).numpy()
    assert np.array_equal(parity.run(parity.session(content), {"x": rows})["y"], whole)
    found = Opened(content).constant(product_of(content).input[1])
    assert found is not None
    assert np.array_equal(found, whole)


def product_of(content: bytes) -> onnx.NodeProto:
    [product] = [node for node in Opened(content).nodes if node.op_type == "MatMul"]
    return product


def test_what_is_stored_in_8_bits_is_widened_once_when_it_is_loaded(tmp_path):
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    content = scaled_by(torch.from_numpy(table_in_8_bits()))
    ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    loaded = onnx.load(tmp_path / "loaded.onnx").graph

    assert [node.op_type for node in loaded.node] == ["MatMul"]
    assert [part.data_type for part in loaded.initializer] == [onnx.TensorProto.FLOAT]


def test_a_table_in_8_bits_is_seen_as_the_constant_that_it_is():
    table = table_in_8_bits()
    content = scaled_by(torch.from_numpy(table))
    found = Opened(content).constant(product_of(content).input[1])

    assert found is not None
    assert found.dtype == np.float32
    assert np.array_equal(found, table)
