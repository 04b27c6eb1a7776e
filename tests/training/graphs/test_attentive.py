"""The graph of a classifier with attention: what it looked at is what PyTorch looked at."""

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from stepwire_training import parity
from stepwire_training.graphs.attentive import attentive_graph
from stepwire_training.models.attentive import AttentiveClassifier
from stepwire_training.parity import ParityError
from stepwire_training.proved import GOLDEN

CONFIG = AttentiveClassifier.Config(
    readers=2, layers=2, hidden=8, learned=6, embedding=5, vectors=4, units=7
)


@pytest.fixture(scope="module")
def model():
    model = CONFIG.build(vocabulary=9, labels=3).eval()
    model.begin_from(torch.randn(9, 4))
    return model


@pytest.mark.parametrize("positions", [8, 16, 48])
def test_a_padded_row_equals_pytorch_reading_it_alone(model, positions):
    rng = np.random.default_rng(0)
    texts = [rng.integers(9, size=length) for length in (1, 2, 5, 7, 8)]
    case = parity.sequence_case(model, texts, positions)

    got = parity.run(parity.session(attentive_graph(model)), case.inputs)
    for name in ("logits", "attention"):
        np.testing.assert_allclose(got[name], case.outputs[name], atol=1e-5)


def test_what_stands_in_the_padding_changes_nothing_and_gets_no_attention(model):
    graph = parity.session(attentive_graph(model))
    tokens, lengths = np.random.default_rng(0).integers(9, size=(4, 8)), np.array([1, 3, 8, 5])
    inside = np.arange(8) < lengths[:, None]
    first, second = (
        parity.run(graph, {"tokens": rows, "lengths": lengths})
        for rows in (tokens, np.where(inside, tokens, 0))
    )

    for name in ("logits", "attention"):
        assert np.array_equal(first[name], second[name])
    assert not first["attention"][~inside].any()


def test_no_row_depends_on_what_shares_its_batch(model):
    rng = np.random.default_rng(1)
    feeds = {"tokens": rng.integers(9, size=(5, 16)), "lengths": np.array([16, 1, 9, 4, 12])}
    parity.prove_rows_stand_alone(parity.session(attentive_graph(model)), feeds)


def test_a_graph_that_looks_elsewhere_is_refused(model):
    blind, other = copy.deepcopy(model), copy.deepcopy(model)
    for reader in (*blind.each_reader(), *other.each_reader()):
        reader.output.weight.data.zero_()  # the same logits whatever is found
    other.each_reader()[0].pool.score.data.neg_()
    texts = [np.arange(1, 1 + length) for length in (2, 5, 8)]

    with pytest.raises(ParityError, match="attention of the graph at length 8"):
        parity.prove_sequence(attentive_graph(other), blind, texts, (8,), GOLDEN)


def test_fixed_vectors_are_stored_as_bytes(model):
    weights = {
        one.name: one for one in onnx.load_from_string(attentive_graph(model)).graph.initializer
    }
    assert numpy_helper.to_array(weights["vectors"]).dtype == np.int8
