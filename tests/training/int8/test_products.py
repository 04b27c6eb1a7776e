"""Graphs in 8 bits: close to the model, exact about rows, equal to ONNX's own reference."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from stepwire_training import parity, prove_translator
from stepwire_training.graphs.attend import decode_graph
from stepwire_training.graphs.encode import encode_graph
from stepwire_training.graphs.step import step_graph
from stepwire_training.int8.bounds import bounds
from stepwire_training.int8.opened import Opened
from stepwire_training.int8.products import MOST_IN_TABLE, quantised
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.recurrent import STATES
from stepwire_training.models.translator import Translator

CELLS = ("lstm", "gru", "rnn")
PRODUCTS = {"lstm": 2, "gru": 3, "rnn": 2}  # of two layers: the first's inputs are a table
HIDDEN = 24


def model_of(cell: str, vocabulary: int = 11) -> LanguageModel:
    config = LanguageModel.Config(cell=cell, layers=2, hidden=HIDDEN, embedding=7)
    return config.build(vocabulary=vocabulary, labels=0).eval()


def in_8_bits(content: bytes, least: int = 0, **known: float) -> bytes:
    result = quantised(content, {"h": 1.0, **known}, least)
    assert result is not None
    return result


def zeros(cell: str, rows: int) -> dict[str, np.ndarray]:
    return {name: np.zeros((rows, 2, HIDDEN), np.float32) for name in STATES[cell]}


@pytest.mark.parametrize("cell", CELLS)
def test_they_stay_close_to_the_model(cell):
    model, tokens = model_of(cell), np.random.default_rng(0).integers(11, size=(3, 20))
    fast = parity.session(in_8_bits(step_graph(model)))
    got, _ = parity.step_by_step(fast, tokens, zeros(cell, 3))
    wanted = parity.step_case(model, tokens).outputs["logits"]

    assert 0 < np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize("cell", CELLS)
def test_they_are_what_onnx_says_they_are(cell):
    content = in_8_bits(step_graph(model_of(cell)))
    rng = np.random.default_rng(1)
    feeds = {"token": rng.integers(11, size=5)}
    feeds |= {n: rng.uniform(-1, 1, s.shape).astype("f") for n, s in zeros(cell, 5).items()}
    got = parity.run(parity.session(content), feeds)
    slow = ReferenceEvaluator(onnx.load_model_from_string(content))

    for name, wanted in zip(slow.output_names, slow.run(None, feeds), strict=True):
        np.testing.assert_allclose(got[name], wanted, atol=2e-3)


@pytest.mark.parametrize("cell", CELLS)
def test_a_rows_result_is_bitwise_the_same_in_any_company(cell):
    graph = parity.session(in_8_bits(step_graph(model_of(cell))))
    rng = np.random.default_rng(2)
    feeds = {n: rng.uniform(-1, 1, s.shape).astype("f") for n, s in zeros(cell, 9).items()}

    parity.prove_rows_stand_alone(graph, {"token": rng.integers(11, size=9), **feeds})


@pytest.mark.parametrize("cell", CELLS)
def test_one_product_of_integers_serves_a_layer(cell):
    graph = onnx.load_from_string(in_8_bits(step_graph(model_of(cell)))).graph
    nodes = Counter(node.op_type for node in graph.node)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    weights = [stored[n.input[1]] for n in graph.node if n.op_type == "MatMulInteger"]

    assert nodes["MatMulInteger"] == PRODUCTS[cell] + 1  # and one for the scores
    assert nodes["MatMul"] == nodes["DynamicQuantizeLinear"] == 0
    assert {weight.data_type for weight in weights} == {onnx.TensorProto.INT8}


def test_a_small_vocabulary_becomes_a_table_of_products_and_a_large_one_a_table_of_bytes():
    small = onnx.load_from_string(in_8_bits(step_graph(model_of("lstm")))).graph
    tokens = MOST_IN_TABLE // (4 * HIDDEN) + 1
    large = onnx.load_from_string(in_8_bits(step_graph(model_of("lstm", tokens)))).graph

    assert (11, 4 * HIDDEN) in {tuple(t.dims) for t in small.initializer}
    (table,) = [t for t in large.initializer if tuple(t.dims) == (tokens, 7)]
    assert table.data_type == onnx.TensorProto.UINT8


def test_every_weight_is_within_half_a_step_of_its_column():
    model = model_of("rnn")
    graph = onnx.load_from_string(in_8_bits(step_graph(model))).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    readers = {node.input[0]: node for node in graph.node}
    product = [node for node in graph.node if node.op_type == "MatMulInteger"][-1]
    scale = stored[readers[readers[product.output[0]].output[0]].input[1]]
    wanted = model.output.weight.detach().numpy().T

    apart = np.abs(stored[product.input[1]] * scale * 127 - wanted)
    assert (apart <= scale * 127 / 2 + 1e-7).all()


def test_what_has_no_bound_is_left_alone():
    content = step_graph(model_of("gru"))

    assert quantised(content, {}, least=10**6) is None
    nodes = Counter(
        n.op_type for n in onnx.load_from_string(in_8_bits(content, h=np.inf)).graph.node
    )
    assert nodes["MatMulInteger"] == 0  # the table of tokens alone


@pytest.mark.parametrize(
    "changes",
    [{}, {"attention": "dot", "layers": 1}, {"attention": "additive", "input_feeding": True}],
)
def test_a_whole_attention_decoder_needs_no_calibration(changes):
    encoder = Encoder.Config(layers=1, hidden=6, embedding=8)
    config = Translator.Config(
        encoder=encoder, layers=changes.pop("layers", 2), hidden=12, **changes
    )
    model = config.build(20, 0).eval()
    rng = np.random.default_rng(0)
    sources = [rng.integers(20, size=size) for size in (7, 3, 5)]
    targets = rng.integers(20, size=(3, 9))
    memory = bounds(Opened(encode_graph(model)), {})["memory"]
    content = in_8_bits(decode_graph(model), memory=memory, feed=1.0)
    cases = prove_translator.encode_case(model, sources)
    read = prove_translator.read_by(parity.session(encode_graph(model)), model, cases.inputs)
    fast = parity.session(content)
    got, states = prove_translator.step_by_step(fast, targets, read)
    wanted = prove_translator.decode_case(model, sources, targets).outputs["logits"]

    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()
    prove_translator.prove_company(fast, targets, states, read)
    nodes = Counter(n.op_type for n in onnx.load_from_string(content).graph.node)
    assert nodes["MatMulInteger"] >= config.layers + 1
