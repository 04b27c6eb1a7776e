import numpy as np
import onnx
import torch
from onnx import numpy_helper

from stepwire_training import parity
from stepwire_training.graphs.builder import HALVED_FROM, GraphBuilder


def scaled_by(weight: torch.Tensor) -> bytes:
    graph = GraphBuilder("scale")
    x = graph.input("x", np.float32, ["N", weight.shape[0]])
    graph.output("y", graph.node("MatMul", [x, graph.weight("weight", weight)]), ["N", "M"])
    return graph.build()


def stored(graph: bytes) -> np.ndarray:
    (part,) = onnx.load_from_string(graph).graph.initializer
    return numpy_helper.to_array(part)


def test_a_large_weight_that_half_precision_holds_is_stored_so_and_loses_nothing():
    weight = torch.randn(64, HALVED_FROM // 64).half().float()
    graph = scaled_by(weight)
    x = np.eye(64, dtype=np.float32)

    assert stored(graph).dtype == np.float16
    assert np.array_equal(parity.run(parity.session(graph), {"x": x})["y"], weight.numpy())


def test_a_weight_that_would_lose_a_bit_is_stored_whole():
    weight = torch.randn(64, HALVED_FROM // 64)

    assert stored(scaled_by(weight)).dtype == np.float32
    assert stored(scaled_by(weight * 1e30)).dtype == np.float32


def test_a_small_weight_is_stored_whole():
    assert stored(scaled_by(torch.ones(2, 2))).dtype == np.float32
