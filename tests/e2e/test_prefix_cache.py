"""Prompts that begin alike, through a real server."""

import asyncio

import grpc
import numpy as np
import pytest

from e2e.conftest import server_config
from stepwire.v1 import generation_pb2 as pb
from stepwire.v1 import generation_pb2_grpc, models_pb2
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, ModelControl
from stepwire_server.errors import StartupError
from support.calls import a_request, generate
from support.inference import infer_request

SYSTEM = "you are a fool who speaks of love and war and of the sea at night " * 3
KNOWN = len(SYSTEM)  # a token for each character and one before them, less the last, read again
CONTROL = ModelControl(mode="explicit", load_at_start=("*",))


@pytest.fixture
def batching():
    """How requests share work; a test that needs another way overrides this."""
    return BatchingConfig(max_rows=8)


@pytest.fixture
def config(repository, batching):
    return server_config(repository, batching=batching, control=CONTROL)


def value(app, name):
    labels = {"model": "tiny", "version": "1"}
    return app._metrics.registry.get_sample_value(f"stepwire_prefix_cache_{name}", labels)


def says(name):
    return {"metadata": (("x-stepwire-caller", name),)}


REQUESTS = [
    a_request(SYSTEM, logprobs=3, seed=1),
    a_request(SYSTEM, n=3, temperature=1.0, seed=5, logprobs=2, repetition_penalty=1.2),
    a_request(*(SYSTEM + way for way in "abc"), SYSTEM[:99], temperature=0.7, seed=1),
    a_request(SYSTEM + "what now", beam_width=4, num_hypotheses=4, max_tokens=9, seed=1),
    a_request(SYSTEM, stop=["a"], temperature=1.3, seed=2),
]


async def heard(stub, request):
    """All that each sequence of a call got, however it was cut, but for times."""
    sequences = {}
    async for response in stub.Generate(request):
        for piece in response.pieces:
            whole = sequences.setdefault(
                (piece.prompt_index, piece.sample_index), pb.GeneratedPiece()
            )
            text = whole.text + piece.text
            whole.MergeFrom(piece)
            whole.text = text
            whole.ClearField("tail")
    for whole in sequences.values():
        for name in ("queue_seconds", "first_token_seconds", "total_seconds"):
            whole.summary.ClearField(name)
    return sequences


async def test_results_are_the_same_with_and_without(app, generation, repository):
    plain = server_config(repository, batching=BatchingConfig(max_rows=8, prefix_cache_bytes=0))
    async with (
        App(plain).running() as other,
        grpc.aio.insecure_channel(f"127.0.0.1:{other.grpc_port}") as channel,
    ):
        without = generation_pb2_grpc.GenerationServiceStub(channel)
        wanted = [await heard(without, request) for request in REQUESTS]
        assert value(other, "misses_total") == value(other, "hits_total") == 0
    one_by_one = [await heard(generation, request) for request in REQUESTS]
    together = await asyncio.gather(*(heard(generation, request) for request in REQUESTS))
    assert one_by_one == together == wanted
    assert value(app, "hits_total") >= 2 * len(REQUESTS) - 2


async def test_prompts_that_begin_alike_are_read_once(app, generation):
    _, _, first = await generate(generation, a_request(SYSTEM))
    _, _, again = await generate(generation, a_request(SYSTEM))
    assert first[0, 0].prompt_tokens == again[0, 0].prompt_tokens == KNOWN + 1
    assert (value(app, "misses_total"), value(app, "hits_total")) == (1, 1)
    assert value(app, "tokens_total") == KNOWN


async def test_a_sequence_goes_on_from_a_resume_token_as_ever(generation):
    undisturbed, _, _ = await generate(generation, a_request(SYSTEM, seed=1, max_tokens=9))
    request = a_request(SYSTEM, seed=1, max_tokens=9)
    request.resume_every = 4
    before = ""
    async for response in generation.Generate(request):
        before += response.pieces[0].text
        if token := response.pieces[0].resume_token:
            break
    resumed = pb.GenerateRequest(model="tiny", prompts=[pb.Prompt(resume_token=token)])
    texts, _, _ = await generate(generation, resumed)
    assert before + texts[0, 0] == undisturbed[0, 0]


async def test_scores_are_the_same_beside_prompts_that_are_known(generation):
    async def scores():
        request = pb.ScoreRequest(model="tiny")
        request.inputs.add(text=SYSTEM)
        return [score async for score in generation.Score(request)]

    before = await scores()
    for _ in range(2):
        await generate(generation, a_request(SYSTEM))
    assert await scores() == before


async def test_callers_share_with_themselves_only(app, generation):
    for name in ("ann", "bob"):
        await generate(generation, a_request(SYSTEM), **says(name))
        assert value(app, "hits_total") == 0
    await generate(generation, a_request(SYSTEM), **says("ann"))
    assert value(app, "hits_total") == 1


async def test_who_says_nothing_shares_with_its_own_connection_only(app, generation):
    await generate(generation, a_request(SYSTEM))
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{app.grpc_port}", options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        await generate(generation_pb2_grpc.GenerationServiceStub(channel), a_request(SYSTEM))
    assert value(app, "hits_total") == 0
    await generate(generation, a_request(SYSTEM))
    assert value(app, "hits_total") == 1


@pytest.mark.parametrize("batching", [BatchingConfig(prefix_cache_isolation="none")])
async def test_all_share_where_the_operator_says_so(app, generation, batching):
    for name in ("ann", "bob"):
        await generate(generation, a_request(SYSTEM), **says(name))
    assert value(app, "hits_total") == 1


async def test_other_protocols_share_with_the_same_caller(app, generation, oip):
    text = {"text_input": np.array([SYSTEM.encode()], object)}
    request = infer_request("tiny.generate", text, max_tokens=3, seed=1)
    await generate(generation, a_request(SYSTEM), **says("ann"))
    await oip.ModelInfer(request, **says("bob"))
    assert value(app, "hits_total") == 0
    await oip.ModelInfer(request, **says("ann"))
    assert value(app, "hits_total") == 1


@pytest.mark.parametrize("batching", [BatchingConfig(prefix_cache_bytes=20_000)])
async def test_it_takes_no_more_than_it_may(app, generation, batching):
    for start in range(30):
        await generate(generation, a_request(SYSTEM[start:] + "the end", max_tokens=1))
        assert 0 < value(app, "bytes") <= 20_000


async def test_a_model_that_is_unloaded_leaves_nothing(app, generation, models):
    await generate(generation, a_request(SYSTEM))
    assert value(app, "bytes") > 0
    await models.UnloadModel(models_pb2.UnloadModelRequest(model="tiny"))
    for _ in range(1000):  # its thread ends beside the call
        if not value(app, "bytes"):
            break
        await asyncio.sleep(0.01)
    assert value(app, "bytes") == 0
    await models.LoadModel(models_pb2.LoadModelRequest(model="tiny"))
    await generate(generation, a_request(SYSTEM))
    assert (value(app, "hits_total"), value(app, "misses_total")) == (0, 2)


def test_an_isolation_that_nobody_knows_is_refused():
    with pytest.raises(StartupError, match="must be one of caller, none, got 'cell'"):
        BatchingConfig(prefix_cache_isolation="cell")
