"""The published word vectors, served as a user gets them, and their figures as users make them."""

import unicodedata

import numpy as np
import pytest

from e2e.conftest import ZOO, zoo_served
from stepwire import Client, InvalidRequest, VectorOrigin
from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.graph import EmbeddingGraph, Graph
from stepwire_zoo.bundle import open_bundle
from support.evaluating import evaluate

ENGLISH = ("wikitext2-skipgram", "wikitext2-cbow", "wikitext2-glove")
BUNDLES = (*ENGLISH, "nsmc-skipgram")
SUBWORDS, NONE = VectorOrigin.SUBWORDS, VectorOrigin.NONE


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with zoo_served(tmp_path_factory.mktemp("zoo"), *BUNDLES) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    with Client(address) as client:
        yield client


def origins(client, name, *words):
    return [each.words[0].origin for each in client.embed(name, words)]


def test_the_figures_of_a_card_are_those_of_the_served_model(address):
    code, told = evaluate(address, "nsmc-skipgram", needs="word-similarity/kor_ws353.csv")
    assert (code, len(told)) == (0, 9)
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=1e-3)


@pytest.mark.parametrize("name", ENGLISH)
def test_a_sample_of_pairs_and_questions_scores_about_as_all_of_them_do(address, name):
    sample = ("--sample", "300")
    code, told = evaluate(address, name, *sample, needs="word-similarity/simlex999.txt")
    assert code == 0
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=0.2)


@pytest.mark.parametrize(
    ("name", "word", "near"),
    [
        *((name, "river", "missouri") for name in ENGLISH),
        *((name, "Storm", "hurricane") for name in ENGLISH),
        ("nsmc-skipgram", "배우", "배우들"),
    ],
)
def test_words_are_near_those_that_a_reader_would_name(client, name, word, near):
    [found] = client.neighbors(name, word, k=30)
    assert near in [each.word for each in found.neighbors]
    assert all(0 < each.score < 1 for each in found.neighbors)


def test_a_word_that_was_never_learned_is_near_those_it_is_built_like(client):
    [found] = client.neighbors("wikitext2-skipgram", "unsingable", k=20)
    assert found.word.origin is SUBWORDS
    assert len(found.neighbors) == 20
    assert origins(client, "wikitext2-cbow", "unsingable") == [NONE]


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("word", ["😀", "✈️", "\u200b"])
def test_a_word_of_which_nothing_is_known_is_near_nothing(client, name, word):
    [found] = client.neighbors(name, word)
    assert (found.word.origin, found.neighbors) == (NONE, ())


@pytest.mark.parametrize("name", BUNDLES)
def test_the_longest_word_is_answered(client, name):
    [found] = client.neighbors(name, "a" * 256, k=1000)
    assert found.word.origin in (SUBWORDS, NONE)
    assert len(found.neighbors) == (1000 if found.word.origin is SUBWORDS else 0)


def test_korean_is_one_word_however_it_is_composed(client):
    words = ("영화", unicodedata.normalize("NFD", "영화"), "영화에서도만", "재밌었을지도")
    composed, apart, *made = client.embed("nsmc-skipgram", words)
    assert composed.vector == apart.vector
    assert [each.words[0].origin for each in made] == [SUBWORDS, SUBWORDS]
    decomposed = unicodedata.normalize("NFD", words[2])
    assert client.embed("nsmc-skipgram", [decomposed])[0].vector == made[0].vector


@pytest.mark.parametrize("name", BUNDLES)
def test_what_is_asked_beyond_the_limits_is_refused(client, name):
    for words in ([], [""], [" \n"], ["a" * 257], ["two words"]):
        with pytest.raises(InvalidRequest, match=r"word must|number of inputs must"):
            client.embed(name, words)
    for k in (0, -1, 1001):
        with pytest.raises(InvalidRequest, match="k must be"):
            client.neighbors(name, "영화", k=k)


def test_an_analogy_of_words_without_vectors_names_them(client):
    fits = client.analogy("wikitext2-glove", ["king", "zzyzzx"], ["qqxqq"])
    assert (fits.answers, fits.missing) == ((), ("zzyzzx", "qqxqq"))


@pytest.mark.parametrize("name", BUNDLES)
def test_a_word_gives_the_same_bits_in_a_batch_of_any_size_at_any_place(name):
    bundle = open_bundle(ZOO / name / "1")
    spec = bundle.manifest.graphs["sequence"]
    graph = EmbeddingGraph(Graph(bundle.read(spec.file), spec, RuntimeConfig()), spec)
    rows = bundle.manifest.tokenizer.vocabulary_size
    rng = np.random.default_rng(0)
    for bucket in spec.buckets[:3]:
        lengths = rng.integers(1, bucket + 1, 32)
        tokens = rng.integers(0, rows, (32, bucket))
        together = graph.run(tokens, lengths)
        for size in (1, 2, 5, 16, 31):
            for row, alone in enumerate(graph.run(tokens[-size:], lengths[-size:])):
                both = zip(alone.arrays, together[32 - size + row].arrays, strict=True)
                assert all(np.array_equal(*arrays) for arrays in both)
