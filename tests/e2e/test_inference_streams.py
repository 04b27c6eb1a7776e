"""ModelStreamInfer: many requests on one stream."""

import asyncio

import grpc
import numpy as np
import pytest

from stepwire_server.rpc import inference_streams
from support.inference import infer_request, integers_of, numbers_of, steps_of, token_step

TOKENS = [3, 1, 4, 1, 5, 9, 2, 6]


async def sent(*requests):
    for request in requests:
        yield request


async def answers(oip, *requests, **settings):
    return [answer async for answer in oip.ModelStreamInfer(sent(*requests), **settings)]


async def test_many_sequences_share_a_stream(oip, alone):
    ids = [*range(1, 20), "1", "two"]
    rows = list(zip(*(steps_of(TOKENS, id) for id in ids), strict=True))
    found = {}
    for answer in await answers(oip, *(request for row in rows for request in row)):
        assert not answer.error_message
        sequence, step = answer.infer_response.id.split("/")
        found.setdefault(sequence, []).append((int(step), numbers_of(answer.infer_response)[0, 0]))
    expected = alone(TOKENS)
    # 1 and "1" write their request ids alike.
    for sequence, steps in found.items():
        copies = 2 if sequence == "1" else 1
        assert sorted(step for step, _ in steps) == sorted([*range(len(TOKENS))] * copies)
        for step, logits in steps:
            assert (logits == expected[step]).all()
        if copies == 1:
            assert [step for step, _ in steps] == list(range(len(TOKENS)))


async def test_a_request_that_fails_is_told_and_the_stream_goes_on(oip):
    requests = [
        token_step(1, 8, request_id="never"),
        infer_request("nobody", {}, request_id="nobody"),
        token_step(99, 1, request_id="outside", sequence_start=True),
        token_step(1, 2, request_id="good", sequence_start=True),
    ]
    told = await answers(oip, *requests)
    errors = {a.infer_response.id: a.error_message for a in told if a.error_message}
    assert errors.keys() == {"never", "nobody", "outside"}
    assert "START flag" in errors["never"]
    assert "no model 'nobody'" in errors["nobody"]
    assert [a.infer_response.id for a in told if not a.error_message] == ["good"]


async def test_whoever_asks_for_it_gets_an_error_as_the_status(oip):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await answers(oip, token_step(1, 8), metadata=(("triton_grpc_error", "true"),))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def generate(tokens, **settings):
    text = {"text_input": np.array([b"once"], object)}
    return infer_request("tiny.generate", text, max_tokens=tokens, seed=3, **settings)


async def test_pieces_come_as_they_are_made(oip):
    told = await answers(oip, generate(9, request_id="g", triton_enable_empty_final_response=True))
    finals = [a.infer_response.parameters["triton_final_response"].bool_param for a in told]
    assert finals == [False] * (len(told) - 1) + [True]
    assert not told[-1].infer_response.outputs
    assert {answer.infer_response.id for answer in told} == {"g"}
    tokens = [token for a in told[:-1] for token in integers_of(a.infer_response, 1)]
    assert tokens == integers_of(await oip.ModelInfer(generate(9)), 1)


async def test_nobody_who_does_not_ask_gets_an_empty_answer(oip):
    told = await answers(oip, generate(3))
    assert all(answer.infer_response.outputs for answer in told)


async def test_steps_go_on_beside_a_text_that_is_written(oip):
    told = await answers(oip, generate(200, request_id="g"), *steps_of(TOKENS, 1))
    steps = [a.infer_response.id for a in told if a.infer_response.id != "g"]
    assert steps == [f"1/{step}" for step in range(len(TOKENS))]
    pieces = [a.infer_response for a in told if a.infer_response.id == "g"]
    assert len([token for piece in pieces for token in integers_of(piece, 1)]) == 200


async def test_a_stream_that_nobody_reads_is_read_no_further(app, oip, monkeypatch):
    monkeypatch.setattr(inference_streams, "_MOST_BYTES", 1 << 20)
    call = oip.ModelStreamInfer()
    [stream] = await opened(app, call)
    wide = infer_request("tiny.explicit", {"token": np.ones((4, 64), np.int64)})
    written = 0

    async def write():
        nonlocal written
        while True:
            await call.write(wide)
            written += 1

    writing = asyncio.create_task(write())
    while not stream._is_full or stream._open:
        await asyncio.sleep(0)
    assert not stream._room.is_set()
    largest = len(max(stream._answers, key=len))
    waiting = sum(map(len, stream._answers))
    # What came before the first of its size was known is counted by number.
    assert stream._waiting_bytes == waiting < (1 << 20) + 70 * largest
    for _ in range(200):  # whoever reads again gets everything
        answer = await call.read()
        assert numbers_of(answer.infer_response).shape == (4, 64, 29)
    writing.cancel()
    call.cancel()


async def opened(app, call):
    await call.write(token_step(1, 1, sequence_start=True))
    await call.read()
    return app._inference._streams


async def test_a_caller_that_leaves_takes_its_requests_back(app, oip):
    call = oip.ModelStreamInfer()
    await call.write(generate(4000))
    await call.read()
    loaded = app.models.entry("tiny").loaded
    assert loaded.users == 1
    call.cancel()
    while loaded.users:
        await asyncio.sleep(0)


async def test_a_stream_ends_when_the_server_does(app, oip):
    call = oip.ModelStreamInfer()
    await opened(app, call)
    app._inference.drain()
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
