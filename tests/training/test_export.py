"""From a finished run to a bundle that a server would open."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

from stepwire_training import parity, prove_translator
from stepwire_training.data.parallel import Cutting
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.parity import ParityError
from stepwire_training.recipes import tiny
from stepwire_training.train import train
from stepwire_zoo.golden import check, unpack

FILES = {"CARD.md", "golden.npz", "learning_curve.png", "tokenizer.json"}


@pytest.fixture(scope="module")
def generated(generator, tmp_path_factory):
    return publish(generator.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def classified(classifier, tmp_path_factory):
    return publish(classifier.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def translated(translator, tmp_path_factory):
    return publish(translator.finished(), tmp_path_factory.mktemp("zoo"))


def test_a_generator_bundle_is_whole(generated):
    manifest = generated.manifest
    generated.read_all()

    assert manifest.files.keys() == FILES | {"step.onnx"}
    assert (manifest.task, manifest.labels) == ("generation", ())
    assert [state.output for state in manifest.graphs["step"].states] == ["h_next", "c_next"]
    assert generated.folder.parts[-2:] == ("tiny", "1")


def test_a_classifier_bundle_is_whole(classified):
    manifest = classified.manifest
    classified.read_all()

    assert manifest.files.keys() == FILES | {"sequence.onnx"}
    assert (manifest.task, manifest.labels) == ("classification", ("negative", "positive"))
    assert max(manifest.graphs["sequence"].buckets) == manifest.limits.max_input_tokens


def test_a_translator_bundle_is_whole(translated):
    manifest = translated.manifest
    translated.read_all()

    assert manifest.files.keys() == FILES | {"encode.onnx", "step.onnx"}
    assert manifest.task == "translation"
    assert [state.start for state in manifest.graphs["step"].states] == ["h_start", "c_start"]
    assert [tensor.role for tensor in manifest.graphs["encode"].outputs] == [
        *("context", "context", "start", "start")
    ]
    for graph in manifest.graphs.values():
        assert graph.buckets[-1] >= manifest.limits.max_input_tokens
    assert manifest.decoding.keys() == {"beam_width", "length_penalty"}
    assert manifest.tokenizer.suppressed == (manifest.tokenizer.unknown, manifest.tokenizer.begin)


def test_the_graphs_of_a_translator_reproduce_their_golden_cases(translated, translator):
    cases = unpack(translated.read("golden.npz"))
    encode = parity.session(translated.read("encode.onnx"))
    outputs = parity.run(encode, cases["encode"].inputs)
    for name, wanted in cases["encode"].outputs.items():
        check(name, outputs[name], wanted, translated.manifest.golden)

    model = translator.finished().model()
    read = prove_translator.read_by(encode, model, cases["encode"].inputs)
    decode = parity.session(translated.read("step.onnx"))
    logits, _ = prove_translator.step_by_step(decode, cases["step"].inputs["token"], read)
    check("logits", logits, cases["step"].outputs["logits"], translated.manifest.golden)


def test_a_translator_may_read_with_a_tokenizer_of_its_own(tmp_path):
    recipe = replace(tiny.translator(), steps=3, evaluate_every=3)
    cutting = Cutting(vocabulary=20, source_vocabulary=16, rows=32, seed=1)
    recipe = replace(recipe, data=replace(recipe.data, cutting=cutting))
    dataset = recipe.data.load()
    run = train(recipe, dataset, tmp_path / "runs", Interrupt())
    finished = Finished(recipe=recipe, dataset=dataset, progress=run.progress, machine="a test")
    bundle = publish(finished, tmp_path / "zoo")

    described = bundle.manifest.source_tokenizer
    tokenizer = Tokenizer.from_str(bundle.read(described.file).decode())
    assert tokenizer.get_vocab_size() == described.vocabulary_size
    assert described.vocabulary_size != bundle.manifest.tokenizer.vocabulary_size
    encode = onnx.load_from_string(bundle.read("encode.onnx")).graph
    embedding = next(part for part in encode.initializer if part.name == "embedding")
    assert embedding.dims[0] == described.vocabulary_size


def test_the_graph_of_a_generator_reproduces_its_golden_case(generated):
    case = unpack(generated.read("golden.npz"))["step"]
    tokens = case.inputs["token"]
    states = {
        state.input: np.zeros((len(tokens), *state.shape), np.float32)
        for state in generated.manifest.graphs["step"].states
    }
    logits, _ = parity.step_by_step(parity.session(generated.read("step.onnx")), tokens, states)

    check("logits", logits, case.outputs["logits"], generated.manifest.golden)


def test_the_graph_of_a_classifier_reproduces_its_golden_case(classified):
    case = unpack(classified.read("golden.npz"))["sequence"]
    outputs = parity.run(parity.session(classified.read("sequence.onnx")), case.inputs)

    check("logits", outputs["logits"], case.outputs["logits"], classified.manifest.golden)
    assert case.inputs["tokens"].shape[1] in classified.manifest.graphs["sequence"].buckets


def test_the_unknown_is_never_generated_and_may_only_be_classified(generated, classified):
    generates, classifies = generated.manifest.tokenizer, classified.manifest.tokenizer

    assert generates.suppressed == (generates.unknown,)
    assert not generates.accepts_unknown
    assert classifies.suppressed == ()
    assert classifies.accepts_unknown


def test_the_tokenizer_of_a_bundle_has_the_size_its_manifest_says(generated):
    tokenizer = Tokenizer.from_str(generated.read("tokenizer.json").decode())

    assert tokenizer.get_vocab_size() == generated.manifest.tokenizer.vocabulary_size
    assert generated.manifest.graphs["step"].outputs[0].shape == (tokenizer.get_vocab_size(),)


def test_the_card_of_a_translator_says_how_it_was_counted(translated):
    card = translated.read("CARD.md").decode()

    assert "`nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in card
    assert f"length_penalty {translated.manifest.decoding['length_penalty']:g}" in card


def test_the_card_says_what_was_measured(generated, classified, translated):
    for bundle in (generated, classified, translated):
        card = bundle.read("CARD.md").decode()
        assert f"**{bundle.manifest.metrics[0].value:.4f}**" in card
        assert bundle.manifest.provenance.command in card
        assert f"| parameters | {bundle.manifest.provenance.parameters:,} |" in card


def test_without_parity_nothing_is_written(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "BATCH_SIZES", (4,))
    monkeypatch.setattr(
        parity, "step_by_step", lambda graph, tokens, states: (np.zeros((4, 48, 1)), states)
    )

    with pytest.raises(ParityError):
        publish(generator.finished(), tmp_path)
    assert list(tmp_path.iterdir()) == []
