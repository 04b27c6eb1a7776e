import asyncio
import json

import numpy as np
import pytest

from stepwire_server.errors import InvalidRequest
from support.asking import ask, load, texts
from support.tiny_tagger import (
    LABELS,
    LETTERS,
    TEXT_LABELS,
    WIDTH,
    WORDS,
    TinyTagger,
    write_tagger,
)


@pytest.fixture
async def models(tmp_path):
    loaded = load(write_tagger(tmp_path))
    yield loaded.tensors
    await asyncio.to_thread(loaded.stop)


@pytest.fixture
def tagger(models):
    return models["tagger"]


def some(rows, positions, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "tokens": rng.integers(0, len(WORDS), (rows, positions)),
        "characters": rng.integers(0, len(LETTERS), (rows, positions, WIDTH)),
    }


async def test_words_and_characters_give_logits(tagger):
    tensors = some(3, 5)
    answer = await ask(tagger, tensors)
    wanted = TinyTagger().run(tensors["tokens"], tensors["characters"])
    np.testing.assert_allclose(answer.tensors["logits"], wanted, atol=1e-5)
    assert tagger.signature.outputs[0].labels == LABELS


async def test_a_row_among_others_is_the_row_alone_and_zeros_behind_it(tagger):
    tensors, lengths = some(3, 9), np.array([[2], [9], [5]])
    together = (await ask(tagger, {**tensors, "lengths": lengths})).tensors["logits"]
    assert together.shape == (3, 9, len(LABELS))
    for row, length in enumerate(lengths.ravel()):
        own = {name: each[row : row + 1, :length] for name, each in tensors.items()}
        alone = (await ask(tagger, own)).tensors["logits"][0]
        assert (together[row, :length] == alone).all()
        assert (together[row, length:] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": [[1, 99]]}, r"tokens\[0, 1\] must be in \[0, 6\], got 99"),
        ({"tokens": [[-1, 0]]}, r"tokens\[0, 0\] must be in \[0, 6\], got -1"),
        ({"characters": np.full((1, 2, WIDTH), -2)}, r"characters\[0, 0, 0\] must be in \[0, "),
        ({"characters": np.zeros((1, 3, WIDTH))}, "characters must have the characters of 2 words"),
        ({"lengths": [[3]]}, r"lengths\[0\] must have a length in \[1, 2\], got 3"),
        ({"lengths": [[0]]}, r"lengths\[0\] must have a length in \[1, 2\], got 0"),
    ],
)
async def test_what_the_graph_cannot_read_is_named(tagger, change, message):
    tensors = {**some(1, 2), **{name: np.array(it, np.int64) for name, it in change.items()}}
    with pytest.raises(InvalidRequest, match=message):
        await ask(tagger, tensors)


async def test_a_row_over_the_limit_is_named(tagger):
    with pytest.raises(InvalidRequest, match=r"tokens\[0\] must have a length in \[1, 16\]"):
        await ask(tagger, some(1, 17))


async def test_texts_give_words_with_their_tags_as_json(models):
    answer = await ask(models["tagger.tag"], {"text": texts("The 😀 dog", " ")})
    found = [json.loads(row[0]) for row in answer.tensors["tokens"]]
    shares = TinyTagger().tags(["The", "😀", "dog"])
    assert [list(token) for token in found[0]["tokens"]] == 3 * [
        ["text", "start", "end", "tag", "score"]
    ]
    assert [token["start"] for token in found[0]["tokens"]] == [0, 4, 6]
    assert [t["tag"] for t in found[0]["tokens"]] == [LABELS[n] for n in shares.argmax(axis=1)]
    assert found[1] == {"tokens": []}


async def test_a_text_over_the_limit_fails_the_request(models):
    with pytest.raises(InvalidRequest, match=r"inputs\[0\]\.text must have at most 16 words"):
        await ask(models["tagger.tag"], {"text": texts("dog " * 17)})


@pytest.fixture
async def judging(tmp_path):
    loaded = load(write_tagger(tmp_path / "judging", judges=True))
    yield loaded.tensors
    await asyncio.to_thread(loaded.stop)


async def test_what_is_said_of_whole_texts_is_an_output_of_its_own(judging):
    tensors, lengths = some(3, 9), np.array([[2], [9], [5]])
    answer = await ask(judging["tagger"], {**tensors, "lengths": lengths})
    wanted = TinyTagger().judge(tensors["tokens"], lengths.ravel())
    np.testing.assert_allclose(answer.tensors["text_logits"], wanted, atol=1e-5)
    assert answer.tensors["logits"].shape == (3, 9, len(LABELS))
    assert judging["tagger"].signature.outputs[1].labels == TEXT_LABELS

    alone = await ask(judging["tagger"], {**tensors, "lengths": lengths}, wanted=["text_logits"])
    assert alone.tensors.keys() == {"text_logits"}
    assert (alone.tensors["text_logits"] == answer.tensors["text_logits"]).all()


async def test_texts_give_what_they_are_in_their_json(judging):
    answer = await ask(judging["tagger.tag"], {"text": texts("The dog", " ")})
    found = [json.loads(row[0]) for row in answer.tensors["tokens"]]
    told = {each["label"]: each["score"] for each in found[0]["labels"]}
    assert told == pytest.approx(TinyTagger().verdict(["The", "dog"]), abs=1e-5)
    assert found[1] == {"tokens": []}


async def test_texts_can_be_classified_by_name(judging):
    answer = await ask(judging["tagger.classify"], {"text": texts("The dog", "")})
    wanted = [TinyTagger().verdict(words) for words in (["The", "dog"], ["strange"])]
    rows = [[verdict[label] for label in TEXT_LABELS] for verdict in wanted]
    np.testing.assert_allclose(answer.tensors["probabilities"], rows, atol=1e-5)
    best = [[max(verdict, key=verdict.get).encode()] for verdict in wanted]
    assert answer.tensors["label"].tolist() == best
    assert answer.timing.batch == 2


async def test_where_the_time_went_is_told(models):
    for model, tensors in (("tagger", some(2, 3)), ("tagger.tag", {"text": texts("a b", "c d")})):
        timing = (await ask(models[model], tensors)).timing
        assert timing.batch == 2
        assert timing.infer_s > 0
