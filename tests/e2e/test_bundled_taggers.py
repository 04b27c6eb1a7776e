"""The published taggers, served as a user gets them, and their figures as a user makes them."""

import unicodedata

import numpy as np
import pytest

from e2e.conftest import ZOO, zoo_served
from stepwire import Client
from stepwire.cli.evaluation.labelling import entities
from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.graph import Graph, TaggingGraph
from stepwire_zoo.bundle import open_bundle
from support.evaluating import evaluate

SPLITS = {
    "pos-en": "ud-english-ewt/en_ewt-ud-test.conllu.gz",
    "pos-en-stream": "ud-english-ewt/en_ewt-ud-test.conllu.gz",
    "pos-ko": "ud-korean-kaist/kaist.tar.gz",
    "ner-en": "btc/f.conll.gz",
    "ner-ko": "klue-ner/klue-ner-v1.1_dev.tsv.gz",
    "slots-en": "snips/2017-06-custom-intent-engines.tar.gz",
    "nsmc-bilstm": "nsmc/ratings_test.txt.gz",
}
COUNTED = {"pos-en": 25_094, "pos-ko": 28_366, "ner-ko": 2_799}  # words; names, real or found


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with zoo_served(tmp_path_factory.mktemp("zoo"), *SPLITS) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    with Client(address) as client:
        yield client


@pytest.mark.parametrize("name", COUNTED)
def test_the_figures_of_the_card_are_those_of_the_served_model(address, name):
    code, told = evaluate(address, name, needs=SPLITS[name])
    assert code == 0
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=1e-3)
    assert told[0]["count"] == COUNTED[name]


def test_a_sample_of_texts_read_word_by_word_scores_as_all_of_them_do(address):
    sample = ("--sample", "400")
    code, told = evaluate(address, "pos-en-stream", *sample, needs=SPLITS["pos-en-stream"])
    assert (code, [figure["split"] for figure in told]) == (0, ["test", "test, 3 sentences a text"])
    for figure in told:
        error = np.sqrt(figure["card"] * (1 - figure["card"]) / figure["count"])
        assert figure["value"] == pytest.approx(figure["card"], abs=4 * error)


def test_words_are_tagged_as_they_come_and_not_taken_back(client):
    text = "Give her the book, and tell her."
    [whole] = client.tag("pos-en-stream", text)
    with client.session("pos-en-stream") as session:
        told = [session.step(token.text).last.labels[0] for token in whole.tokens]
    assert told == [token.tags[0] for token in whole.tokens]
    assert " ".join(label.label for label in told) == (
        "VERB PRON DET NOUN PUNCT CCONJ VERB PRON PUNCT"
    )


def test_a_sample_of_the_reviews_scores_as_all_of_them_do(address):
    code, [told, _] = evaluate(
        address, "nsmc-bilstm", "--sample", "2000", needs=SPLITS["nsmc-bilstm"]
    )
    error = np.sqrt(told["card"] * (1 - told["card"]) / told["count"])
    assert (code, told["metric"], told["count"]) == (0, "accuracy", 2_000)
    assert told["value"] == pytest.approx(told["card"], abs=3 * error)


@pytest.mark.parametrize(
    ("model", "text", "tags"),
    [
        ("pos-en", "She can't fish.", "PRON AUX PART VERB PUNCT"),
        ("pos-en", "He opened the can of fish.", "PRON VERB DET NOUN ADP NOUN PUNCT"),
        ("pos-ko", "그는 학교에서 책을 읽었다.", "PRON ADV NOUN VERB PUNCT"),
    ],
)
def test_words_are_tagged_as_a_reader_would(client, model, text, tags):
    [result] = client.tag(model, text)
    assert " ".join(result.tags) == tags


def test_a_sample_of_requests_scores_as_all_of_them_do(address):
    code, told = evaluate(address, "slots-en", "--sample", "350", needs=SPLITS["slots-en"])
    assert (code, [figure["metric"] for figure in told]) == (
        0,
        ["slot F1", "intent accuracy", "sentence accuracy"],
    )
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=0.05)


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("Book a table for five in Texas!", "BookRestaurant", {"five": "B-party_size_number"}),
        ("Will it RAIN in Seoul tomorrow?", "GetWeather", {"Seoul": "B-city"}),
        ("give this novel 4 out of 6 stars", "RateBook", {"4": "B-rating_value"}),
    ],
)
def test_requests_are_understood_as_a_reader_would(client, text, intent, slots):
    [result] = client.tag("slots-en", text)
    assert result.labels[0].label == intent
    found = {token.text: token.tag for token in result.tokens}
    assert {word: found[word] for word in slots} == slots
    assert client.classify("slots-en", text)[0].labels == result.labels


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_korean_names_end_where_their_particles_begin(client, form):
    text = unicodedata.normalize(form, "손흥민은 8월 토트넘에 입단했다.")
    [result] = client.tag("ner-ko", text)
    names = {
        (kind, text[result.tokens[first].start : result.tokens[behind - 1].end])
        for kind, first, behind in entities(result.tags)
    }
    assert names == {
        (kind, unicodedata.normalize(form, name))
        for kind, name in (("PS", "손흥민"), ("DT", "8월"), ("OG", "토트넘"))
    }


@pytest.mark.parametrize("name", ["pos-en", "pos-ko", "ner-ko", "slots-en"])
def test_a_sentence_gives_the_same_bits_in_a_batch_of_any_size_at_any_place(name):
    bundle = open_bundle(ZOO / name / "1")
    spec, manifest = bundle.manifest.graphs["sequence"], bundle.manifest
    graph = TaggingGraph(Graph(bundle.read(spec.file), spec, RuntimeConfig()), spec)
    width = next(tensor.shape[1] for tensor in spec.inputs if tensor.role == "characters")
    rng = np.random.default_rng(0)
    for bucket in spec.buckets[:4]:
        lengths = rng.integers(1, bucket + 1, 32)
        tokens = rng.integers(0, manifest.tokenizer.vocabulary_size, (32, bucket, 1))
        letters = rng.integers(0, manifest.characters.vocabulary_size, (32, bucket, width))
        words = np.concatenate([tokens, letters], axis=2)
        together = graph.run(words, lengths)
        for size in (1, 2, 5, 16, 31):
            for row, alone in enumerate(graph.run(words[-size:], lengths[-size:])):
                both = zip(alone.arrays, together[32 - size + row].arrays, strict=True)
                assert all(np.array_equal(*arrays) for arrays in both)
