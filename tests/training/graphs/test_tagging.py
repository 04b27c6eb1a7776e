"""The tagger's graph: padding shows nowhere, and neither do neighbours."""

import onnx
import pytest
import torch

from stepwire_training import parity
from stepwire_training.graphs.tagging import tagging_graph
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.models.tagger import Tagger
from stepwire_training.prove_tagger import Text, case_of, prove

WIDTH = 5


SIZES = {
    "layers": 2,
    "hidden": 8,
    "learned": 6,
    "embedding": 5,
    "vectors": 4,
    "character": 6,
    "widths": (2, 3, 4),
    "filters": 5,
}
MODELS = {
    "words alone": Tagger.Config(**SIZES),
    "words in pairs": Tagger.Config(**SIZES, pairs=31),
    "sentences too": JointTagger.Config(**SIZES, text_labels=3),
}


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def model(request):
    torch.manual_seed(2)
    config = request.param
    made = config.build(vocabulary=12, labels=4, sources=9).eval()
    parts = torch.rand(9, made.spelling.made_of.shape[1]).round()
    of_pairs = torch.randn(config.pairs, 4) if config.pairs else None
    made.begin_from((torch.randn(12, 4), parts, of_pairs))
    return made


def texts(*lengths):
    rng = torch.Generator().manual_seed(3)
    return [
        Text(
            torch.randint(0, 12, (length,), generator=rng).numpy(),
            torch.randint(0, 9, (length, WIDTH), generator=rng).numpy(),
        )
        for length in lengths
    ]


def test_a_padded_row_equals_pytorch_reading_it_alone_in_every_bucket(model):
    assert prove(tagging_graph(model, WIDTH), model, texts(1, 2, 5, 7, 8), (8, 16)) < 1e-5


def test_another_models_graph_is_no_proof(model):
    other = model.config.build(vocabulary=12, labels=4, sources=9).eval()
    with pytest.raises(parity.ParityError, match="at length 8"):
        prove(tagging_graph(other, WIDTH), model, texts(3, 4), (8,))


def test_what_stands_in_the_padding_changes_nothing(model):
    graph = parity.session(tagging_graph(model, WIDTH))
    inputs = case_of(model, texts(1, 3, 6), 6).inputs
    padded = {name: each.copy() for name, each in inputs.items()}
    for row, length in enumerate(inputs["lengths"]):
        padded["tokens"][row, length:] = 7
        padded["characters"][row, length:] = 5
    first, second = (parity.run(graph, feeds) for feeds in (inputs, padded))

    for row, length in enumerate(inputs["lengths"]):
        assert (first["logits"][row, :length] == second["logits"][row, :length]).all()
    assert all((first[name] == second[name]).all() for name in first.keys() - {"logits"})


def test_the_recurrent_operators_read_both_ways_and_are_told_the_lengths(model):
    graph = onnx.load_from_string(tagging_graph(model, WIDTH)).graph
    recurrent = [node for node in graph.node if node.op_type == "LSTM"]
    (ends,) = {node.input[4] for node in recurrent}
    (cast,) = [node for node in graph.node if ends in node.output]

    assert len(recurrent) == model.config.layers
    assert list(cast.input) == ["lengths"]
