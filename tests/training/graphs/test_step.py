"""The step graph against PyTorch, and what it must not hold."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from stepwire_training import parity
from stepwire_training.graphs.step import step_graph
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.proved import GOLDEN

PRODUCTS = {"lstm": 1, "gru": 2, "rnn": 1, "ln-lstm": 2}  # a layer
STATES = {"lstm": ["h", "c"], "gru": ["h"], "rnn": ["h"], "ln-lstm": ["h", "c"]}


def model_of(cell: str, layers: int = 2, **settings: bool) -> LanguageModel:
    config = LanguageModel.Config(
        cell=cell,
        layers=layers,
        hidden=8,
        embedding=5,
        weight_dropout=0.5,
        output_dropout=0.5,
        **settings,
    )
    model = config.build(vocabulary=9, labels=0).eval()
    for part in model.parameters():  # norms begin as if they were not there
        part.data += 0.1 * torch.randn_like(part)
    return model


@pytest.mark.parametrize("cell", PRODUCTS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_it_computes_step_by_step_what_pytorch_does_at_once(cell, layers):
    model = model_of(cell, layers)
    tokens = np.random.default_rng(0).integers(9, size=(3, 12))
    case = parity.step_case(model, tokens)
    states = {name: np.zeros((3, layers, 8), np.float32) for name in STATES[cell]}

    logits, _ = parity.step_by_step(parity.session(step_graph(model)), tokens, states)
    np.testing.assert_allclose(logits, case.outputs["logits"], atol=1e-5)


def test_words_of_every_class_are_read_and_scored_as_pytorch_does():
    config = LanguageModel.Config(cell="lstm", layers=2, hidden=32, embedding=32, cuts=(10, 25))
    model = config.build(vocabulary=60, labels=0).eval()
    tokens = np.arange(60).reshape(3, 20)
    case = parity.step_case(model, tokens)
    graph = step_graph(model)
    states = {name: np.zeros((3, 2, 32), np.float32) for name in ("h", "c")}

    logits, last = parity.step_by_step(parity.session(graph), tokens, states)
    np.testing.assert_allclose(logits, case.outputs["logits"], atol=1e-5)
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1, atol=1e-5)
    parity.prove_rows_stand_alone(parity.session(graph), {"token": tokens[:, -1], **last})
    stored = [tensor.dims for tensor in onnx.load_from_string(graph).graph.initializer]
    # The vectors of each class once, for reading and scoring.
    assert [stored.count(size) for size in ([12, 32], [15, 8], [35, 2])] == [1, 1, 1]


@pytest.mark.parametrize("cell", PRODUCTS)
def test_it_holds_one_product_a_layer_and_nothing_left_over(cell):
    nodes = Counter(
        node.op_type for node in onnx.load_from_string(step_graph(model_of(cell))).graph.node
    )

    assert nodes["MatMul"] == 2 * PRODUCTS[cell] + 1
    assert not nodes.keys() & {"Transpose", "Dropout", "RandomUniform", "Loop", "If"}


@pytest.mark.parametrize("cell", PRODUCTS)
def test_every_tensor_has_the_batch_in_front(cell):
    graph = parity.session(step_graph(model_of(cell)))
    shapes = {tensor.name: tensor.shape for tensor in (*graph.get_inputs(), *graph.get_outputs())}

    assert shapes.pop("token") == ["N"]
    assert shapes.pop("logits") == ["N", 9]
    assert set(shapes) == {name + end for name in STATES[cell] for end in ("", "_next")}
    assert all(shape == ["N", 2, 8] for shape in shapes.values())


@pytest.mark.parametrize("cell", ["lstm", "ln-lstm"])
def test_the_memory_of_each_cell_can_be_seen(cell):
    model = model_of(cell, shows_memory=True)
    graph = parity.session(step_graph(model))
    tokens = np.random.default_rng(0).integers(9, size=(3, 6))
    states = {name: np.zeros((3, 2, 8), np.float32) for name in STATES[cell]}
    _, states = parity.step_by_step(graph, tokens[:, :5], states)

    memory = parity.run(graph, {"token": tokens[:, 5], **states})["memory"]
    _, (_, c) = model(torch.from_numpy(tokens), model.start(3))
    np.testing.assert_allclose(memory, c.tanh().detach(), atol=1e-6)


def test_an_embedding_that_scores_as_well_is_stored_once():
    config = LanguageModel.Config(cell="lstm", layers=1, hidden=64, embedding=64, tied=True)
    model = config.build(vocabulary=100, labels=0).eval()
    tokens = np.random.default_rng(0).integers(100, size=(2, 5))
    case = parity.step_case(model, tokens)

    graph = step_graph(model)
    assert parity.prove_step(graph, model, case, GOLDEN) < 1e-5
    sizes = [np.prod(tensor.dims) for tensor in onnx.load_from_string(graph).graph.initializer]
    assert sizes.count(100 * 64) == 1
