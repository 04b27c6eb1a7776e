"""The zoo's models that are stepped by their callers, served as a user gets them."""

import pytest

import stepwire
from e2e.conftest import server_config, some_of_zoo
from stepwire_server.config import BatchingConfig

JUDGE = "nsmc-lstm-stream"
WRITER = "shakespeare-rnn"
REVIEW = "배우 연기는 좋은데 스토리가 너무 지루하고 돈이 아깝다"


@pytest.fixture
def config(tmp_path):
    repository = some_of_zoo(tmp_path / "zoo", JUDGE, WRITER)
    return server_config(repository, batching=BatchingConfig(max_rows=32))


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        yield client


async def test_a_verdict_follows_the_text_and_ends_where_the_whole_text_does(client):
    [whole] = await client.classify(JUDGE, [REVIEW])
    async with client.session(JUDGE) as session:
        told = await session.step(REVIEW, outputs=stepwire.Outputs(labels=True, every_step=True))
    assert told.count == whole.token_count == len(told.outputs)
    assert told.last.labels == whole.labels
    assert told.last.labels[0].label == "negative"
    # It is less sure of itself after the first word.
    assert told.outputs[0].labels[0].score < told.last.labels[0].score


async def test_texts_are_judged_alike_alone_and_among_others(client):
    reviews = [REVIEW, "정말 재미있게 봤어요", "최고", REVIEW[:12], "돈이 아깝다"] * 8
    together = await client.classify(JUDGE, reviews)
    for review, verdict in list(zip(reviews, together, strict=True))[:5]:
        [alone] = await client.classify(JUDGE, [review])
        assert alone == verdict


async def test_the_next_character_is_foreseen_as_one_types(client):
    async with client.session(WRITER) as session:
        told = await session.step("ROMEO", outputs=stepwire.Outputs(top_k=3))
        assert told.last.tokens[0].text == ":"
        assert told.last.tokens[0].logprob > -0.5
