"""The sequence graph: padding shows nowhere."""

import numpy as np
import onnx
import pytest

from stepwire_training import parity
from stepwire_training.graphs.sequence import sequence_graph
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder


@pytest.fixture(scope="module")
def model():
    config = Classifier.Config(encoder=Encoder.Config(layers=2, hidden=8, embedding=5))
    return config.build(vocabulary=9, labels=3).eval()


@pytest.mark.parametrize("positions", [8, 16, 24, 48])
def test_a_padded_row_equals_pytorch_reading_it_alone(model, positions):
    rng = np.random.default_rng(0)
    texts = [rng.integers(9, size=length) for length in (1, 2, 5, 7, 8)]
    case = parity.sequence_case(model, texts, positions)

    got = parity.run(parity.session(sequence_graph(model)), case.inputs)["logits"]
    np.testing.assert_allclose(got, case.outputs["logits"], atol=1e-5)


def test_what_stands_in_the_padding_changes_nothing(model):
    graph = parity.session(sequence_graph(model))
    tokens, lengths = np.random.default_rng(0).integers(9, size=(4, 8)), np.array([1, 3, 8, 5])
    zeroed = np.where(np.arange(8) < lengths[:, None], tokens, 0)
    first, second = (
        parity.run(graph, {"tokens": rows, "lengths": lengths})["logits"]
        for rows in (tokens, zeroed)
    )

    assert np.array_equal(first, second)


def test_every_recurrent_operator_is_told_the_lengths(model):
    graph = onnx.load_from_string(sequence_graph(model)).graph
    recurrent = [node for node in graph.node if node.op_type == "LSTM"]
    (ends,) = {node.input[4] for node in recurrent}
    (cast,) = [node for node in graph.node if ends in node.output]

    assert len(recurrent) == 4
    assert list(cast.input) == ["lengths"]
