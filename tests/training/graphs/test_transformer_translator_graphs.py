"""The graphs of a transformer that writes about a source, against PyTorch."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from stepwire_training import parity, prove_translator
from stepwire_training.graphs.transformer_encode import transformer_encode_graph
from stepwire_training.graphs.transformer_step import transformer_step_graph
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.parity import ParityError
from stepwire_training.prove_translator import decode_case, encode_case, read_by, step_by_step

CONFIG = TransformerTranslator.Config(
    embedding=8, encoder_layers=2, layers=2, heads=2, wide=12, window=4, layer_dropout=0.5
)


def model_of(**changes) -> TransformerTranslator:
    model = replace(CONFIG, **changes).build(20, 0).eval()
    for part in model.parameters():
        part.data += 0.2 * torch.randn_like(part)
    return model


def sentences():
    rng = np.random.default_rng(0)
    return [rng.integers(20, size=size) for size in (7, 3, 5)], rng.integers(20, size=(3, 9))


@pytest.mark.parametrize("changes", [{}, {"heads": 1, "layers": 1}, {"heads": 4, "window": 2}])
def test_they_compute_step_by_step_what_pytorch_does_at_once_in_any_company(changes):
    model = model_of(**changes)
    sources, targets = sentences()
    cases = {
        "encode": encode_case(model, sources),
        "step": decode_case(model, sources, targets),
    }
    encode, step = transformer_encode_graph(model), transformer_step_graph(model)
    prove_translator.prove_encode(encode, model, sources, (4, 8))
    read = read_by(parity.session(encode), model, cases["encode"].inputs)

    logits, _ = step_by_step(parity.session(step), targets, read)
    np.testing.assert_allclose(logits, cases["step"].outputs["logits"], atol=1e-5)
    assert prove_translator.prove_decode(step, model, cases, read) < 1e-5


def test_attention_is_that_of_pytorch_and_nothing_lies_behind_a_source():
    model = model_of()
    sources, targets = sentences()
    case = encode_case(model, sources)
    read = read_by(parity.session(transformer_encode_graph(model)), model, case.inputs)
    seen = prove_translator.looked_at(read, np.array([2, 0, 1]), np.array([3, 9, 14]))
    start = {name: part[[2, 0, 1]] for name, part in read.start.items()}
    feeds = {"token": targets[[2, 0, 1], 0], **start, **seen}
    attention = parity.run(parity.session(transformer_step_graph(model)), feeds)["attention"]

    with torch.inference_mode():
        known = model.read(*(torch.from_numpy(case.inputs[n]) for n in ("tokens", "lengths")))
        _, wanted, _ = model.write(torch.from_numpy(targets[:, :1]), known, model.begin(known))
    np.testing.assert_allclose(attention, wanted[[2, 0, 1], 0].numpy(), atol=1e-6)
    assert not attention[2, 3:].any()


def test_an_encoder_that_leaves_something_behind_a_source_is_refused():
    model = model_of()
    graph = onnx.load_from_string(transformer_encode_graph(model))
    for node in graph.graph.node:
        if node.op_type == "Where" and node.input[0].startswith("unsqueeze"):
            kept = node.input[1]
            node.input[2] = kept

    with pytest.raises(ParityError):
        prove_translator.prove_encode(graph.SerializeToString(), model, sentences()[0], (8,))


def test_every_tensor_has_the_batch_in_front_and_one_table_is_stored():
    model = model_of()
    content = transformer_step_graph(model)
    step = parity.session(content)
    shapes = {tensor.name: tensor.shape for tensor in (*step.get_inputs(), *step.get_outputs())}
    contexts = [f"source_{part}{layer}" for part in ("keys", "values") for layer in range(2)]
    windows = [f"{part}{layer}" for part in ("keys", "values") for layer in range(2)]

    assert shapes == {
        "token": ["R"],
        "rows": ["J", "K"],
        "places": ["R"],
        "lengths": ["J"],
        "logits": ["R", 20],
        "attention": ["R", "S"],
        **{name: ["J", "S", 8] for name in contexts},
        **{name: ["R", 2, 3, 4] for name in windows},
        **{f"{name}_next": ["R", 2, 3, 4] for name in windows},
        "held": ["R", 1],
        "held_next": ["R", 1],
    }
    graph = onnx.load_from_string(content).graph
    stored = [tuple(part.dims) for part in graph.initializer]
    nodes = Counter(node.op_type for node in graph.node)
    assert stored.count((20, 8)) == 1
    assert (8, 20) not in stored
    assert not nodes.keys() & {"Dropout", "RandomUniform", "Loop", "If", "ReduceMean"}
