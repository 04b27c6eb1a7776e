"""Embed, Neighbors and Analogy on a real server: what they give, and what is refused."""

import asyncio
import unicodedata

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.conftest import server_config
from stepwire import AsyncClient, Client, InvalidRequest, Question, VectorOrigin
from stepwire.v1 import embeddings_pb2 as pb
from stepwire.v1 import labeling_pb2, models_pb2
from stepwire_server.config import BatchingConfig
from support.background import background
from support.calls import error_info
from support.tiny import write_classification
from support.tiny_vectors import (
    MOST_WORDS,
    PARTS,
    WORDS,
    cosines_of,
    unit,
    vector_of,
    write_vectors,
)

WORD, SUBWORDS, NONE = (
    pb.VECTOR_ORIGIN_WORD,
    pb.VECTOR_ORIGIN_SUBWORDS,
    pb.VECTOR_ORIGIN_NONE,
)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_vectors(folder)
    write_vectors(folder, "whole", parts=False)
    write_classification(folder)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A client of a server that many words are sent to."""
    folder = tmp_path_factory.mktemp("repository")
    write_vectors(folder)
    with (
        background(server_config(folder)) as (app, _),
        Client(f"127.0.0.1:{app.grpc_port}") as client,
    ):
        yield client


def embedding(*words, texts=(), model="vectors"):
    inputs = [pb.EmbedInput(word=word) for word in words]
    return pb.EmbedRequest(model=model, inputs=[*inputs, *(pb.EmbedInput(text=t) for t in texts)])


def neighbors(*words, **fields):
    return pb.NeighborsRequest(**{"model": "vectors", "words": words, **fields})


def analogy(positive, negative=(), **fields):
    question = pb.AnalogyQuestion(positive=positive, negative=negative)
    return pb.AnalogyRequest(**{"model": "vectors", "questions": [question], **fields})


def nearest(scores, k, *without):
    """The obvious way: all of them in order."""
    order = sorted(range(1, len(WORDS)), key=lambda n: (-scores[n], n))
    return [(WORDS[n], scores[n]) for n in order if WORDS[n] not in without][:k]


def told(near):
    return [(it.word, pytest.approx(it.score, abs=1e-5)) for it in near]


async def test_a_known_word_has_its_own_vector_however_it_is_written(embeddings):
    apart = unicodedata.normalize("NFD", "서울")
    response = await embeddings.Embed(embedding("king", "KING", "서울", apart))
    for result, word in zip(response.results, ("king", "king", "서울", "서울"), strict=True):
        np.testing.assert_allclose(result.vector, vector_of(word), rtol=1e-6)
    assert [it.words[0].origin for it in response.results] == [WORD] * 4
    assert [it.words[0].text for it in response.results] == ["king", "KING", "서울", apart]


async def test_an_unknown_word_is_made_of_its_parts_and_the_answer_says_so(embeddings):
    response = await embeddings.Embed(embedding("Kings", "서울에서", "killing"))
    for result, word in zip(response.results, ("kings", "서울에서", "killing"), strict=True):
        np.testing.assert_allclose(result.vector, vector_of(word), rtol=1e-6)
        assert [(it.text.lower(), it.origin) for it in result.words] == [(word, SUBWORDS)]


@pytest.mark.parametrize("word", ["xyzzy", "😀", "<unk>", "ㅋㅋㅋ", ".", "a" * 256])
async def test_a_word_of_which_nothing_is_known_has_no_vector_and_no_neighbours(embeddings, word):
    [result] = (await embeddings.Embed(embedding(word))).results
    assert (len(result.vector), result.words[0].origin) == (0, NONE)
    [result] = (await embeddings.Neighbors(neighbors(word))).results
    assert (result.word.text, result.word.origin, len(result.neighbors)) == (word, NONE, 0)


async def test_without_parts_every_unknown_word_has_no_vector(embeddings, models):
    response = await embeddings.Embed(embedding("kings", "king", model="whole"))
    assert [it.words[0].origin for it in response.results] == [NONE, WORD]
    limits = (await models.GetModel(models_pb2.GetModelRequest(model="whole"))).model.limits
    assert limits.subword_count == 0


async def test_a_text_has_the_mean_of_its_words_each_of_length_one(embeddings):
    text = "Killing the king, Paris?"
    [result] = (await embeddings.Embed(embedding(texts=[text]))).results
    assert [(word.text, word.origin) for word in result.words] == [
        ("Killing", SUBWORDS),
        ("the", NONE),
        ("king", WORD),
        (",", NONE),
        ("Paris", WORD),
        ("?", NONE),
    ]
    wanted = np.mean([unit(vector_of(word)) for word in ("killing", "king", "paris")], axis=0)
    np.testing.assert_allclose(result.vector, wanted, rtol=1e-5)


@pytest.mark.parametrize("text", ["", " \n\u3000", "xyzzy !", "😀😀"])
async def test_a_text_without_a_known_word_has_no_vector(embeddings, text):
    first, second = (await embeddings.Embed(embedding("king", texts=[text]))).results
    assert (len(first.vector), len(second.vector)) == (3, 0)
    assert all(word.origin == NONE for word in second.words)


async def test_neighbours_are_the_nearest_of_all_words_but_itself(embeddings):
    response = await embeddings.Neighbors(neighbors("king", "Kings", "서울", k=3))
    wanted = [
        nearest(cosines_of(word), 3, *without)
        for word, without in (("king", ["king"]), ("kings", []), ("서울", ["서울"]))
    ]
    assert [told(it.neighbors) for it in response.results] == wanted
    assert [it.word.origin for it in response.results] == [WORD, SUBWORDS, WORD]


async def test_there_are_no_more_neighbours_than_words(embeddings):
    [result] = (await embeddings.Neighbors(neighbors("king", k=1000))).results
    assert sorted(it.word for it in result.neighbors) == sorted(set(WORDS[1:]) - {"king"})
    [result] = (await embeddings.Neighbors(neighbors("king"))).results
    assert len(result.neighbors) == len(WORDS) - 2


async def test_king_less_man_and_woman_is_queen(embeddings):
    [result] = (await embeddings.Analogy(analogy(["king", "woman"], ["man"], k=2))).results
    scores = cosines_of("king") + cosines_of("woman") - cosines_of("man")
    assert told(result.answers) == nearest(scores, 2, "king", "woman", "man")
    assert result.answers[0].word == "queen"
    assert [(it.text, it.origin) for it in result.words] == [
        ("king", WORD),
        ("woman", WORD),
        ("man", WORD),
    ]


async def test_an_analogy_may_multiply(embeddings):
    request = analogy(["king", "woman"], ["man"], method=pb.ANALOGY_METHOD_3COSMUL)
    [result] = (await embeddings.Analogy(request)).results
    king, woman, man = ((1 + cosines_of(word)) / 2 for word in ("king", "woman", "man"))
    wanted = nearest(king * woman / (man + 1e-3), 10, "king", "woman", "man")
    assert [it.word for it in result.answers] == [word for word, _ in wanted]
    assert [it.score for it in result.answers] == pytest.approx([s for _, s in wanted], rel=1e-4)


async def test_an_analogy_takes_words_by_their_parts(embeddings):
    [result] = (await embeddings.Analogy(analogy(["kings"], k=1))).results
    assert told(result.answers) == nearest(cosines_of("kings"), 1)
    assert result.words[0].origin == SUBWORDS


async def test_an_analogy_with_a_word_that_has_no_vector_says_which(embeddings):
    request = pb.AnalogyRequest(
        model="vectors",
        questions=[
            pb.AnalogyQuestion(positive=["king", "xyzzy"], negative=["man"]),
            pb.AnalogyQuestion(positive=["king"]),
        ],
    )
    first, second = (await embeddings.Analogy(request)).results
    assert len(first.answers) == 0
    assert [it.text for it in first.words if it.origin == NONE] == ["xyzzy"]
    assert len(second.answers) > 0


async def test_a_word_gives_the_same_alone_and_among_others(embeddings):
    words = [("king", "kings", "서울에서", "killing", "xyzzy")[n * n % 5] for n in range(300)]
    together = (await embeddings.Embed(embedding(*words))).results
    near = (await embeddings.Neighbors(neighbors(*words))).results
    for word in set(words):
        [alone] = (await embeddings.Embed(embedding(word))).results
        [beside] = (await embeddings.Neighbors(neighbors(word))).results
        for place in (n for n, each in enumerate(words) if each == word):
            assert together[place] == alone
            assert near[place] == beside


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_of_any_word_the_answer_says_what_its_vector_is_made_of(served, word):
    if any(map(str.isspace, word)):
        with pytest.raises(InvalidRequest, match="be one word without white space"):
            served.embed("vectors", word)
        return
    [result] = served.embed("vectors", word)
    [near] = served.neighbors("vectors", word)
    assert near.word == result.words[0]
    assert (result.words[0].origin is VectorOrigin.NONE) == (not result.vector)
    assert bool(near.neighbors) == bool(result.vector)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=MOST_WORDS))
def test_of_any_text_every_word_is_told_of(served, text):
    [result] = served.embed("vectors", text, texts=True)
    assert seen("".join(word.text for word in result.words)) == seen(text)
    assert bool(result.vector) == any(it.origin is not VectorOrigin.NONE for it in result.words)


def seen(text):
    return "".join(character for character in text if not character.isspace())


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(raised.value).reason == "INVALID_REQUEST"
    return raised.value.details()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (embedding(), "number of inputs must be in [1, "),
        (embedding("king", ""), "inputs[1].word must be one word without white space, got ''"),
        (embedding("New York"), "inputs[0].word must be one word without white space"),
        (embedding("\u3000"), "inputs[0].word must be one word without white space"),
        (embedding("a" * 257), "inputs[0].word must have at most 256 characters, got 257"),
        (embedding(texts=["a " * 7]), "inputs[0].text must have at most 6 words, got 7 words"),
        (embedding(texts=["a" * 100_000]), "inputs[0].text must have at most 6 words, got 100000"),
        (pb.EmbedRequest(model="vectors", inputs=[pb.EmbedInput()]), "inputs[0] must have a word"),
        (embedding("king", model="judge"), "model must be one for embedding"),
    ],
)
async def test_what_cannot_be_embedded_is_named(embeddings, request_, message):
    assert message in await refusal(embeddings.Embed(request_))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (neighbors(), "number of words must be in [1, "),
        (neighbors("king", " "), "words[1] must be one word without white space"),
        (neighbors("king", k=0), "k must be in [1, 1000], got 0"),
        (neighbors("king", k=1001), "k must be in [1, 1000], got 1001"),
        (neighbors(*["king"] * 2_000), "number of words must be in [1, "),
    ],
)
async def test_neighbours_that_cannot_be_found_are_named(embeddings, request_, message):
    assert message in await refusal(embeddings.Neighbors(request_))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.AnalogyRequest(model="vectors"), "number of questions must be in [1, "),
        (analogy([], ["man"]), "questions[0].positive must hold at least one word, got none"),
        (analogy(["king"], [""]), "questions[0].negative[0] must be one word without white space"),
        (analogy(["king"] * 17), "number of words in questions[0].positive must be in [0, 16]"),
        (analogy(["king"], ["man"] * 17), "number of words in questions[0].negative must be in"),
        (analogy(["king"], k=0), "k must be in [1, 1000], got 0"),
        (analogy(["king"], method=7), "method must be in [0, 1, 2], got 7"),
    ],
)
async def test_an_analogy_that_makes_no_sense_is_named(embeddings, request_, message):
    assert message in await refusal(embeddings.Analogy(request_))


async def test_word_vectors_do_not_classify(labeling):
    await refusal(labeling.Classify(labeling_pb2.ClassifyRequest(model="vectors", texts=["a"])))


async def test_they_are_listed_as_word_vectors(models):
    model = (await models.GetModel(models_pb2.GetModelRequest(model="vectors"))).model
    assert model.summary.task == models_pb2.TASK_EMBEDDING
    assert model.limits.vocabulary_size == len(WORDS)
    assert model.limits.subword_count == len(PARTS)
    assert [tensor.role for tensor in model.graphs[0].outputs] == ["vector", "cosines"]
    assert model.batch_independent


async def test_both_clients_call_alike(app):
    address = f"127.0.0.1:{app.grpc_port}"
    with Client(address) as client:
        vectors = await asyncio.to_thread(client.embed, "vectors", ["king", "xyzzy"])
        near = await asyncio.to_thread(client.neighbors, "vectors", "king", k=2)
        fits = await asyncio.to_thread(client.analogy, "vectors", ["king", "woman"], ["man"])
    async with AsyncClient(address) as client:
        assert await client.embed("vectors", ["king", "xyzzy"]) == vectors
        assert await client.neighbors("vectors", "king", k=2) == near
        question = Question(positive=["king", "woman"], negative=["man"])
        assert await client.analogies("vectors", [question]) == [fits]
        lost = await client.analogy("vectors", ["king", "xyzzy"], multiply=True)
    assert vectors[0].words[0].origin is VectorOrigin.WORD
    assert [it.word for it in near[0].neighbors] == [
        word for word, _ in nearest(cosines_of("king"), 2, "king")
    ]
    assert fits.answers[0].word == "queen"
    assert (lost.answers, lost.missing) == ((), ("xyzzy",))


async def test_a_call_of_very_many_words_never_waits_as_a_whole(tmp_path):
    """A queue of as many rows as one part of a call takes all of it, part by part."""
    write_vectors(tmp_path)
    batching = BatchingConfig(max_waiting_sequences=256)
    with background(server_config(tmp_path, batching=batching)) as (app, _):
        async with AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
            found = await client.embed("vectors", ["king"] * 1_000)
    assert len(found) == 1_000
    assert all(it == found[0] for it in found)
