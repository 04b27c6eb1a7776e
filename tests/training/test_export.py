"""From a finished run to a bundle that a server would open."""

import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

from stepwire_training import parity, prove_series, prove_translator
from stepwire_training.data.batches import PADDING, Shard
from stepwire_training.data.parallel import Cutting
from stepwire_training.evaluate import Score
from stepwire_training.export import by_words, publish
from stepwire_training.finished import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.models.chain_tagger import ChainTagger
from stepwire_training.parity import ParityError
from stepwire_training.recipes import RECIPES, tiny
from stepwire_training.train import train
from stepwire_zoo.golden import check, unpack
from stepwire_zoo.manifest import NO_TOKENIZER, Series

FILES = {"CARD.md", "golden.npz", "learning_curve.png", "tokenizer.json"}


@pytest.fixture(scope="module")
def generated(generator, tmp_path_factory):
    return publish(generator.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def classified(classifier, tmp_path_factory):
    return publish(classifier.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def attended(attentive, tmp_path_factory):
    return publish(attentive.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def streamed(stream, tmp_path_factory):
    return publish(stream.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def tagged(tagger, tmp_path_factory):
    return publish(tagger.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def translated(translator, tmp_path_factory):
    return publish(translator.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def forecasted(forecaster, tmp_path_factory):
    return publish(forecaster.finished(), tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def found_anomalies(anomaly, tmp_path_factory):
    return publish(anomaly.finished(), tmp_path_factory.mktemp("zoo"))


def test_a_generator_bundle_is_whole(generated):
    manifest = generated.manifest
    generated.read_all()

    assert manifest.files.keys() == FILES | {"step.onnx"}
    assert (manifest.task, manifest.labels) == ("generation", ())
    assert [state.output for state in manifest.graphs["step"].states] == ["h_next", "c_next"]
    assert generated.folder.parts[-2:] == ("tiny", "1")


def test_perplexity_by_words_counts_the_nats_of_all_pieces(generator):
    dataset = replace(generator.dataset, words=10)
    tokens = len(dataset.test.ids) - 1
    metric = by_words(Score(loss=30 / tokens, accuracy=0.0), dataset, tiny.PUBLICATION)

    assert metric.value == pytest.approx(math.exp(3))
    assert (metric.name, metric.unit) == ("perplexity", "per word")


def test_a_classifier_bundle_is_whole(classified):
    manifest = classified.manifest
    classified.read_all()

    assert manifest.files.keys() == FILES | {"sequence.onnx"}
    assert (manifest.task, manifest.labels) == ("classification", ("negative", "positive"))
    assert max(manifest.graphs["sequence"].buckets) == manifest.limits.max_input_tokens


def test_a_classifier_with_attention_gives_and_proves_it(attended):
    manifest = attended.manifest
    case = unpack(attended.read("golden.npz"))["sequence"]

    assert [(tensor.role, tensor.shape) for tensor in manifest.graphs["sequence"].outputs] == [
        ("logits", (2,)),
        ("attention", (-1,)),
    ]
    inside = np.arange(case.inputs["tokens"].shape[1]) < case.inputs["lengths"][:, None]
    weights = case.outputs["attention"]
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    assert np.array_equal(weights > 0, inside)


def test_a_classifier_that_judges_along_the_way_has_a_step_graph_alone(streamed):
    manifest = streamed.manifest
    streamed.read_all()

    assert manifest.files.keys() == FILES | {"step.onnx"}
    assert (manifest.task, manifest.labels) == ("classification", ("negative", "positive"))
    (graph,) = manifest.graphs.values()
    assert [(tensor.name, tensor.role, tensor.shape) for tensor in graph.inputs] == [
        ("token", "token", ())
    ]
    assert [(tensor.role, tensor.shape) for tensor in graph.outputs] == [("logits", (2,))]
    assert [(state.output, state.start) for state in graph.states] == [
        ("h_next", "zeros"),
        ("c_next", "zeros"),
    ]
    assert manifest.limits.max_new_tokens == 0


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


def test_a_bundle_whose_sources_have_many_answers_tells_perplexity(answerer, tmp_path):
    bundle = publish(answerer.finished(), tmp_path)
    manifest = bundle.manifest
    bundle.read_all()

    assert manifest.files.keys() == FILES | {"encode.onnx", "step.onnx"}
    assert (manifest.task, manifest.decoding) == ("translation", {})
    assert [state.start for state in manifest.graphs["step"].states] == ["zeros"] * 5
    assert {tensor.role for tensor in manifest.graphs["encode"].outputs} == {"context"}
    assert [metric.name for metric in manifest.metrics] == [
        *("perplexity", "perplexity by characters")
    ]
    assert manifest.metrics[0].value < 3
    assert "BLEU" not in bundle.read("CARD.md").decode()
    assert "dev_bleu" not in answerer.training.progress.history[0]


def test_a_forecaster_bundle_is_whole(forecasted):
    manifest = forecasted.manifest
    forecasted.read_all()

    assert manifest.files.keys() == (FILES | {"step.onnx"}) - {"tokenizer.json"}
    assert (manifest.task, manifest.tokenizer) == ("forecasting", NO_TOKENIZER)
    assert manifest.series == Series(columns=("tide", "wind"), targets=("tide", "wind"), horizon=4)
    assert [state.input for state in manifest.graphs["step"].states] == [
        *("h", "c", "recent", "seen", "level", "expected")
    ]
    assert {metric.split for metric in manifest.metrics} == {"test"}


def test_the_card_of_a_forecaster_speaks_of_rows(forecasted):
    card = forecasted.read("CARD.md").decode()

    assert "## Rows" in card
    assert "languages" not in card
    assert "a series read in chunks equals it read whole" in card


def test_an_anomaly_bundle_carries_its_running_units_in_states(found_anomalies):
    manifest = found_anomalies.manifest
    measured = {(metric.name, metric.split): metric.value for metric in manifest.metrics}

    assert "variance" in [state.input for state in manifest.graphs["step"].states]
    assert manifest.metrics[0].name == "NAB score by surprise"
    assert measured["NAB score by surprise", "streams held out, threshold from the others"] > 50
    assert measured["threshold of surprise", "streams that chose the threshold"] > 0


@pytest.mark.parametrize("name", ["forecasted", "found_anomalies"])
def test_the_graph_of_a_forecaster_reproduces_its_golden_case(name, request):
    bundle = request.getfixturevalue(name)
    case = unpack(bundle.read("golden.npz"))["step"]
    rows = case.inputs["features"]
    states = {
        state.input: np.zeros((len(rows), *state.shape), np.float32)
        for state in bundle.manifest.graphs["step"].states
    }
    got, _ = prove_series.steps(parity.session(bundle.read("step.onnx")), rows, states)

    for role, wanted in case.outputs.items():
        check(role, got[role], wanted, bundle.manifest.golden)


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


@pytest.mark.parametrize("name", ["generated", "streamed"])
def test_a_step_graph_reproduces_its_golden_case(name, request):
    bundle = request.getfixturevalue(name)
    case = unpack(bundle.read("golden.npz"))["step"]
    tokens = case.inputs["token"]
    states = {
        state.input: np.zeros((len(tokens), *state.shape), np.float32)
        for state in bundle.manifest.graphs["step"].states
    }
    logits, _ = parity.step_by_step(parity.session(bundle.read("step.onnx")), tokens, states)

    check("logits", logits, case.outputs["logits"], bundle.manifest.golden)


def test_the_golden_texts_of_a_stream_are_held_out_and_hold_no_padding(streamed, stream):
    tokens = unpack(streamed.read("golden.npz"))["step"].inputs["token"]
    held_out = []
    for step in range(len(stream.dataset.dev)):
        (rows,), targets, _ = stream.dataset.dev.batch(step, Shard())
        ends = [int(row.nonzero().max()) + 1 for row in targets != PADDING]
        held_out += [row[:end].tolist() for row, end in zip(rows, ends, strict=True)]

    for row in tokens.tolist():
        assert row in [text[: len(row)] for text in held_out]


def test_the_card_of_a_stream_says_what_it_knew_early(streamed):
    card = streamed.read("CARD.md").decode()

    for share in (25, 50, 75):
        assert f"| accuracy, test, after {share} % of the tokens | **" in card


def test_the_graph_of_a_classifier_reproduces_its_golden_case(classified):
    case = unpack(classified.read("golden.npz"))["sequence"]
    outputs = parity.run(parity.session(classified.read("sequence.onnx")), case.inputs)

    check("logits", outputs["logits"], case.outputs["logits"], classified.manifest.golden)
    assert case.inputs["tokens"].shape[1] in classified.manifest.graphs["sequence"].buckets


def test_the_unknown_is_never_generated_and_may_only_be_classified(generated, classified, streamed):
    generates = generated.manifest.tokenizer

    assert generates.suppressed == (generates.unknown,)
    assert not generates.accepts_unknown
    for classifies in (classified.manifest.tokenizer, streamed.manifest.tokenizer):
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


def test_the_card_says_what_was_measured(generated, classified, streamed, translated, forecasted):
    for bundle in (generated, classified, streamed, translated, forecasted):
        card = bundle.read("CARD.md").decode()
        assert f"**{bundle.manifest.metrics[0].value:.4f}**" in card
        assert bundle.manifest.provenance.command in card
        assert f"| parameters | {bundle.manifest.provenance.parameters:,} |" in card


def test_without_parity_nothing_is_written(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "BATCH_SIZES", (4,))
    monkeypatch.setattr(
        parity, "step_by_step", lambda graph, tokens, states, *_: (np.zeros((4, 48, 1)), states)
    )

    with pytest.raises(ParityError):
        publish(generator.finished(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_tagger_bundle_is_whole(tagged):
    manifest = tagged.manifest
    tagged.read_all()

    assert manifest.files.keys() == FILES | {"sequence.onnx", "characters.json"}
    assert (manifest.task, manifest.labels) == ("tagging", ("DET", "NOUN", "NUM", "PUNCT", "VERB"))
    assert (manifest.tokenizer.unknown, manifest.characters.pad) == (0, 0)
    assert [tensor.role for tensor in manifest.graphs["sequence"].inputs] == [
        "tokens",
        "characters",
        "lengths",
    ]
    figures = {metric.name: metric.value for metric in manifest.metrics}
    assert figures["accuracy"] >= 0.99
    assert figures["F1 of words cut from raw text"] == 1.0
    card = tagged.read("CARD.md").decode()
    assert "training sentences dropped as also in test: 1" in card


def test_a_taggers_golden_case_is_what_pytorch_answers(tagged):
    case = unpack(tagged.read("golden.npz"))["sequence"]
    got = parity.run(parity.session(tagged.read("sequence.onnx")), case.inputs)["logits"]

    for row, length in enumerate(case.inputs["lengths"]):
        wanted = case.outputs["logits"][row, :length]
        check("logits", got[row, :length], wanted, tagged.manifest.golden)


def test_a_joint_tagger_is_published_with_what_it_says_of_whole_sentences(joint, tmp_path):
    bundle = publish(joint.finished(), tmp_path)
    manifest = bundle.manifest
    graph, case = manifest.graphs["sequence"], unpack(bundle.read("golden.npz"))["sequence"]
    got = parity.run(parity.session(bundle.read("sequence.onnx")), case.inputs)

    assert manifest.text_labels == ("animal", "thing")
    assert len(manifest.chain.starts) == len(manifest.labels)
    assert {tensor.role: tensor.shape for tensor in graph.outputs} == {
        "logits": (-1, 5),
        "text_logits": (2,),
    }
    check("text_logits", got["text_logits"], case.outputs["text_logits"], manifest.golden)
    figures = {metric.name: metric.value for metric in manifest.metrics}
    assert figures["intent accuracy"] >= figures["sentence accuracy"] >= 0.95
    assert [metric.published for metric in manifest.metrics[:2]] == ["", "none"]


def test_a_chain_of_tags_is_published_with_its_figures(tmp_path):
    toy = tiny.tagger()
    config = ChainTagger.Config(**vars(toy.model))
    recipe = replace(toy, bundle="tiny-chain", model=config)
    dataset = recipe.data.load()
    run = train(recipe, dataset, tmp_path / "runs", Interrupt())
    finished = Finished(recipe=recipe, dataset=dataset, progress=run.progress, machine="a test")
    manifest = publish(finished, tmp_path / "zoo").manifest

    chain = finished.model().chain
    np.testing.assert_allclose(manifest.chain.steps, chain.steps.detach())
    assert manifest.metrics[0].value >= 0.99
    # A verb never follows a determiner, nor does a clause begin with a full stop.
    labels = list(manifest.labels)
    steps, starts = np.array(manifest.chain.steps), np.array(manifest.chain.starts)
    determiner, noun, verb = (labels.index(tag) for tag in ("DET", "NOUN", "VERB"))
    assert steps[determiner, noun] > steps[determiner, verb]
    assert starts[determiner] > starts[labels.index("PUNCT")]


def test_a_bundle_of_word_vectors_is_whole(vectors, tmp_path):
    bundle = publish(vectors.finished(), tmp_path)
    manifest, known = bundle.manifest, vectors.dataset.worded.known
    bundle.read_all()

    assert manifest.files.keys() == FILES | {"sequence.onnx", "subwords.json"}
    assert (manifest.task, manifest.tokenizer.unknown) == ("embedding", 0)
    assert manifest.subwords.tokenizer.vocabulary_size == known.parts.get_vocab_size()
    assert [(it.role, it.shape) for it in manifest.graphs["sequence"].outputs] == [
        ("vector", (8,)),
        ("cosines", (len(known.counts),)),
    ]
    parts = Tokenizer.from_str(bundle.read("subwords.json").decode())
    assert parts.get_vocab() == known.parts.get_vocab()
    graph = parity.session(bundle.read("sequence.onnx"))
    case = unpack(bundle.read("golden.npz"))["sequence"]
    for name, value in parity.run(graph, case.inputs).items():
        check(name, value, case.outputs[name], manifest.golden)
    figures = {(metric.name, metric.split): metric.value for metric in manifest.metrics}
    assert figures["Spearman's rho", "farm, known words"] > 0.5
    assert figures["known", "farm"] == pytest.approx(22 / 23)


@pytest.mark.parametrize("name", ["tiny-cbow", "tiny-glove"])
def test_vectors_of_whole_words_have_no_parts(name, tmp_path):
    recipe = RECIPES[name]()
    dataset = recipe.data.load()
    progress = train(recipe, dataset, tmp_path / "runs", Interrupt()).progress
    finished = Finished(recipe=recipe, dataset=dataset, progress=progress, machine="a test")
    manifest = publish(finished, tmp_path / "zoo").manifest

    assert manifest.files.keys() == FILES | {"sequence.onnx"}
    assert manifest.subwords is None
    assert manifest.metrics[0].value > 0.5
