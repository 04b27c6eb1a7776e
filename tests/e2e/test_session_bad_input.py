"""What callers of sessions may get wrong: each is refused by name, and costs nothing."""

import asyncio
import gc
import json
import struct

import grpc
import pytest

from e2e.conftest import server_config
from e2e.test_sessions import Dialogue, opened, reached, sample
from stepwire.v1 import sessions_pb2 as sessions
from stepwire.v1 import streaming_pb2 as streaming
from stepwire_server import app as app_module
from stepwire_server.config import SessionLimits
from stepwire_server.sessions.keys import KeyRing
from stepwire_server.sessions.session import Session
from support.alone import Alone
from support.calls import error_info
from support.tiny import write_generation
from support.tiny_streams import write_forecaster, write_watcher

KEY = "bad AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
NAN, INFINITE = float("nan"), float("inf")


@pytest.fixture
def forecaster(tmp_path):
    write_generation(tmp_path / "zoo")
    write_watcher(tmp_path / "zoo")
    return write_forecaster(tmp_path / "zoo")


@pytest.fixture
def config(tmp_path, forecaster):
    (tmp_path / "keys").write_text(KEY)
    return server_config(tmp_path / "zoo", key_file=tmp_path / "keys")


def rows(*numbers):
    return {"features": streaming.Features(values=numbers)}


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        ("forecaster", rows(NAN, 1.0), "inputs.features.values[0]"),
        ("forecaster", rows(1.0, 2.0, 3.0, INFINITE), "inputs.features.values[3]"),
        ("forecaster", rows(1.0, -INFINITE), "inputs.features.values[1]"),
        ("forecaster", rows(1.0, 2.0, 3.0), "inputs.features.values"),
        ("forecaster", rows(), "inputs"),
        ("forecaster", rows(*[0.5] * 130), "inputs"),
        ("forecaster", {"text": "a"}, "inputs.text"),
        ("forecaster", {"tokens": [1]}, "inputs.tokens"),
        ("watcher", {"tokens": [1] * 65}, "inputs.tokens.ids"),
        ("watcher", {"text": "a" * 65}, "inputs.text"),
        ("watcher", {"text": ""}, "inputs"),
        ("watcher", {"tokens": [1, 2**31 - 1]}, "inputs.tokens.ids[1]"),
        ("watcher", rows(1.0), "inputs.features.values"),
        ("watcher", {}, "inputs"),
    ],
)
async def test_inputs_that_cannot_be_are_named_and_the_session_goes_on(
    desk, stub, forecaster, model, inputs, field
):
    session = await opened(desk, model)
    usual = streaming.Outputs(values=True) if model == "forecaster" else None
    good = rows(0.5, -0.25) if model == "forecaster" else {"tokens": [3]}
    folder = forecaster.parents[1] / model / "1"
    wanted, _ = Alone(folder).run([[0.5, -0.25], [0.5, -0.25]] if usual else [3, 3])
    role = "values" if usual else "logits"
    async with Dialogue(stub) as dialogue:
        await dialogue.attach(session.id)
        await dialogue.step(session.id, 0, outputs=usual, **good)
        refused = (await dialogue.step(session.id, 1, outputs=usual, **inputs)).error
        assert (refused.reason, refused.first_step) == ("INVALID_REQUEST", 1)
        assert refused.metadata["field"] == field
        told = (await dialogue.step(session.id, 1, outputs=usual, **good)).taken
    assert list(getattr(told.outputs[-1], role)) == wanted[1][role]


async def test_a_token_of_a_newer_format_is_refused_by_name(desk, tmp_path):
    session = await opened(desk, "forecaster")
    request = sessions.ExportSessionRequest(session_id=session.id)
    token = (await desk.ExportSession(request)).state_token
    ring = KeyRing.read(tmp_path / "keys")
    content = ring.open("state token", token)
    newer = ring.seal("state token", b"\x02" + content[1:])
    other = struct.pack("<BH", 7, 2) + json.dumps({}).encode()
    for made in (newer, ring.seal("state token", other), b"SW2" + token[3:]):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await opened(desk, "", state_token=made)
        assert error_info(refused.value).reason == "STATE_TOKEN_UNREADABLE"
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_nobody_reaches_a_session_of_another_caller(desk, stub):
    me, you = (("x-stepwire-caller", "me"),), (("x-stepwire-caller", "you"),)
    session = await opened(desk, "tiny", metadata=me, max_snapshots=1)
    for method, request in (
        ("ExportSession", sessions.ExportSessionRequest(session_id=session.id)),
        ("RollBackSession", sessions.RollBackSessionRequest(session_id=session.id)),
        ("CloseSession", sessions.CloseSessionRequest(session_id=session.id)),
        ("OpenSession", sessions.OpenSessionRequest(session_id=session.id)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(desk, method)(request, metadata=you)
        assert error_info(refused.value).reason == "SESSION_NOT_FOUND"
    async with Dialogue(stub, you) as theirs, Dialogue(stub, me) as mine:
        assert (await theirs.attach(session.id)).error.reason == "SESSION_NOT_FOUND"
        await mine.attach(session.id)
        stolen = await theirs.step(session.id, 0, [3], epoch=mine.epochs[session.id])
        assert stolen.error.reason == "SESSION_NOT_FOUND"
        assert (await mine.step(session.id, 0, [3])).taken.count == 1


async def test_ten_thousand_sessions_opened_and_abandoned(config, repository, monkeypatch):
    monkeypatch.setattr(app_module, "_EXPIRY_INTERVAL_S", 0.2)
    config = server_config(*config.model_repositories, sessions=SessionLimits(idle_s=1.0))
    async with reached(config) as (app, desk, stub):
        async with Dialogue(stub) as dialogue:
            here, waits, loop = await opened(desk), [], asyncio.get_running_loop()
            await dialogue.attach(here.id)

            async def open_many(count):
                for _ in range(count):
                    await desk.OpenSession(sessions.OpenSessionRequest(model="tiny"))

            opening = asyncio.gather(*(open_many(200) for _ in range(50)))
            step = 0
            while not opening.done() or sample(app, "stepwire_sessions", state="idle"):
                began = loop.time()
                assert (await dialogue.step(here.id, step, [step % 20])).taken.first_step == step
                waits.append(loop.time() - began)
                step += 1
                await asyncio.sleep(0.02)
            await opening
        assert sample(app, "stepwire_sessions_opened_total", origin="start") == 10_001
        assert sample(app, "stepwire_sessions_ended_total", reason="expired") == 10_000
        # Someone who steps meanwhile hardly notices.
        assert sorted(waits)[len(waits) // 2] < 0.5
        assert max(waits) < 3.0
        assert sample(app, "stepwire_session_bytes") < 10_000
        gc.collect()
        assert sum(type(each) is Session for each in gc.get_objects()) <= 1
