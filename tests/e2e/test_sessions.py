"""Sessions and their steps over the wire."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import numpy as np
import pytest

from e2e.conftest import server_config
from stepwire.v1 import generation_pb2, sessions_pb2_grpc, streaming_pb2_grpc
from stepwire.v1 import sessions_pb2 as sessions
from stepwire.v1 import streaming_pb2 as streaming
from stepwire_server.app import App
from stepwire_server.config import SessionLimits
from stepwire_server.sessions.keys import KeyRing
from support.calls import error_info
from support.tiny import TinyCell

KEY = "ring AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


@asynccontextmanager
async def reached(config):
    """A server with these settings, and how to reach it; the channel outlives it."""
    channel = None
    try:
        async with App(config).running() as app:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
            desk = sessions_pb2_grpc.SessionServiceStub(channel)
            yield app, desk, streaming_pb2_grpc.StreamingServiceStub(channel)
    finally:
        if channel is not None:
            await channel.close()


def plainly(tokens, cell=None):
    """The logits behind each token, one row and one step at a time."""
    cell = cell or TinyCell()
    state = {name: value[None] for name, value in cell.start.items()}
    found = []
    for token in tokens:
        logits, state = cell.compute(np.array([token]), state)
        found.append(logits[0].tolist())
    return found


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def sample(app, name, **labels):
    """A number of the server's metrics."""
    return app._metrics.registry.get_sample_value(name, labels)


async def opened(desk, model="tiny", metadata=None, **fields):
    request = sessions.OpenSessionRequest(model=model, **fields)
    return (await desk.OpenSession(request, metadata=metadata)).session


