import asyncio
import json

import numpy as np
import pytest

from stepwire_server.errors import InvalidRequest
from support.asking import ask, load, texts
from support.tiny import CHARACTERS, TinyJudge, write_classification
from support.tiny_attentive import TinyAttentive, write_attentive


@pytest.fixture
async def judge(tmp_path):
    loaded = load(write_classification(tmp_path))
    yield loaded.tensors
    await asyncio.to_thread(loaded.stop)


@pytest.fixture
async def looker(tmp_path):
    loaded = load(write_attentive(tmp_path))
    yield loaded.tensors
    await asyncio.to_thread(loaded.stop)


def ids_of(text):
    return [CHARACTERS.index(each) for each in text]


def by_hand(text):
    ids = ids_of(text)
    return TinyJudge().run(np.array([ids]), np.array([len(ids)]))[0]


async def test_tokens_give_logits(judge):
    ids = ids_of("abc")
    answer = await ask(judge["judge"], {"tokens": np.array([ids])})
    np.testing.assert_allclose(answer.tensors["logits"][0], by_hand("abc"), atol=1e-5)


async def test_where_the_time_went_is_told(judge):
    some = {"tokens": np.array([[1, 2], [3, 4]])}
    for model, tensors in (("judge", some), ("judge.classify", {"text": texts("ab", "cd")})):
        timing = (await ask(judge[model], tensors)).timing
        assert timing.batch == 2
        assert timing.infer_s > 0


async def test_padding_behind_a_rows_length_changes_nothing(judge):
    ids = ids_of("abc")
    alone = await ask(judge["judge"], {"tokens": np.array([ids])})
    padded = np.array([[*ids, 1, 2, 1], [1, 2, 3, 4, 5, 6]])
    lengths = np.array([[3], [6]])
    both = await ask(judge["judge"], {"tokens": padded, "lengths": lengths})
    assert (both.tensors["logits"][0] == alone.tensors["logits"][0]).all()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"tokens": [[1, 99]]}, r"tokens\[0, 1\] must be in \[0, "),
        ({"tokens": [[-3]]}, r"tokens\[0, 0\] must be in \[0, "),
        (
            {"tokens": [[1]], "lengths": [[2]]},
            r"lengths\[0\] must have a length in \[1, 1\], got 2",
        ),
        (
            {"tokens": [[1]], "lengths": [[0]]},
            r"lengths\[0\] must have a length in \[1, 1\], got 0",
        ),
        ({"tokens": [[]]}, r"tokens\[0\] must have a length in"),
    ],
)
async def test_what_the_graph_cannot_read_is_named(judge, tensors, message):
    arrays = {name: np.array(value, np.int64) for name, value in tensors.items()}
    with pytest.raises(InvalidRequest, match=message):
        await ask(judge["judge"], arrays)


async def test_texts_give_labels(judge):
    answer = await ask(judge["judge.classify"], {"text": texts("abc", "cab")})
    logits = np.stack([by_hand("abc"), by_hand("cab")])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer.tensors["probabilities"], shares, atol=1e-5)
    labels = judge["judge.classify"].signature.outputs[1].labels
    best = [[labels[n].encode()] for n in shares.argmax(axis=1)]
    assert answer.tensors["label"].tolist() == best


async def test_a_text_that_is_not_utf8_is_named(judge):
    with pytest.raises(InvalidRequest, match=r"text\[1\] must be UTF-8, got byte 1"):
        await ask(judge["judge.classify"], {"text": np.array([[b"a"], [b"a\xff"]], object)})


async def test_a_text_over_the_limit_fails_the_request(judge):
    with pytest.raises(InvalidRequest, match=r"texts\[0\]"):
        await ask(judge["judge.classify"], {"text": texts("a" * 100_000)})


async def test_where_it_looked_is_an_output_of_a_model_that_tells(judge, looker):
    tokens, lengths = np.array([[1, 2, 3, 4, 5], [2, 1, 0, 0, 0]]), np.array([[5], [2]])
    answer = await ask(looker["looker"], {"tokens": tokens, "lengths": lengths})
    logits, weights = TinyAttentive().run(tokens, lengths.ravel())
    np.testing.assert_allclose(answer.tensors["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(answer.tensors["attention"], weights, atol=1e-6)
    assert [output.name for output in judge["judge"].signature.outputs] == ["logits"]


async def test_texts_give_their_words_with_weights_as_json(judge, looker):
    answer = await ask(looker["looker.classify"], {"text": texts("dog barks", "")})
    first, empty = (json.loads(row[0]) for row in answer.tensors["tokens"])
    assert [(it["text"], it["start"], it["end"]) for it in first["tokens"]] == [
        ("dog", 0, 3),
        ("barks", 4, 9),
    ]
    weights = [it["weight"] for it in first["tokens"]]
    assert weights == pytest.approx(TinyAttentive().weights(["dog", "barks"]).tolist())
    assert empty == {"tokens": [{"text": "", "start": 0, "end": 0, "weight": 1.0}]}
    assert "tokens" not in [it.name for it in judge["judge.classify"].signature.outputs]
