"""The graphs of a translator against PyTorch, and what they must not hold."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from stepwire_training import parity, prove_translator
from stepwire_training.graphs.attend import decode_graph
from stepwire_training.graphs.encode import encode_graph
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.prove_translator import decode_case, encode_case, read_by, step_by_step

CONFIG = Translator.Config(
    encoder=Encoder.Config(layers=2, hidden=6, embedding=8, embedding_dropout=0.5),
    layers=2,
    hidden=12,
    output_dropout=0.5,
)
SHAPES = [
    {},
    {"attention": "dot", "layers": 1},
    {"attention": "additive", "input_feeding": True, "tied": False},
    {"cell": "gru", "input_feeding": True, "layers": 3},
    {"cell": "gru", "attention": "additive"},
]


def model_of(**changes) -> Translator:
    encoder = replace(CONFIG.encoder, cell=changes.get("cell", "lstm"))
    return replace(CONFIG, encoder=encoder, **changes).build(20, 0).eval()


def sentences():
    rng = np.random.default_rng(0)
    return [rng.integers(20, size=size) for size in (7, 3, 5)], rng.integers(20, size=(3, 9))


@pytest.mark.parametrize("changes", SHAPES)
def test_they_compute_step_by_step_what_pytorch_does_at_once(changes):
    model = model_of(**changes)
    sources, targets = sentences()
    cases = {
        "encode": encode_case(model, sources),
        "step": decode_case(model, sources, targets),
    }
    prove_translator.prove_encode(encode_graph(model), model, sources, (4, 8))
    read = read_by(parity.session(encode_graph(model)), model, cases["encode"].inputs)
    decode = decode_graph(model)

    logits, _ = step_by_step(parity.session(decode), targets, read)
    np.testing.assert_allclose(logits, cases["step"].outputs["logits"], atol=1e-5)
    assert prove_translator.prove_decode(decode, model, cases, read) < 1e-5


def test_each_language_may_have_its_own_embedding():
    model = CONFIG.build(20, 0, sources=31).eval()
    sources, targets = sentences()
    cases = {
        "encode": encode_case(model, [source + 11 for source in sources]),
        "step": decode_case(model, [source + 11 for source in sources], targets),
    }
    read = read_by(parity.session(encode_graph(model)), model, cases["encode"].inputs)

    assert model.output.weight is model.embedding.weight
    assert prove_translator.prove_decode(decode_graph(model), model, cases, read) < 1e-5


def test_attention_is_that_of_pytorch():
    model = model_of()
    sources, targets = sentences()
    case = encode_case(model, sources)
    read = read_by(parity.session(encode_graph(model)), model, case.inputs)
    seen = prove_translator.looked_at(read, np.array([2, 0, 1]), np.array([3, 9, 14]))
    start = {name: part[[2, 0, 1]] for name, part in read.start.items()}
    feeds = {"token": targets[[2, 0, 1], 0], **start, **seen}
    attention = parity.run(parity.session(decode_graph(model)), feeds)["attention"]

    with torch.inference_mode():
        known = model.read(*(torch.from_numpy(case.inputs[n]) for n in ("tokens", "lengths")))
        _, wanted, _ = model.write(torch.from_numpy(targets[:, :1]), known, model.begin(known))
    np.testing.assert_allclose(attention, wanted[[2, 0, 1], 0].numpy(), atol=1e-6)


def test_a_tied_embedding_is_stored_once_and_nothing_is_left_over():
    graph = onnx.load_from_string(decode_graph(model_of())).graph
    nodes = Counter(node.op_type for node in graph.node)
    stored = [tuple(part.dims) for part in graph.initializer]

    assert stored.count((20, 8)) == 1
    assert (8, 20) not in stored
    assert nodes["Gemm"] == 1
    assert nodes["Softmax"] == 1
    assert not nodes.keys() & {"Dropout", "RandomUniform", "Loop", "If", "Expand", "Tile"}


def test_every_tensor_has_the_batch_in_front():
    model = model_of(input_feeding=True)
    step = parity.session(decode_graph(model))
    shapes = {tensor.name: tensor.shape for tensor in (*step.get_inputs(), *step.get_outputs())}

    assert shapes == {
        "token": ["R"],
        "rows": ["J", "K"],
        "places": ["R"],
        "lengths": ["J"],
        "memory": ["J", "S", 12],
        "keys": ["J", "S", 12],
        "logits": ["R", 20],
        "attention": ["R", "S"],
        **{name: ["R", 2, 12] for name in ("h", "c", "h_next", "c_next")},
        **{name: ["R", 8] for name in ("feed", "feed_next")},
    }
