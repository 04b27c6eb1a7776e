import asyncio

import numpy as np
import pytest

from stepwire_server.errors import InvalidRequest
from support.asking import ask, load, texts
from support.tiny import CHARACTERS
from support.tiny_translator import BEGIN, TinyTranslator, write_translation


@pytest.fixture
async def steps(tmp_path):
    loaded = load(write_translation(tmp_path))
    yield loaded.tensors["tiny-translator"]
    await asyncio.to_thread(loaded.stop)


def tokens(*rows):
    return np.array(rows, np.int64)


def by_hand(text, read):
    """Logits and attention of each step, by plain NumPy."""
    model = TinyTranslator()
    memory, h = model.read(np.array([CHARACTERS.index(each) for each in text]))
    told = []
    for token in read:
        logits, h, attention = model.step(token, h, memory)
        told.append((logits, attention))
    return told


async def test_a_sequence_looks_at_the_source_it_began_with(steps):
    answer = await ask(steps, {"token": tokens([BEGIN]), "source": texts("abc")})
    again = await ask(steps, {"token": tokens([2, 3])}, states=answer.states)
    expected = by_hand("abc", [BEGIN, 2, 3])
    given = np.concatenate([answer.tensors["logits"], again.tensors["logits"]], axis=1)[0]
    np.testing.assert_allclose(given, [logits for logits, _ in expected], atol=1e-4)
    looked = again.tensors["attention"][0, -1]
    np.testing.assert_allclose(looked, expected[-1][1], atol=1e-5)


async def test_rows_may_look_at_sources_of_other_lengths(steps):
    answer = await ask(
        steps, {"token": tokens([BEGIN], [BEGIN]), "source": texts("abcdefabcdefabc", "ab")}
    )
    assert answer.tensors["attention"].shape == (2, 1, 15)
    alone = await ask(steps, {"token": tokens([BEGIN]), "source": texts("ab")})
    assert (answer.tensors["logits"][1] == alone.tensors["logits"][0]).all()
    assert (answer.tensors["attention"][1, 0, :2] == alone.tensors["attention"][0, 0]).all()
    assert not answer.tensors["attention"][1, 0, 2:].any()


async def test_a_sequence_needs_its_source_at_the_start_and_only_there(steps):
    with pytest.raises(InvalidRequest, match="source must come with the START"):
        await ask(steps, {"token": tokens([BEGIN])})
    answer = await ask(steps, {"token": tokens([BEGIN]), "source": texts("ab")})
    with pytest.raises(InvalidRequest, match="source must come with the START"):
        await ask(steps, {"token": tokens([1]), "source": texts("b")}, states=answer.states)


async def test_a_source_that_is_empty_or_no_text_is_refused(steps):
    with pytest.raises(InvalidRequest, match=r"source\[0\] must hold at least one token"):
        await ask(steps, {"token": tokens([BEGIN]), "source": texts("")})
    broken = np.array([[b"\xff"]], object)
    with pytest.raises(InvalidRequest, match=r"source\[0\] must be UTF-8"):
        await ask(steps, {"token": tokens([BEGIN]), "source": broken})
