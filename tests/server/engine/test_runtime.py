import numpy as np
import pytest
from onnx import TensorProto, helper

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.runtime import OnnxGraph, refusal_of
from support.tiny import onnx_file

INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT


def fails_with(nodes, weights, inputs, feeds):
    outputs = {"y": (FLOAT, None)}
    graph = OnnxGraph(onnx_file(nodes, weights, inputs, outputs), "model.onnx", RuntimeConfig())
    with pytest.raises(Exception) as caught:  # noqa: PT011  a class of ONNX Runtime's own
        graph.run(["y"], feeds)
    return caught.value


def test_an_index_out_of_range_is_the_callers_fault_and_is_named():
    error = fails_with(
        [helper.make_node("Gather", ["table", "i"], ["y"])],
        {"table": np.zeros((5, 2), np.float32)},
        {"i": (INT64, ["N"])},
        {"i": np.array([1, 10**9])},
    )
    assert refusal_of(error) == (
        "indices element out of data bounds, idx=1000000000 must be within the inclusive "
        "range [-5,4]"
    )


def test_shapes_that_do_not_fit_are_told_without_the_place_in_the_source():
    error = fails_with(
        [helper.make_node("Add", ["a", "b"], ["y"])],
        {},
        {"a": (FLOAT, ["N"]), "b": (FLOAT, ["M"])},
        {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)},
    )
    assert (
        refusal_of(error) == "Attempting to broadcast an axis by a dimension other than 1. 2 by 3"
    )


def test_memory_that_runs_out_is_nobodys_input():
    error = fails_with(
        [helper.make_node("Expand", ["a", "shape"], ["y"])],
        {},
        {"a": (FLOAT, ["N"]), "shape": (INT64, ["M"])},
        {"a": np.zeros(1, np.float32), "shape": np.array([1 << 45])},
    )
    assert refusal_of(error) == ""


def test_our_own_mistakes_are_nobodys_input():
    assert refusal_of(KeyError("x")) == ""
    assert refusal_of(MemoryError()) == ""
