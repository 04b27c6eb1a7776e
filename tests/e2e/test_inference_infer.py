"""ModelInfer, message by message."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import numpy as np
import pytest

from e2e.conftest import server_config
from stepwire_server.app import App
from stepwire_server.config import SessionLimits
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.oip import inference_pb2_grpc as pb_grpc
from support.inference import infer_request, integers_of, numbers_of, steps_of, token_step
from support.tiny import TinyJudge

TOKENS = [3, 1, 4, 1, 5, 9, 2, 6]


@asynccontextmanager
async def another_connection(app):
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}", options) as channel:
        yield pb_grpc.GRPCInferenceServiceStub(channel)


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details()


async def test_the_state_is_kept_from_request_to_request(oip, alone):
    for request, expected in zip(steps_of(TOKENS, 7), alone(TOKENS), strict=True):
        response = await oip.ModelInfer(request)
        assert (response.id, response.model_version) == (request.id, "1")
        assert (numbers_of(response)[0, 0] == expected).all()


async def test_a_chunk_is_its_steps(oip, alone):
    chunk = infer_request(
        "tiny", {"token": np.array([TOKENS[:5]], np.int64)}, sequence_id=1, sequence_start=True
    )
    first = numbers_of(await oip.ModelInfer(chunk))
    chunk = infer_request("tiny", {"token": np.array([TOKENS[5:]], np.int64)}, sequence_id=1)
    second = numbers_of(await oip.ModelInfer(chunk))
    assert (np.concatenate([first[0], second[0]]) == np.array(alone(TOKENS))).all()


async def test_requests_sent_at_once_go_on_from_each_other(oip, alone):
    await oip.ModelInfer(token_step(3, 1, sequence_start=True))
    calls = [oip.ModelInfer(token_step(4, 1)) for _ in range(8)]
    found = [numbers_of(response)[0, 0].tobytes() for response in await asyncio.gather(*calls)]
    # On connections of their own nobody knows their order, but each is one step.
    assert sorted(found) == sorted(logits.tobytes() for logits in alone([3] + [4] * 8)[1:])


async def test_connections_that_say_no_name_have_sequences_of_their_own(app, oip):
    await oip.ModelInfer(token_step(1, 5, sequence_start=True))
    async with another_connection(app) as other:
        code, told = await refusal(other.ModelInfer(token_step(1, 5)))
    assert code is grpc.StatusCode.NOT_FOUND
    assert told == (
        "inference request for sequence 5 to model 'tiny' must specify the START flag on the "
        "first request of the sequence"
    )


async def test_a_caller_with_a_name_finds_its_sequences_on_any_connection(app, oip, alone):
    me, you = (("x-stepwire-caller", "me"),), (("x-stepwire-caller", "you"),)
    await oip.ModelInfer(token_step(3, 5, sequence_start=True), metadata=me)
    async with another_connection(app) as other:
        response = await other.ModelInfer(token_step(1, 5), metadata=me)
        assert (numbers_of(response)[0, 0] == alone([3, 1])[1]).all()
        code, _ = await refusal(other.ModelInfer(token_step(1, 5), metadata=you))
    assert code is grpc.StatusCode.NOT_FOUND


async def test_start_begins_anew(oip, alone):
    await oip.ModelInfer(token_step(9, 1, sequence_start=True))
    response = await oip.ModelInfer(token_step(3, 1, sequence_start=True))
    assert (numbers_of(response)[0, 0] == alone([3])[0]).all()


async def test_a_request_that_is_refused_changes_no_state(oip, alone):
    await oip.ModelInfer(token_step(3, 1, sequence_start=True))
    for bad in (token_step(99, 1), token_step(1, 1, outputs=["z"]), token_step(-1, 1)):
        assert (await refusal(oip.ModelInfer(bad)))[0] is grpc.StatusCode.INVALID_ARGUMENT
    response = await oip.ModelInfer(token_step(1, 1))
    assert (numbers_of(response)[0, 0] == alone([3, 1])[1]).all()


REFUSED = {
    "must specify a non-zero or non-empty sequence_id": token_step(1, 0),
    "sequence_id must be left out: tiny.explicit keeps no state": token_step(
        1, 1, model="tiny.explicit"
    ),
    "token[0, 0] must be in [0, 28], got 9223372036854775807": token_step(
        2**63 - 1, 1, sequence_start=True
    ),
}


@pytest.mark.parametrize("told", REFUSED)
async def test_what_a_model_cannot_do_is_an_invalid_argument(oip, told):
    code, details = await refusal(oip.ModelInfer(REFUSED[told]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert told in details


async def test_a_model_or_version_that_is_not_there_is_not_found(oip):
    for request in (
        token_step(1, 1, model="nobody"),
        token_step(1, 1, model="tiny.nothing"),
        token_step(1, 1, version="7", sequence_start=True),
    ):
        assert (await refusal(oip.ModelInfer(request)))[0] is grpc.StatusCode.NOT_FOUND


async def test_a_later_request_names_no_other_version(oip):
    await oip.ModelInfer(token_step(1, 1, version="1", sequence_start=True))
    await oip.ModelInfer(token_step(1, 1, version="1"))
    code, told = await refusal(oip.ModelInfer(token_step(1, 1, version="2")))
    assert (code, told) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "model_version must be 1, as when the sequence began, or empty, got 2",
    )


async def test_typed_contents_are_as_good_as_raw_ones(oip):
    tokens = [[1, 2, 3]]
    typed = pb.ModelInferRequest(model_name="judge")
    given = typed.inputs.add(name="tokens", datatype="INT64", shape=[1, 3])
    given.contents.int64_contents.extend(tokens[0])
    raw = infer_request("judge", {"tokens": np.array(tokens)})
    found = [numbers_of(await oip.ModelInfer(request)) for request in (typed, raw)]
    assert (found[0] == found[1]).all()
    assert np.allclose(found[0], TinyJudge().run(np.array(tokens), np.array([3])))


async def test_a_caller_that_keeps_the_state_itself_goes_on_as_well(oip, alone):
    states = {}
    for token, expected in zip(TOKENS, alone(TOKENS), strict=True):
        tensors = {"token": np.array([[token]], np.int64), **states}
        outputs = ["logits", "c_next", "h_next"]
        response = await oip.ModelInfer(infer_request("tiny.explicit", tensors, outputs=outputs))
        assert [output.name for output in response.outputs] == outputs
        assert (numbers_of(response)[0, 0] == expected).all()
        states = {"c": numbers_of(response, 1), "h": numbers_of(response, 2)}


async def test_a_model_of_many_answers_gives_all_of_them_at_once(oip):
    request = infer_request(
        "tiny.generate", {"text_input": np.array([b"once"], object)}, max_tokens=6, seed=1
    )
    whole = await oip.ModelInfer(request)
    assert [output.name for output in whole.outputs] == [
        *("text_output", "token_ids", "finish_reason")
    ]
    request.inputs.add(name="stream", datatype="BOOL", shape=[1])
    request.raw_input_contents.append(b"\x01")
    pieces = await oip.ModelInfer(request)
    assert integers_of(pieces, 1) == integers_of(whole, 1)
    assert len(integers_of(whole, 1)) == 6


async def test_a_request_may_be_larger_than_grpc_takes_by_itself(oip):
    rows = np.zeros((8, 100_000), np.int64)
    code, told = await refusal(oip.ModelInfer(infer_request("judge", {"tokens": rows})))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "have a length in [1, 16]" in told


async def test_what_is_no_request_is_refused(channel):
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    code, _ = await refusal(call(b"\xff\xff\xff"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_call_whose_time_is_over_is_not_begun(oip):
    request = token_step(1, 1, sequence_start=True)
    code, _ = await refusal(oip.ModelInfer(request, timeout=0.0))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_sequence_that_was_forgotten_says_so(repository):
    limits = SessionLimits(idle_s=1e-9)
    app = App(server_config(repository, sessions=limits))
    async with app.running(), another_connection(app) as oip:
        await oip.ModelInfer(token_step(1, 1, sequence_start=True))
        code, told = await refusal(oip.ModelInfer(token_step(1, 1)))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "has expired" in told


async def test_more_sequences_than_a_caller_may_have_are_refused(repository):
    limits = SessionLimits(max_sessions_per_owner=2)
    app = App(server_config(repository, sessions=limits))
    async with app.running(), another_connection(app) as oip:
        for id in (1, 2):
            await oip.ModelInfer(token_step(1, id, sequence_start=True))
        third = token_step(1, 3, sequence_start=True)
        code, _ = await refusal(oip.ModelInfer(third))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await oip.ModelInfer(token_step(1, 1, sequence_end=True))
        await oip.ModelInfer(third)
