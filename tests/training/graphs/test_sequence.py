"""Sequence graphs of every kind of classifier: padding shows nowhere, nor do neighbours."""

import numpy as np
import onnx
import pytest
import torch

from stepwire_training import parity
from stepwire_training.graphs.sequence import JUDGES, sequence_graph
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.convolution import Convolution
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.naive_bayes import NaiveBayes
from stepwire_training.models.normalised_lstm import NormalisedLstm
from stepwire_training.models.one_way import OneWay
from stepwire_training.models.transformer import Transformer

BOTH_WAYS = Classifier.Config(encoder=Encoder.Config(layers=2, hidden=8, embedding=6))
KINDS = {
    "both ways, lstm": BOTH_WAYS,
    "both ways, gru": Classifier.Config(
        encoder=Encoder.Config(cell="gru", layers=1, hidden=8, embedding=6)
    ),
    "convolution": Convolution.Config(embedding=6, widths=(1, 3, 4), filters=5),
    "naive bayes": NaiveBayes.Config(),
    "normalised lstm": NormalisedLstm.Config(embedding=6, hidden=8),
    "one way, gru": OneWay.Config(cell="gru", embedding=6, hidden=8),
    "one way, lstm": OneWay.Config(cell="lstm", embedding=6, hidden=8),
    "one way, rnn": OneWay.Config(cell="rnn", embedding=6, hidden=8),
    "transformer": Transformer.Config(embedding=6, layers=2, heads=3, wide=7),
}


@pytest.fixture(scope="module", params=sorted(KINDS))
def model(request):
    """One of every kind, with no weight at the value that it begins with."""
    torch.manual_seed(0)
    fresh = KINDS[request.param].build(vocabulary=9, labels=3).eval()
    for part in fresh.parameters():
        part.data += 0.3 * torch.randn_like(part)
    return fresh


def test_every_kind_is_here():
    assert JUDGES.keys() == {type(config.build(9, 3)) for config in KINDS.values()}


def test_a_row_gives_the_same_bits_whatever_shares_its_batch(model):
    graph = parity.session(sequence_graph(model))
    lengths = np.array([1, 2, 24, 7])
    tokens = np.random.default_rng(0).integers(9, size=(4, 24))

    parity.prove_rows_stand_alone(graph, {"tokens": tokens, "lengths": lengths})


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


def test_every_recurrent_operator_is_told_the_lengths():
    model = BOTH_WAYS.build(vocabulary=9, labels=3).eval()
    graph = onnx.load_from_string(sequence_graph(model)).graph
    recurrent = [node for node in graph.node if node.op_type == "LSTM"]
    (ends,) = {node.input[4] for node in recurrent}
    (cast,) = [node for node in graph.node if ends in node.output]

    assert len(recurrent) == 4
    assert list(cast.input) == ["lengths"]
