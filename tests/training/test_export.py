"""From a finished run to a bundle that a server would open."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from stepwire_training import parity
from stepwire_training.export import publish
from stepwire_training.parity import ParityError
from stepwire_zoo.golden import check, unpack

FILES = {"CARD.md", "golden.npz", "learning_curve.png", "tokenizer.json"}


@pytest.fixture(scope="module")
def generated(generator, tmp_path_factory):
    return publish(generator.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def classified(classifier, tmp_path_factory):
    return publish(classifier.finished(), tmp_path_factory.mktemp("zoo"))


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


def test_the_card_says_what_was_measured(generated, classified):
    for bundle in (generated, classified):
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
