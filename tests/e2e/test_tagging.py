"""Tag on a real server: tags, places in texts, and what is refused."""

import asyncio
import unicodedata
from dataclasses import replace

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.conftest import server_config
from stepwire import AsyncClient, Client
from stepwire.v1 import labeling_pb2 as pb
from stepwire.v1 import models_pb2
from stepwire_server.decoding.chain import Chain
from stepwire_zoo import manifest
from support.background import background
from support.calls import error_info
from support.tiny import write_classification
from support.tiny_tagger import (
    BUCKETS,
    LABELS,
    TEXT_LABELS,
    TinyTagger,
    tagging_manifest,
    write_tagger,
)

CHAIN = manifest.Chain(
    starts=(0.5, -1.0, 0.0),
    steps=((-3.0, 0.0, 2.0), (1.0, 0.0, -1.0), (0.0, 2.5, -2.0)),
    ends=(-1.0, 2.0, 0.0),
)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_tagger(folder)
    write_classification(folder)
    write_tagger(folder, "chained", replace(tagging_manifest("chained"), chain=CHAIN))
    judging = replace(tagging_manifest("slots", judges=True), chain=CHAIN)
    write_tagger(folder, "slots", judging, judges=True)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A client of a server that many texts are sent to."""
    folder = tmp_path_factory.mktemp("repository")
    write_tagger(folder)
    with (
        background(server_config(folder)) as (app, _),
        Client(f"127.0.0.1:{app.grpc_port}") as client,
    ):
        yield client


def a_request(*inputs, model="tagger", **fields):
    return pb.TagRequest(
        model=model,
        inputs=[
            pb.TagInput(text=it) if isinstance(it, str) else pb.TagInput(words=pb.Words(words=it))
            for it in inputs
        ],
        **fields,
    )


def words_of(result):
    return [(token.text, token.start, token.end) for token in result.tokens]


async def test_each_word_gets_its_tags_likeliest_first(labeling):
    response = await labeling.Tag(a_request("The dog barks.", top_k=3))
    [result] = response.results
    assert words_of(result) == [("The", 0, 3), ("dog", 4, 7), ("barks", 8, 13), (".", 13, 14)]
    for token, shares in zip(
        result.tokens, TinyTagger().tags(["The", "dog", "barks", "."]), strict=True
    ):
        told = {tag.label: tag.score for tag in token.tags}
        assert told == pytest.approx(dict(zip(LABELS, shares, strict=True)), abs=1e-5)
        scores = [tag.score for tag in token.tags]
        assert scores == sorted(scores, reverse=True)


async def test_tags_that_depend_on_one_another_are_chosen_together(labeling):
    words = ["The", "dog", "barks", ".", "서울"]
    request = a_request(words, words[:1], model="chained", top_k=3)
    response = await labeling.Tag(request)
    for sentence, result in zip((words, words[:1]), response.results, strict=True):
        tags, shares = Chain(CHAIN).chosen(TinyTagger().logits(sentence))
        assert [token.tags[0].label for token in result.tokens] == [LABELS[tag] for tag in tags]
        for token, of_word in zip(result.tokens, shares, strict=True):
            told = {tag.label: tag.score for tag in token.tags}
            assert told == pytest.approx(dict(zip(LABELS, of_word, strict=True)), abs=1e-5)
            assert [t.score for t in token.tags[1:]] == sorted(
                (t.score for t in token.tags[1:]), reverse=True
            )


async def test_words_that_are_cut_already_are_taken_as_they_are(labeling):
    response = await labeling.Tag(a_request(["New York.", "barks"], "New York. barks"))
    given, cut = response.results
    assert words_of(given) == [("New York.", 0, 9), ("barks", 10, 15)]
    assert words_of(cut) == [("New", 0, 3), ("York", 4, 8), (".", 8, 9), ("barks", 10, 15)]


async def test_a_text_gets_the_same_tags_alone_and_among_others(labeling):
    words = ["the", "dog", "barks", ".", "서울", "strange"]
    texts = [" ".join(words[(i * k) % 6] for k in range(1 + i % 16)) for i in range(200)]
    together = await labeling.Tag(a_request(*texts, top_k=2))
    alone = await asyncio.gather(*(labeling.Tag(a_request(text, top_k=2)) for text in texts))
    assert list(together.results) == [response.results[0] for response in alone]


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000", "\u2028"])
async def test_a_text_of_white_space_has_no_words(labeling, text):
    response = await labeling.Tag(a_request(text, "dog"))
    assert [words_of(result) for result in response.results] == [[], [("dog", 0, 3)]]


async def test_only_texts_without_words_run_nothing(labeling):
    response = await labeling.Tag(a_request("", " "))
    assert [len(result.tokens) for result in response.results] == [0, 0]


async def test_places_count_code_points_however_hangul_is_written(labeling):
    whole, apart = "나는 서울 간다.", unicodedata.normalize("NFD", "나는 서울 간다.")
    response = await labeling.Tag(a_request(whole, apart, top_k=3))
    first, second = response.results
    assert words_of(first) == [("나는", 0, 2), ("서울", 3, 5), ("간다", 6, 8), (".", 8, 9)]
    assert [token.text for token in second.tokens] == [
        unicodedata.normalize("NFD", token.text) for token in first.tokens
    ]
    assert all(apart[token.start : token.end] == token.text for token in second.tokens)
    # The same word, however it is written, is the same word.
    assert [t.tags for t in first.tokens] == [t.tags for t in second.tokens]


async def test_places_count_emoji_as_the_code_points_they_are(labeling):
    text = "😀😀 dog 👩‍👩‍👧 barks \U0001d4b3"  # surrogate pairs in UTF-16, joined emoji
    response = await labeling.Tag(a_request(text))
    found = words_of(response.results[0])
    assert ("dog", 3, 6) in found
    assert "".join(word for word, _, _ in found) == text.replace(" ", "")
    assert all(text[start:end] == word for word, start, end in found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_of_any_text_every_word_stands_where_it_is_said_to(served, text):
    [result] = served.tag("tagger", text, truncate=True)
    ends = [0]
    for token in result.tokens:
        assert text[token.start : token.end] == token.text != ""
        assert token.start >= ends[-1]
        assert not text[ends[-1] : token.start].strip()
        ends.append(token.end)
    if not result.truncated:
        assert not text[ends[-1] :].strip()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=16))
def test_of_any_words_there_is_a_tag_for_each(served, words):
    words = [word if word.strip() else "dog" for word in words]
    [result] = served.tag("tagger", [words])
    joined = " ".join(words)
    assert [token.text for token in result.tokens] == words
    assert [joined[token.start : token.end] for token in result.tokens] == words


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(raised.value).reason == "INVALID_REQUEST"
    return raised.value.details()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "number of inputs must be in [1, "),
        ([[]], "inputs[0].words.words must hold at least one word, got none"),
        (["dog", ["dog", ""]], "inputs[1].words.words[1] must hold a character that is not white"),
        ([["\u3000\t"]], "inputs[0].words.words[0] must hold a character that is not white"),
        (["dog " * 10_000], "inputs[0].text must have at most 16 words, got 40000 characters"),
        (["a " * 17], "inputs[0].text must have at most 16 words, got 17 words"),
        ([["dog"] * 10_000], "inputs[0].words.words must have at most 16 words, got 10000 words"),
        (["a" * 100_000], "inputs[0].text must have at most"),
        ([["a" * 100_000]], "inputs[0].words.words must have at most"),
    ],
)
async def test_what_cannot_be_tagged_is_named(labeling, inputs, message):
    assert message in await refusal(labeling.Tag(a_request(*inputs)))


async def test_an_input_that_holds_nothing_is_named(labeling):
    request = pb.TagRequest(model="tagger", inputs=[pb.TagInput()])
    assert "inputs[0] must have text or words, got neither" in await refusal(labeling.Tag(request))


@pytest.mark.parametrize("top_k", [0, 4])
async def test_there_are_only_so_many_tags(labeling, top_k):
    message = await refusal(labeling.Tag(a_request("dog", top_k=top_k)))
    assert f"top_k must be in [1, 3], got {top_k}" in message


async def test_a_classifier_does_not_tag_nor_a_tagger_classify(labeling):
    await refusal(labeling.Tag(pb.TagRequest(model="judge", inputs=[pb.TagInput(text="a")])))
    await refusal(labeling.Classify(pb.ClassifyRequest(model="tagger", texts=["a"])))


def scores_of(labels):
    return {each.label: each.score for each in labels}


async def test_a_tagger_may_say_what_the_text_is_as_well(labeling):
    response = await labeling.Tag(a_request("The dog.", ["barks"], " ", model="slots"))
    first, second, blank = response.results
    assert scores_of(first.labels) == pytest.approx(TinyTagger().verdict(["The", "dog", "."]), 1e-5)
    assert scores_of(second.labels) == pytest.approx(TinyTagger().verdict(["barks"]), 1e-5)
    assert [len(token.tags) for token in first.tokens] == [1, 1, 1]
    for result in (first, second):
        scores = [each.score for each in result.labels]
        assert scores == sorted(scores, reverse=True)
    assert (len(blank.tokens), len(blank.labels)) == (0, 0)
    plain = await labeling.Tag(a_request("The dog.", model="chained"))
    assert not plain.results[0].labels
    assert [token.tags for token in plain.results[0].tokens] == [t.tags for t in first.tokens]


async def test_it_classifies_texts_as_it_judges_them_when_it_tags(labeling):
    texts = ["The dog.", unicodedata.normalize("NFD", "서울"), "dog " * 16]
    tagged = await labeling.Tag(a_request(*texts, model="slots"))
    judged = await labeling.Classify(pb.ClassifyRequest(model="slots", texts=texts))
    assert [list(r.labels) for r in judged.results] == [list(r.labels) for r in tagged.results]
    assert [r.token_count for r in judged.results] == [3, 1, 16]
    best = await labeling.Classify(pb.ClassifyRequest(model="slots", texts=texts, top_k=1))
    assert [r.labels[0] for r in best.results] == [r.labels[0] for r in judged.results]


@pytest.mark.parametrize("text", ["", " \n"])
async def test_a_text_without_words_is_judged_as_an_unknown_word(labeling, text):
    response = await labeling.Classify(pb.ClassifyRequest(model="slots", texts=[text]))
    [result] = response.results
    assert scores_of(result.labels) == pytest.approx(TinyTagger().verdict(["strange"]), 1e-5)
    assert result.token_count == 0


async def test_what_a_text_is_does_not_depend_on_what_shares_its_batch(labeling):
    words = ["the", "dog", "barks", ".", "서울", "strange"]
    texts = [" ".join(words[(i * k) % 6] for k in range(1 + i % 16)) for i in range(200)]
    together = await labeling.Tag(a_request(*texts, model="slots"))
    alone = await asyncio.gather(
        *(labeling.Tag(a_request(text, model="slots")) for text in texts),
        *(labeling.Classify(pb.ClassifyRequest(model="slots", texts=[text])) for text in texts),
    )
    assert list(together.results) == [response.results[0] for response in alone[:200]]
    assert [list(r.labels) for r in together.results] == [
        list(response.results[0].labels) for response in alone[200:]
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"texts": []}, "number of texts must be in [1, "),
        ({"texts": ["dog", "a " * 17]}, "texts[1] must have at most 16 words, got 17 words"),
        ({"texts": ["a" * 100_000]}, "texts[0] must have at most 16 words, got 100000 characters"),
        ({"texts": ["dog"], "top_k": 3}, "top_k must be in [1, 2], got 3"),
    ],
)
async def test_what_it_cannot_judge_is_named(labeling, fields, message):
    call = labeling.Classify(pb.ClassifyRequest(model="slots", **fields))
    assert message in await refusal(call)


async def test_texts_to_judge_are_cut_if_the_caller_says_so(labeling):
    texts = ["dog " * 10_000, "dog"]
    request = pb.ClassifyRequest(model="slots", texts=texts, truncate=True)
    response = await labeling.Classify(request)
    assert [(r.truncated, r.token_count) for r in response.results] == [(True, 16), (False, 1)]


async def test_both_sets_of_labels_are_listed(models):
    response = await models.GetModel(models_pb2.GetModelRequest(model="slots"))
    assert list(response.model.labels) == list(LABELS)
    assert list(response.model.text_labels) == list(TEXT_LABELS)


async def test_ten_thousand_words_are_cut_if_the_caller_says_so(labeling):
    response = await labeling.Tag(
        a_request("dog " * 10_000, ["dog"] * 10_000, "dog", truncate=True)
    )
    assert [result.truncated for result in response.results] == [True, True, False]
    assert [len(result.tokens) for result in response.results] == [BUCKETS[-1], BUCKETS[-1], 1]


async def test_it_is_listed_as_a_tagger(models):
    response = await models.GetModel(models_pb2.GetModelRequest(model="tagger"))
    assert response.model.summary.task == models_pb2.TASK_TAGGING
    assert list(response.model.labels) == list(LABELS)


async def test_both_clients_tag(app):
    address = f"127.0.0.1:{app.grpc_port}"
    texts = ["The dog.", ["The", "dog", "."]]
    with Client(address) as client:
        found = await asyncio.to_thread(client.tag, "tagger", texts)
    async with AsyncClient(address) as client:
        assert await client.tag("tagger", texts) == found
    likeliest = [LABELS[n] for n in TinyTagger().tags(["The", "dog", "."]).argmax(axis=1)]
    assert [list(result.tags) for result in found] == [likeliest, likeliest]
    assert not found[0].labels
    first = found[0].tokens[0]
    assert (first.text, first.start, first.end) == ("The", 0, 3)
    assert first.score == pytest.approx(np.max(TinyTagger().tags(["The"])), abs=1e-5)


async def test_both_clients_tell_what_a_text_is(app):
    address = f"127.0.0.1:{app.grpc_port}"
    with Client(address) as client:
        found = await asyncio.to_thread(client.tag, "slots", "The dog.")
        judged = await asyncio.to_thread(client.classify, "slots", "The dog.")
        listed = await asyncio.to_thread(client.model, "slots")
    async with AsyncClient(address) as client:
        assert await client.tag("slots", "The dog.") == found
    assert found[0].labels == judged[0].labels
    assert {each.label for each in found[0].labels} == set(listed.text_labels) == set(TEXT_LABELS)
