"""No parity, no bundle: each way to differ is found out."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from stepwire_training import parity
from stepwire_training.graphs.sequence import sequence_graph
from stepwire_training.graphs.step import step_graph
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.parity import ParityError
from stepwire_zoo.manifest import Golden

GOLDEN = Golden(file="golden.npz")


@pytest.fixture(scope="module")
def generator():
    return LanguageModel.Config(cell="lstm", layers=2, hidden=8, embedding=5).build(9, 0).eval()


@pytest.fixture(scope="module")
def classifier():
    config = Classifier.Config(encoder=Encoder.Config(layers=2, hidden=8, embedding=5))
    return config.build(vocabulary=9, labels=2).eval()


@pytest.fixture(scope="module")
def case(generator):
    return parity.step_case(generator, np.random.default_rng(0).integers(9, size=(3, 9)))


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [rng.integers(9, size=size) for size in (3, 8, 5)]


def test_faithful_graphs_pass(generator, classifier, case, texts):
    assert parity.prove_step(step_graph(generator), generator, case, GOLDEN) < 1e-5
    graph = sequence_graph(classifier)
    assert parity.prove_sequence(graph, classifier, texts, (8, 16), GOLDEN) < 1e-5


def test_a_step_graph_with_a_changed_weight_is_refused(generator, case):
    graph = onnx.load_from_string(step_graph(generator))
    bias = next(part for part in graph.graph.initializer if part.name == "layer1_bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.01, bias.name))

    with pytest.raises(ParityError, match="the graph step by step"):
        parity.prove_step(graph.SerializeToString(), generator, case, GOLDEN)


def test_a_sequence_graph_that_is_not_told_the_lengths_is_refused(classifier, texts):
    graph = onnx.load_from_string(sequence_graph(classifier))
    for node in graph.graph.node:
        if node.op_type == "LSTM":
            node.input[4] = ""

    with pytest.raises(ParityError, match="the graph at length 8"):
        parity.prove_sequence(graph.SerializeToString(), classifier, texts, (8,), GOLDEN)


def test_a_model_that_forgets_between_chunks_is_refused(generator, case, monkeypatch):
    whole = LanguageModel.forward
    forgetful = lambda self, tokens, state: whole(self, tokens, self.start(len(tokens)))  # noqa: E731
    monkeypatch.setattr(LanguageModel, "forward", forgetful)

    with pytest.raises(ParityError, match="PyTorch in chunks"):
        parity.prove_step(step_graph(generator), generator, case, GOLDEN)


def test_a_graph_whose_rows_look_at_each_other_is_refused():
    rows = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2])
    answer = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 2])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"]),
        helper.make_node("Div", ["x", "most"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "selfish", [rows], [answer])
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opset).SerializeToString()

    with pytest.raises(ParityError, match="y of a row changes by"):
        parity.prove_rows_stand_alone(
            parity.session(model), {"x": np.array([[1, 2], [3, 4]], np.float32)}
        )


def test_the_golden_case_comes_from_pytorch(generator, case):
    with torch.inference_mode():
        logits, _ = generator(torch.from_numpy(case.inputs["token"]), generator.start(3))

    assert np.array_equal(case.outputs["logits"], logits.numpy())
