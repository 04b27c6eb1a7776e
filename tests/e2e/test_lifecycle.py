"""Models that come and go while a real server is called."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import stepwire
from e2e.conftest import server_config
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, ModelControl
from support.alone import Alone
from support.reloading import Reloading
from support.shelf import publish, remove, spoil
from support.tiny import write_classification

EXPLICIT = ModelControl(mode="explicit", load_at_start=("*",))


@pytest.fixture
def control():
    """How models are controlled; a test that needs another way overrides this."""
    return EXPLICIT


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    publish(folder)
    return folder


@pytest.fixture
def config(repository, control):
    return server_config(repository, control=control, batching=BatchingConfig(max_rows=64))


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}", caller="me") as client:
        yield client


async def status_of(channel, name=""):
    stub = health_pb2_grpc.HealthStub(channel)
    told = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return health_pb2.HealthCheckResponse.ServingStatus.Name(told.status)


def value(app, name, **labels):
    return app._metrics.registry.get_sample_value(name, labels)


async def text_of(stream):
    return "".join([text async for text in stream])


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come about in time")


async def test_sixty_four_streams_notice_nothing_of_thirty_reloads(app, repository):
    reloading = Reloading(f"127.0.0.1:{app.grpc_port}", repository / "tiny/1")
    await reloading.run(streams=64, reloads=30)
    assert reloading.reloads == 30
    assert min(reloading.done.values()) > 64, reloading.done
    await until(lambda: not app.models.is_any_retired)
    assert value(app, "stepwire_model_loads_total", result="loaded") == 31


async def test_a_stream_ends_with_the_model_it_began_with(app, client, repository):
    options = stepwire.DecodingOptions(max_tokens=2000, temperature=1, seed=5)
    alone = await text_of(client.generate("tiny", "a", options=options))
    async with client.generate("tiny", "a", options=options) as running:
        begun = await anext(running)
        publish(repository, seed=9)
        await client.load_model("tiny")
        await client.unload_model("tiny")
        assert begun + await text_of(running) == alone
    with pytest.raises(stepwire.NotFound, match="unloaded on request"):
        await anext(client.generate("tiny", "a"))
    await until(lambda: not app.models.is_any_retired)


async def test_a_failed_reload_keeps_serving_and_is_told(client, repository, channel):
    spoil(repository)
    with pytest.raises(stepwire.ModelFailed, match="format is 2"):
        await client.load_model("tiny")
    [told] = await client.models()
    assert told.state is stepwire.ModelState.READY
    assert "format is 2" in told.reason
    assert await anext(client.generate("tiny", "a"))
    assert await status_of(channel, "tiny") == "SERVING"


async def test_health_and_metrics_follow_what_is_loaded(app, client, repository, channel):
    [summary] = await client.load_model("tiny")
    assert summary.state is stepwire.ModelState.READY
    await client.unload_model("tiny")
    assert await status_of(channel, "tiny") == "NOT_SERVING"
    assert await status_of(channel) == "SERVING"  # it waits for requests to load
    assert value(app, "stepwire_models", state="unloaded") == 1
    assert value(app, "stepwire_models", state="ready") == 0
    assert value(app, "stepwire_model_unloads_total") == 1
    info = [m for m in app._metrics.registry.collect() if m.name == "stepwire_model_info"]
    assert info[0].samples == []
    await client.load_model("tiny")
    assert await status_of(channel, "tiny") == "SERVING"


async def test_nothing_is_loaded_by_request_unless_that_is_allowed(repository):
    async with (
        App(server_config(repository)).running() as app,
        stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client,
    ):
        for call in (client.load_model, client.unload_model):
            with pytest.raises(stepwire.ModelControlDisabled, match="explicit") as raised:
                await call("tiny")
            assert raised.value.code is grpc.StatusCode.FAILED_PRECONDITION


async def steps(session, inputs):
    return [await session.step([each], outputs=stepwire.Outputs(logits=True)) for each in inputs]


def logits_of(told):
    return [list(stepped.last.logits) for stepped in told]


async def test_a_session_stays_with_the_build_it_began_with(client, repository):
    wanted, _ = Alone(repository / "tiny/1").run(range(6))
    async with client.session("tiny") as session:
        told = await steps(session, range(3))
        publish(repository, seed=7)
        await client.load_model("tiny")
        told += await steps(session, range(3, 5))
        await client.unload_model("tiny")
        told += await steps(session, [5])
    assert logits_of(told) == [each["logits"] for each in wanted]
    assert {stepped.version for stepped in told} == {""}


async def test_a_session_that_follows_goes_on_with_the_next_build(client, repository):
    first, second = Alone(repository / "tiny/1"), None
    wanted, state = first.run(range(3))
    options = stepwire.SessionOptions(follow_reloads=True)
    async with client.session("tiny", options=options) as session:
        told = await steps(session, range(3))
        digest = publish(repository, seed=7)
        second = Alone(repository / "tiny/1")
        await client.load_model("tiny")
        told += await steps(session, range(3, 5))
        wanted += second.run(range(3, 5), state)[0]
        [info] = await client.sessions()
    assert logits_of(told) == [each["logits"] for each in wanted]
    assert told[0].digest != told[-1].digest == digest == info.digest
    assert (info.inexact, info.follows_reloads) == (True, True)


async def test_a_session_that_follows_goes_on_with_the_latest_version(client, repository):
    options = stepwire.SessionOptions(follow_reloads=True)
    async with (
        client.session("tiny", options=options) as session,
        client.session("tiny", version="1", options=options) as named,
    ):
        assert (await session.step("a")).version == "1"
        await named.step("a")
        publish(repository, 2)
        await client.load_model("tiny")
        assert (await session.step("a")).version == "2"
        assert (await named.step("a")).version == "1"


async def test_a_state_that_does_not_fit_stays(client, repository):
    """In the next build another token means the end."""
    options = stepwire.SessionOptions(follow_reloads=True)
    async with client.session("tiny", options=options) as session:
        before = await session.step("a")
        digest = publish(repository, seed=7, end=1)
        await client.load_model("tiny")
        assert (await client.model("tiny")).digest == digest
        assert (await session.step("a")).digest == before.digest


async def test_idle_sessions_that_follow_let_the_old_model_go(app, client, repository):
    options = stepwire.SessionOptions(follow_reloads=True)
    async with client.session("tiny", options=options) as session:
        await session.step("a")
        await client.load_model("tiny")
        assert app.models.is_any_retired
        app.desk.move_on()
        await until(lambda: not app.models.is_any_retired)
        assert (await session.step("a")).version == "1"


async def test_a_closed_session_lets_the_old_model_go(app, client):
    async with client.session("tiny") as session:
        await session.step("a")
        await client.load_model("tiny")
        assert app.models.is_any_retired
    await until(lambda: not app.models.is_any_retired)


async def test_calls_that_leave_or_fail_let_their_model_go(app, client):
    long = stepwire.DecodingOptions(max_tokens=4000)
    [entry] = app.models
    async with client.generate("tiny", "a", options=long) as running:
        await anext(running)
        with pytest.raises(stepwire.InvalidRequest):
            await anext(client.generate("tiny", "a", options=stepwire.DecodingOptions(top_k=-1)))
        with pytest.raises(stepwire.InvalidRequest):
            await client.classify("tiny", "a")
        assert entry.loaded.users == 1
    await until(lambda: not entry.loaded.users)


async def test_a_drain_in_the_middle_of_a_load_ends_both(repository):
    app = App(server_config(repository, control=EXPLICIT))
    async with (
        app.running(),
        stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client,
    ):
        loads = [asyncio.create_task(client.load_model("tiny")) for _ in range(8)]
        await until(lambda: app.models.is_any_retired)
    ended = await asyncio.gather(*loads, return_exceptions=True)
    allowed = (list, stepwire.Unavailable, stepwire.Cancelled)
    assert all(isinstance(each, allowed) for each in ended), ended
    assert not app.lifecycle._tasks


class TestLazy:
    @pytest.fixture
    def control(self):
        return ModelControl(lazy=True, max_loaded=1)

    @pytest.fixture
    def repository(self, repository):
        write_classification(repository)
        return repository

    async def test_twenty_first_callers_are_served_by_one_load(self, app, client, channel):
        assert await status_of(channel) == await status_of(channel, "tiny") == "SERVING"
        assert {m.state for m in await client.models()} == {stepwire.ModelState.UNLOADED}
        assert {m.task for m in await client.models()} == {"generation", "classification"}
        calls = (text_of(client.generate("tiny", "a")) for _ in range(20))
        assert len({len(text) for text in await asyncio.gather(*calls)}) == 1
        assert value(app, "stepwire_model_loads_total", result="loaded") == 1

    async def test_models_take_turns_where_one_may_be_loaded(self, app, client):
        for _ in range(3):
            assert (await client.classify("judge", "a"))[0].label
            assert await text_of(client.generate("tiny", "a"))
        states = {m.name: m.state.value for m in await client.models()}
        assert states == {"judge": "unloaded", "tiny": "ready"}
        await until(lambda: not app.models.is_any_retired)

    async def test_a_session_is_opened_on_a_model_that_is_loaded_for_it(self, client):
        async with client.session("tiny") as session:
            await session.step("a")
            assert (await client.classify("judge", "a"))[0].label  # the other cannot make room
            await session.step("b")
            token = await session.export()
        assert (await client.classify("judge", "a"))[0].label
        async with client.session(state_token=token) as session:
            assert (await session.step("c")).first_step == 2

    async def test_a_refused_model_says_why(self, client, repository):
        spoil(repository)
        with pytest.raises(stepwire.ModelFailed, match="format is 2"):
            await text_of(client.generate("tiny", "a"))


class TestPolling:
    @pytest.fixture
    def control(self):
        return ModelControl(mode="poll", poll_s=0.02)

    async def test_versions_come_and_go_as_their_folders_do(self, app, client, repository):
        publish(repository, 2, seed=2)
        await until(lambda: len(list(app.models)) == 2 and app.models.current("tiny", "2"))
        remove(repository, 1)
        await until(lambda: [e.version for e in app.models] == ["2"])
        with pytest.raises(stepwire.NotFound, match="no version '1'"):
            await text_of(client.generate("tiny", "a", version="1"))
        assert await text_of(client.generate("tiny", "a"))
