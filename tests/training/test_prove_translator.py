"""No parity, no bundle: each way of two graphs to differ is found out."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from stepwire_training import parity, prove_translator
from stepwire_training.graphs.attend import decode_graph
from stepwire_training.graphs.encode import encode_graph
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.parity import ParityError
from stepwire_training.prove_translator import decode_case, encode_case, prove_decode, prove_encode


@pytest.fixture(scope="module")
def model():
    encoder = Encoder.Config(layers=1, hidden=6, embedding=8)
    return Translator.Config(encoder=encoder, hidden=12).build(20, 0).eval()


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(0)
    return [rng.integers(20, size=size) for size in (7, 3, 5)]


@pytest.fixture(scope="module")
def cases(model, sources):
    targets = np.random.default_rng(1).integers(20, size=(3, 6))
    return {"encode": encode_case(model, sources), "step": decode_case(model, sources, targets)}


@pytest.fixture(scope="module")
def read(model, cases):
    graph = parity.session(encode_graph(model))
    return prove_translator.read_by(graph, model, cases["encode"].inputs)


def test_faithful_graphs_pass(model, sources, cases, read):
    prove_encode(encode_graph(model), model, sources, (4, 8))
    assert prove_decode(decode_graph(model), model, cases, read) < 1e-5


def test_an_encoder_that_is_not_told_the_lengths_is_refused(model, sources):
    graph = onnx.load_from_string(encode_graph(model))
    for node in graph.graph.node:
        if node.op_type == "LSTM":
            node.input[4] = ""

    with pytest.raises(ParityError, match="of sources at length 8"):
        prove_encode(graph.SerializeToString(), model, sources, (8,))


def test_an_encoder_that_leaves_something_behind_a_source_is_refused(model, sources):
    graph = onnx.load_from_string(encode_graph(model))
    last = next(node for node in graph.graph.node if node.output[0] == "memory")
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(5e-5), "little"))
    node = helper.make_node("Add", [last.input[0], "little"], ["memory"])
    last.CopyFrom(node)

    with pytest.raises(ParityError, match="memory is not zero behind a source"):
        prove_encode(graph.SerializeToString(), model, sources, (8,))


def test_a_changed_weight_is_refused(model, cases, read):
    graph = onnx.load_from_string(decode_graph(model))
    bias = next(part for part in graph.graph.initializer if part.name == "combine_bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.01, bias.name))

    with pytest.raises(ParityError, match="the graph step by step at length 32"):
        prove_decode(graph.SerializeToString(), model, cases, read)


def test_a_decoder_that_looks_behind_its_source_is_refused(model, cases, read):
    graph = onnx.load_from_string(decode_graph(model))
    never = next(part for part in graph.graph.initializer if part.name == "never")
    never.CopyFrom(numpy_helper.from_array(np.array(0, np.float32), "never"))

    with pytest.raises(ParityError, match="the graph step by step"):
        prove_decode(graph.SerializeToString(), model, cases, read)


def test_rows_that_look_at_each_other_are_refused(model, cases, read):
    graph = onnx.load_from_string(decode_graph(model))
    gemm = next(node for node in graph.graph.node if node.op_type == "Gemm")
    out = gemm.input[0]
    for name, value in (("axis", np.array([0])), ("little", np.float32(1e-6))):
        graph.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    extra = [
        helper.make_node("ReduceMax", [out, "axis"], ["most"]),
        helper.make_node("Mul", ["most", "little"], ["some"]),
        helper.make_node("Add", [out, "some"], ["mixed"]),
    ]
    gemm.input[0] = "mixed"
    place = list(graph.graph.node).index(gemm)
    nodes = [*list(graph.graph.node)[:place], *extra, *list(graph.graph.node)[place:]]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)

    with pytest.raises(ParityError, match=r"of a row changes by .* rows"):
        prove_decode(graph.SerializeToString(), model, cases, read)
