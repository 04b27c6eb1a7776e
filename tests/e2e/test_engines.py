"""A server with several engines for each model answers as one with a single engine does."""

import asyncio

import grpc
import pytest

from e2e.conftest import server_config
from e2e.test_translation import request as translation
from e2e.test_translation import translate
from stepwire.v1 import generation_pb2_grpc, labeling_pb2, labeling_pb2_grpc
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, RuntimeConfig
from support.calls import a_request, generate
from support.tiny import write_classification, write_generation
from support.tiny_translator import write_translation

PROMPTS = [[n % 20] * (1 + n % 5) for n in range(30)]
SOURCES = ["a", "hello", "the quick brown fox jumps over", "xyz " * 12, "ab", "no"]
TEXTS = ["abcdefghijklmnop"[: 1 + n % 16] for n in range(200)]


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_generation(folder)
    write_classification(folder)
    write_translation(folder)
    return folder


def plainly(messages):
    return [message.SerializeToString(deterministic=True) for message in messages]


async def everything(repository, **runtime):
    """Many calls at once: drawn texts, searches, labels."""
    config = server_config(
        repository, batching=BatchingConfig(max_rows=16), runtime=RuntimeConfig(**runtime)
    )
    async with (
        App(config).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        generation = generation_pb2_grpc.GenerationServiceStub(channel)
        labeling = labeling_pb2_grpc.LabelingServiceStub(channel)
        asked = [
            a_request(prompt, n=2, temperature=1.0, seed=n, max_tokens=5 + 3 * n)
            for n, prompt in enumerate(PROMPTS)
        ]
        drawn = asyncio.gather(*(generate(generation, each) for each in asked))
        found = asyncio.gather(
            *(translate(generation, translation(source, beam_width=3)) for source in SOURCES)
        )
        judged = labeling.Classify(labeling_pb2.ClassifyRequest(model="judge", texts=TEXTS))
        texts = [(texts, tokens) for texts, tokens, _ in await drawn]
        hypotheses = [plainly(last[0].hypotheses) for last, _ in await found]
        return texts, hypotheses, plainly((await judged).results)


async def test_every_answer_is_the_same_bit_for_bit(repository):
    alone = await everything(repository)
    assert await everything(repository, engines_per_model=3, sequence_workers=3) == alone
