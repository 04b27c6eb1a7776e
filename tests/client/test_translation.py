"""Translations and scores, against a server that is known by heart."""

import pytest

import stepwire
from client.fakes import SEED, UNAVAILABLE

SOURCES = ["good day", "hi", "안녕"]


def test_translations_stand_in_the_order_of_their_sources(client):
    results = client.translate("echo", SOURCES)
    assert [result.text for result in results] == [source.upper() for source in SOURCES]
    assert results[0].summary.seed == SEED
    assert results[0].summary.source_cached


async def test_the_asynchronous_client_gives_the_same(client, aclient):
    options = stepwire.DecodingOptions(num_hypotheses=3)
    assert await aclient.translate("echo", SOURCES, options=options) == client.translate(
        "echo", SOURCES, options=options
    )


def test_updates_come_as_they_are_sent(client):
    updates = list(client.stream_translations("echo", ["abcd", "xy"]))
    told = [(update.source_index, update.text, update.tail) for update in updates]
    assert told == [(1, "X", "Y"), (1, "Y", ""), (0, "AB", "CD"), (0, "CD", "")]
    assert [update.is_last for update in updates] == [False, True, False, True]


def test_hypotheses_come_best_first_with_their_attention(client):
    options = stepwire.DecodingOptions(num_hypotheses=2)
    [result] = client.translate("echo", "hi", options=options)
    assert [hypothesis.score for hypothesis in result.hypotheses] == [0.0, -1.0]
    assert result.hypotheses[1].token_ids == (1,)
    assert result.hypotheses[0].attention == ((0.25, 0.75),)


def test_wishes_reach_the_server(client, service):
    wanted = stepwire.Translating(target_prefixes=["oh ", None], return_attention=True)
    options = stepwire.DecodingOptions(beam_width=4, length_penalty=0.0)
    client.translate("echo", ["a", [5, 6]], options=options, wanted=wanted)
    [request] = service.requests
    assert request.sources[0].prefix_text == "oh "
    assert not request.sources[1].HasField("prefix_text")
    assert list(request.sources[1].tokens.ids) == [5, 6]
    assert request.return_attention
    assert not request.return_alternatives
    assert request.options.beam_width == 4
    assert request.options.HasField("length_penalty")
    assert not request.options.HasField("patience")


def test_a_translation_cut_short_does_not_look_whole(client):
    with pytest.raises(stepwire.StepwireError):
        client.translate("cut", SOURCES)


def test_leaving_the_block_frees_the_server(client, service):
    with client.stream_translations("endless", "a") as updates:
        next(iter(updates))
    assert service.left.wait(5)


async def test_cancelling_an_asynchronous_stream_frees_the_server(aclient, service):
    async with aclient.stream_translations("endless", "a") as updates:
        async for _ in updates:
            break
    assert service.left.wait(5)


def test_a_passing_refusal_is_tried_again_before_anything_has_come(client, service):
    service.refusals = [UNAVAILABLE, UNAVAILABLE]
    assert client.translate("echo", "hi")[0].text == "HI"
    assert len(service.requests) == 3


def test_nothing_is_tried_again_once_text_has_come(client, service):
    with pytest.raises(stepwire.Unavailable):
        client.translate("breaks", "hi")
    assert len(service.requests) == 1


def test_scores_stand_in_the_order_of_their_texts(client, service):
    scores = client.score("echo", ["abc", "a"], sources=["x", "y"])
    assert [score.logprob for score in scores] == [-3.0, -1.0]
    assert [score.perplexity for score in scores] == [4.0, 2.0]
    assert [each.source_text for each in service.requests[0].inputs] == ["x", "y"]


async def test_the_asynchronous_client_scores_too(aclient):
    scores = await aclient.score("echo", ["abc", "a"])
    assert [score.input_index for score in scores] == [0, 1]