class Dialogue:
    """One call of Step, message by message."""

    def __init__(self, stub, metadata=None):
        self.call = stub.Step(metadata=metadata)
        self.epochs = {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.call.cancel()

    async def attach(self, session_id):
        await self.call.write(
            streaming.StepRequest(session_id=session_id, attach=streaming.Attach())
        )
        answer = await self.call.read()
        if answer.HasField("attached"):
            self.epochs[session_id] = answer.attached.epoch
        return answer

    async def send(self, session_id, first, tokens=(), *, epoch=None, outputs=None, **fields):
        inputs = streaming.Inputs(
            epoch=self.epochs.get(session_id, 0) if epoch is None else epoch,
            first_step=first,
            outputs=outputs or streaming.Outputs(logits=True, every_step=True),
            **fields,
        )
        if tokens:
            inputs.tokens.ids.extend(tokens)
        await self.call.write(streaming.StepRequest(session_id=session_id, inputs=inputs))

    async def step(self, session_id, first, tokens=(), **fields):
        await self.send(session_id, first, tokens, **fields)
        return await self.call.read()


def logits_of(answer):
    assert answer.HasField("taken"), answer
    return [list(outputs.logits) for outputs in answer.taken.outputs]


async def test_each_step_gives_what_the_model_gives(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        assert (await dialogue.attach(session.id)).attached.next_step == 0
        found = logits_of(await dialogue.step(session.id, 0, [3]))
        found += logits_of(await dialogue.step(session.id, 1, [1, 4, 1]))
        found += logits_of(await dialogue.step(session.id, 4, [5]))
    assert_close(found, plainly([3, 1, 4, 1, 5]))


async def test_text_is_tokenised_and_the_likeliest_tokens_come_with_their_texts(desk, stub):
    session = await opened(desk)
    outputs = streaming.Outputs(top_k=3, entropy=True)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        answer = await dialogue.step(session.id, 0, text="abc", outputs=outputs)
        assert (answer.taken.first_step, answer.taken.count) == (0, 3)
        [told] = answer.taken.outputs
        logprobs = [token.logprob for token in told.tokens]
        assert logprobs == sorted(logprobs, reverse=True)
        assert len(told.tokens) == 3
        assert all(token.text for token in told.tokens)
        assert 0 < told.entropy < 4
        usual = await dialogue.step(session.id, 3, text="a")
        assert usual.taken.outputs


async def test_several_sessions_share_a_stream_and_never_see_each_other(desk, stub):
    names = [(await opened(desk)).id for _ in range(5)]
    async with Dialogue(stub) as dialogue:
        for name in names:
            await dialogue.attach(name)
        inputs = {name: [number + 1, 7, number] for number, name in enumerate(names)}
        for name, tokens in inputs.items():
            await dialogue.send(name, 0, tokens)
        answers = [await dialogue.call.read() for _ in names]
    found = {answer.session_id: logits_of(answer) for answer in answers}
    for name, tokens in inputs.items():
        assert_close(found[name], plainly(tokens))


async def test_messages_may_be_sent_ahead_within_the_window(desk, stub):
    session = await opened(desk, window=8)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        for step in range(8):
            await dialogue.send(session.id, step, [step])
        found = [logits_of(await dialogue.call.read())[0] for _ in range(8)]
    assert_close(found, plainly(range(8)))


async def test_a_repeated_step_gets_its_answer_and_advances_nothing(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        first = await dialogue.step(session.id, 0, [3])
        again = await dialogue.step(session.id, 0, [3])
        assert again.taken.repeated_answer
        assert not first.taken.repeated_answer
        assert logits_of(again) == logits_of(first)
        assert_close(logits_of(await dialogue.step(session.id, 1, [1])), plainly([3, 1])[1:])


async def test_a_broken_connection_loses_nothing(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, [3])
        await dialogue.send(session.id, 1, [1])  # and its answer is never read
        await asyncio.sleep(0.05)
    async with Dialogue(stub) as dialogue:
        told = (await dialogue.attach(session.id)).attached
        assert told.next_step == 2
        answer = await dialogue.step(session.id, 1, [1])
        assert answer.taken.repeated_answer
        assert_close(logits_of(answer), plainly([3, 1])[1:])


async def under_way(app, desk, dialogue, **fields):
    """A session whose one message, of many steps, is being worked on; its id and the message."""
    session, tokens = await opened(desk, **fields), [3, 1] * 250
    await dialogue.attach(session.id)
    await dialogue.send(session.id, 0, tokens, outputs=streaming.Outputs(logits=True))
    while not app.desk.find("", session.id).pending:
        await asyncio.sleep(0)
    return session.id, tokens


async def test_a_stream_is_answered_what_it_asked_and_nothing_else(app, desk, stub):
    async with Dialogue(stub) as first, Dialogue(stub) as second:
        session_id, tokens = await under_way(app, desk, first)
        assert (await second.attach(session_id)).attached.next_step == 0
        while app.desk.find("", session_id).pending:
            await asyncio.sleep(0.001)
        outputs = streaming.Outputs(logits=True)
        again = await second.step(session_id, 0, tokens, outputs=outputs)
        following = await second.step(session_id, len(tokens), [4], outputs=outputs)
    assert [a.taken.first_step for a in (again, following)] == [0, len(tokens)]


async def test_every_message_has_one_answer_however_early_it_is_repeated(app, desk, stub):
    async with Dialogue(stub) as dialogue:
        session_id, tokens = await under_way(app, desk, dialogue)
        outputs = streaming.Outputs(logits=True)
        await dialogue.send(session_id, 0, tokens, outputs=outputs)
        await dialogue.send(session_id, 0, tokens, outputs=outputs)
        answers = [await dialogue.call.read() for _ in range(3)]
    assert [answer.taken.repeated_answer for answer in answers] == [False, True, True]


@pytest.mark.parametrize(
    ("end", "reason"), [("close", "SESSION_NOT_FOUND"), ("roll_back", "STALE_EPOCH")]
)
async def test_a_message_under_way_is_refused_when_its_session_goes_elsewhere(
    app, desk, stub, end, reason
):
    async with Dialogue(stub) as dialogue:
        session_id, _ = await under_way(app, desk, dialogue, max_snapshots=1)
        app.desk.find("", session_id).snapshots = ((0, bytes(64)),)
        await dialogue.call.done_writing()
        getattr(app.desk, end)("", session_id, *([0] if end == "roll_back" else []))
        answer = await dialogue.call.read()
        assert (answer.error.first_step, answer.error.reason) == (0, reason)
        assert await dialogue.call.read() is grpc.aio.EOF


async def test_a_message_cannot_be_repeated_without_end_while_it_is_under_way(app, desk, stub):
    async with Dialogue(stub) as dialogue:
        session_id, tokens = await under_way(app, desk, dialogue)
        app.desk.find("", session_id).pending[0].askers.extend([None] * 64)
        outputs = streaming.Outputs(logits=True)
        refused = await dialogue.step(session_id, 0, tokens, outputs=outputs)
        assert refused.error.reason == "OVERLOADED"
        assert (await dialogue.call.read()).taken.count == len(tokens)


async def test_of_two_streams_that_claim_a_session_the_later_has_it(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as first, Dialogue(stub) as second:
        await first.attach(session.id)
        await second.attach(session.id)
        refused = (await first.step(session.id, 0, [3])).error
        assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED.value[0], "STALE_EPOCH")
        assert_close(logits_of(await second.step(session.id, 0, [3])), plainly([3]))


@pytest.mark.parametrize(
    ("first", "tokens", "reason", "code"),
    [
        (0, [4], "STEP_TAKEN", grpc.StatusCode.ALREADY_EXISTS),
        (5, [4], "STEP_SKIPPED", grpc.StatusCode.OUT_OF_RANGE),
        (1, [10_000], "INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT),
        (1, [], "INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT),
        (1, [1] * 5000, "INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_is_wrong_with_a_step_is_told_and_the_stream_goes_on(
    desk, stub, first, tokens, reason, code
):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, [3])
        refused = (await dialogue.step(session.id, first, tokens)).error
        assert (refused.reason, refused.code) == (reason, code.value[0])
        assert_close(logits_of(await dialogue.step(session.id, 1, [1])), plainly([3, 1])[1:])


@pytest.mark.parametrize(
    ("outputs", "field"),
    [
        (streaming.Outputs(values=True), "outputs.values"),
        (streaming.Outputs(labels=True), "outputs.labels"),
        (streaming.Outputs(top_k=9999), "outputs.top_k"),
        (streaming.Outputs(hidden_units=[9999]), "outputs.hidden_units"),
        (streaming.Outputs(attention=True), "outputs.attention"),
    ],
)
async def test_an_output_that_the_model_does_not_have_is_named(desk, stub, outputs, field):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        refused = (await dialogue.step(session.id, 0, [3], outputs=outputs)).error
        assert refused.metadata["field"].startswith(field)


async def test_features_are_not_for_a_model_that_reads_tokens(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        features = streaming.Features(values=[1.0, float("nan")])
        refused = (await dialogue.step(session.id, 0, features=features)).error
        assert refused.metadata["field"] == "inputs.features.values"


async def test_a_message_that_names_no_session_ends_the_call(stub):
    call = stub.Step()
    await call.write(streaming.StepRequest(attach=streaming.Attach()))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_call_ends_when_all_that_was_sent_is_answered(desk, stub):
    session = await opened(desk, window=4)
    dialogue = Dialogue(stub)
    await dialogue.attach(session.id)
    for step in range(4):
        await dialogue.send(session.id, step, [step])
    await dialogue.call.done_writing()
    answers = [await dialogue.call.read() for _ in range(4)]
    assert await dialogue.call.read() is grpc.aio.EOF
    assert [answer.taken.first_step for answer in answers] == [0, 1, 2, 3]
    assert await dialogue.call.code() is grpc.StatusCode.OK


async def test_a_session_rolls_back_to_a_snapshot(desk, stub):
    session = await opened(desk, max_snapshots=2)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, [3, 1])
        await dialogue.step(session.id, 2, [4], snapshot=True)
        stale = dialogue.epochs[session.id]
        back = await desk.RollBackSession(
            sessions.RollBackSessionRequest(session_id=session.id, step=2)
        )
        assert (back.session.next_step, list(back.session.snapshots)) == (2, [2])
        delayed = (await dialogue.step(session.id, 3, [9], epoch=stale)).error
        assert delayed.reason == "STALE_EPOCH"
        await dialogue.attach(session.id)
        assert_close(logits_of(await dialogue.step(session.id, 2, [5])), plainly([3, 1, 5])[2:])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.RollBackSession(sessions.RollBackSessionRequest(session_id=session.id, step=7))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_copy_goes_its_own_way(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, [3, 1])
        copy = await opened(desk, model="", session_id=session.id)
        assert copy.next_step == 2
        await dialogue.attach(copy.id)
        ours = logits_of(await dialogue.step(session.id, 2, [4]))
        theirs = logits_of(await dialogue.step(copy.id, 2, [5]))
    assert_close(ours, plainly([3, 1, 4])[2:])
    assert_close(theirs, plainly([3, 1, 5])[2:])


async def test_a_token_given_with_a_step_goes_on_from_behind_it(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        answer = await dialogue.step(session.id, 0, [3, 1], export_state=True)
        await dialogue.step(session.id, 2, [9])
        resumed = await opened(desk, model="", state_token=answer.taken.state_token)
        assert (resumed.next_step, resumed.model, resumed.inexact) == (2, "tiny", False)
        await dialogue.attach(resumed.id)
        assert_close(logits_of(await dialogue.step(resumed.id, 2, [4])), plainly([3, 1, 4])[2:])


async def test_a_token_resumes_on_another_server_with_the_same_keys(repository, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    config = server_config(repository, key_file=keys)
    async with reached(config) as (_, desk, stub), reached(config) as (_, there, other):
        session = await opened(desk)
        async with Dialogue(stub) as dialogue:
            await dialogue.attach(session.id)
            await dialogue.step(session.id, 0, [3, 1, 4])
        token = await desk.ExportSession(sessions.ExportSessionRequest(session_id=session.id))
        resumed = await opened(there, model="", state_token=token.state_token)
        async with Dialogue(other) as dialogue:
            await dialogue.attach(resumed.id)
            found = logits_of(await dialogue.step(resumed.id, 3, [1, 5]))
    assert_close(found, plainly([3, 1, 4, 1, 5])[3:])


async def test_a_token_of_another_server_is_refused(desk):
    foreign = KeyRing.fresh().seal("state token", b"some state")
    for token, reason in (
        (foreign, "STATE_TOKEN_UNKNOWN_KEY"),
        (b"junk", "STATE_TOKEN_UNREADABLE"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await opened(desk, model="", state_token=token)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error_info(refused.value).reason == reason


async def test_callers_see_and_list_their_own_sessions_only(desk):
    me, you = (("x-stepwire-caller", "me"),), (("x-stepwire-caller", "you"),)
    mine = [await opened(desk, metadata=me) for _ in range(2)]
    await opened(desk, metadata=you)
    listed = await desk.ListSessions(sessions.ListSessionsRequest(), metadata=me)
    assert [session.id for session in listed.sessions] == [session.id for session in mine]
    for metadata in (you, None):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.ExportSession(
                sessions.ExportSessionRequest(session_id=mine[0].id), metadata=metadata
            )
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.ListSessions(sessions.ListSessionsRequest())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_closed_session_takes_no_step(desk, stub):
    session = await opened(desk)
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        await desk.CloseSession(sessions.CloseSessionRequest(session_id=session.id))
        refused = (await dialogue.step(session.id, 0, [3])).error
        assert refused.reason == "SESSION_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as again:
        await desk.CloseSession(sessions.CloseSessionRequest(session_id=session.id))
    assert again.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"model": "judge"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"window": 10_000}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"max_snapshots": 10_000}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": "", "session_id": "nothing"}, grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_what_cannot_be_opened_is_refused(desk, fields, code):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await opened(desk, **fields)
    assert refused.value.code() is code


async def test_an_open_stream_is_told_when_its_session_expires(repository):
    limits = SessionLimits(lifetime_s=0.2)
    async with reached(server_config(repository, sessions=limits)) as (app, desk, stub):
        session = await opened(desk)
        async with Dialogue(stub) as dialogue:
            await dialogue.attach(session.id)
            await asyncio.sleep(0.3)
            app.desk.expire()
            told = (await dialogue.call.read()).ending
            assert told.reason == "SESSION_EXPIRED"
            assert told.state_token
            refused = (await dialogue.step(session.id, 0, [3])).error
            assert refused.reason == "SESSION_EXPIRED"


async def test_a_session_that_is_used_too_late_is_told_of_and_counted_as_any_other(repository):
    limits = SessionLimits(idle_s=0.2)
    async with reached(server_config(repository, sessions=limits)) as (app, desk, stub):
        session = await opened(desk)
        async with Dialogue(stub) as dialogue:
            await dialogue.attach(session.id)
            await asyncio.sleep(0.3)
            refused = (await dialogue.step(session.id, 0, [3])).error
            assert refused.reason == "SESSION_EXPIRED"
            app.desk.expire()
            assert (await dialogue.call.read()).ending.state_token
            for state in ("live", "idle"):
                assert sample(app, "stepwire_sessions", state=state) == 0
            assert sample(app, "stepwire_sessions_ended_total", reason="expired") == 1


async def test_a_server_that_stops_hands_out_last_tokens(repository, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    config = server_config(repository, key_file=keys)
    async with reached(config) as (_, desk, stub):
        session = await opened(desk)
        dialogue = Dialogue(stub)
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, [3, 1])
        last = asyncio.create_task(dialogue.call.read())
        await asyncio.sleep(0)
    told = (await last).ending
    assert told.reason == "SHUTTING_DOWN"
    async with reached(config) as (_, desk, stub):
        resumed = await opened(desk, model="", state_token=told.state_token)
        async with Dialogue(stub) as dialogue:
            await dialogue.attach(resumed.id)
            assert_close(logits_of(await dialogue.step(resumed.id, 2, [4])), plainly([3, 1, 4])[2:])


async def test_steps_share_the_batch_with_generation(desk, stub, generation):
    session = await opened(desk)
    request = generation_pb2.GenerateRequest(model="tiny")
    request.prompts.add(text="abc")
    request.options.max_tokens = 60
    alone = [message async for message in generation.Generate(request)]
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        call = generation.Generate(request)
        found = []
        for step in range(20):
            found += logits_of(await dialogue.step(session.id, step, [step]))
        together = [message async for message in call]
    assert_close(found, plainly(range(20)))
    text = ["".join(p.text for m in each for p in m.pieces) for each in (alone, together)]
    assert text[0] == text[1]


def together(*requests):
    """Messages in one."""
    message = streaming.StepRequest()
    message.CopyFrom(requests[0])
    message.more.extend(requests[1:])
    return message


def a_step(session_id, epoch, first, tokens):
    inputs = streaming.Inputs(epoch=epoch, first_step=first)
    inputs.tokens.ids.extend(tokens)
    inputs.outputs.logits = True
    return streaming.StepRequest(session_id=session_id, inputs=inputs)


async def answers_of(call, count):
    """So many answers, however they are put together, by session."""
    found = []
    while len(found) < count:
        answer = await call.read()
        found += [answer, *answer.more]
    assert len(found) == count
    return found


async def test_messages_that_come_together_are_taken_as_if_each_had_come_alone(desk, stub):
    ids = [(await opened(desk)).id for _ in range(40)]
    call = stub.Step()
    attach = streaming.Attach()
    await call.write(together(*(streaming.StepRequest(session_id=i, attach=attach) for i in ids)))
    epochs = {a.session_id: a.attached.epoch for a in await answers_of(call, 40)}
    assert epochs.keys() == set(ids)
    for step in range(3):
        requests = [a_step(i, epochs[i], step, [n % 20 + step]) for n, i in enumerate(ids)]
        await call.write(together(*requests))
        found = {a.session_id: list(a.taken.outputs[0].logits) for a in await answers_of(call, 40)}
        for n, session_id in enumerate(ids):
            assert_close(found[session_id], plainly([n % 20 + s for s in range(step + 1)])[-1])
    call.cancel()


async def test_what_is_wrong_with_one_of_them_leaves_the_others_alone(desk, stub):
    ids = [(await opened(desk)).id for _ in range(3)]
    call = stub.Step()
    attach = streaming.Attach()
    await call.write(together(*(streaming.StepRequest(session_id=i, attach=attach) for i in ids)))
    epochs = {a.session_id: a.attached.epoch for a in await answers_of(call, 3)}
    requests = [
        a_step(i, epochs[i], 0, [tokens]) for i, tokens in zip(ids, (3, 9999, 4), strict=True)
    ]
    await call.write(together(*requests))
    found = {a.session_id: a.WhichOneof("result") for a in await answers_of(call, 3)}
    assert [found[i] for i in ids] == ["taken", "error", "taken"]
    call.cancel()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([streaming.StepRequest()] * 1024, "more must have at most 1023 messages"),
        ([streaming.StepRequest(more=[streaming.StepRequest()])], r"more\[0\].more must be empty"),
    ],
)
async def test_too_many_together_or_nested_ones_end_the_call(desk, stub, more, message):
    session = await opened(desk)
    call = stub.Step()
    request = streaming.StepRequest(session_id=session.id, attach=streaming.Attach())
    await call.write(together(request, *more))
    with pytest.raises(grpc.aio.AioRpcError, match=message):
        await call.read()
