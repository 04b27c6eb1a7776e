import asyncio

import numpy as np
import pytest

from stepwire_server.errors import InvalidRequest
from support.asking import ask, load, texts
from support.tiny_vectors import TABLE, cosines_of, vector_of, write_vectors


@pytest.fixture
async def models(tmp_path):
    loaded = load(write_vectors(tmp_path))
    yield loaded.tensors
    await asyncio.to_thread(loaded.stop)


async def test_what_a_word_is_made_of_gives_its_vector_and_its_cosines(models):
    tensors = {"tokens": np.array([[1, 9], [8, 9]]), "lengths": np.array([[1], [2]])}
    answer = await ask(models["vectors"], tensors)
    wanted = np.stack([TABLE[1], TABLE[[8, 9]].mean(axis=0)])
    np.testing.assert_allclose(answer.tensors["vector"], wanted, atol=1e-6)
    np.testing.assert_allclose(answer.tensors["cosines"][0], cosines_of("king"), atol=1e-6)


async def test_of_the_two_only_what_is_wanted_is_given(models):
    answer = await ask(models["vectors"], {"tokens": np.array([[1]])}, wanted=["cosines"])
    assert list(answer.tensors) == ["cosines"]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1, 12]], r"tokens\[0, 1\] must be in \[0, 11\], got 12"),
        ([[-1, 0]], r"tokens\[0, 0\] must be in \[0, 11\], got -1"),
        ([[1] * 5], r"tokens\[0\] must have a length in \[1, 4\], got 5"),
    ],
)
async def test_what_the_graph_cannot_read_is_named(models, tokens, message):
    with pytest.raises(InvalidRequest, match=message):
        await ask(models["vectors"], {"tokens": np.array(tokens)})


async def test_words_give_vectors_and_say_what_they_are_made_of(models):
    answer = await ask(models["vectors.embed"], {"word": texts("King", "kings", "xyzzy")})
    wanted = [vector_of("king"), vector_of("kings"), np.zeros(3)]
    np.testing.assert_allclose(answer.tensors["vector"], wanted, atol=1e-6)
    assert answer.tensors["origin"].tolist() == [[b"word"], [b"subwords"], [b"none"]]


async def test_a_word_with_white_space_fails_the_request(models):
    with pytest.raises(InvalidRequest, match="be one word without white space"):
        await ask(models["vectors.embed"], {"word": texts("king", "New York")})
