"""The server as a whole: health, reflection, limits, and callers that misbehave."""

import asyncio
import shutil
import socket
import time
import urllib.request
from contextlib import suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from e2e.conftest import server_config
from stepwire.v1 import generation_pb2_grpc
from stepwire_server.app import SERVICES, App
from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.errors import StartupError
from support.calls import a_request, error_info, generate
from support.tiny import write_generation

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def health(channel):
    return health_pb2_grpc.HealthStub(channel)


async def eventually(condition, limit_s=20.0):
    """Waits until a condition holds."""
    for _ in range(int(limit_s / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come about in time")


async def read_all(call):
    """Reads what is left of a stream, however it ends."""
    messages = []
    with suppress(grpc.aio.AioRpcError):
        while (message := await call.read()) is not grpc.aio.EOF:
            messages.append(message)
    return messages


def value(app, name, **labels):
    labels = {"model": "tiny", "version": "1", **labels}
    return app._metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize("name", ["", *SERVICES, "tiny", "judge"])
async def test_health_is_told_for_the_server_each_service_and_each_model(health, name):
    response = await health.Check(health_pb2.HealthCheckRequest(service=name))
    assert response.status == SERVING


async def test_health_of_what_does_not_exist_is_not_found(health):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await health.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_sees_the_drain_while_running_calls_finish(repository):
    app = App(server_config(repository))
    async with app.running():
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        running = asyncio.create_task(generate(stub, a_request("a", max_tokens=1500)))
        await eventually(lambda: value(app, "stepwire_slots_in_use") == 1)
    statuses = [response.status for response in await read_all(watch)]
    texts, _, _ = await running
    assert statuses == [NOT_SERVING]
    assert len(texts[0, 0]) == 1500
    await channel.close()


async def test_a_watcher_of_health_does_not_hold_up_the_drain(repository):
    app = App(server_config(repository))
    object.__setattr__(app._config, "exit_timeout_s", 30.0)
    async with app.running():
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        began = time.monotonic()
    assert time.monotonic() - began < 10
    watch.cancel()
    await channel.close()


async def test_work_that_outlasts_the_drain_is_ended_as_unavailable(repository):
    app = App(server_config(repository, batching=BatchingConfig(max_rows=1)))
    async with app.running():
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        calls = [
            asyncio.create_task(generate(stub, a_request("a", max_tokens=4096, n=1)))
            for _ in range(40)
        ]
        await eventually(lambda: (value(app, "stepwire_waiting") or 0) > 20)
    results = await asyncio.gather(*calls, return_exceptions=True)
    failed = [error for error in results if isinstance(error, grpc.aio.AioRpcError)]
    assert failed
    assert {error.code() for error in failed} == {grpc.StatusCode.UNAVAILABLE}
    assert {error_info(error).reason for error in failed} == {"SHUTTING_DOWN"}
    await channel.close()


async def test_calls_that_have_just_arrived_are_not_cut_by_the_drain(repository):
    app = App(server_config(repository))
    async with app.running():
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        await generate(stub, a_request("a"))  # the connection is made
        calls = [asyncio.create_task(generate(stub, a_request("a"))) for _ in range(8)]
        await asyncio.sleep(0.01)
    for texts, _, _ in await asyncio.gather(*calls):
        assert len(texts[0, 0]) == 20
    await channel.close()


async def test_a_model_is_healthy_while_one_of_its_versions_serves(repository):
    broken = repository / "tiny/2"
    shutil.copytree(repository / "tiny/1", broken)
    async with (
        App(server_config(repository)).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        response = await stub.Check(health_pb2.HealthCheckRequest(service="tiny"))
        assert response.status == SERVING
        generation = generation_pb2_grpc.GenerationServiceStub(channel)
        assert await generate(generation, a_request("a"))


async def test_reflection_lists_every_service(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([request]))
    response = await call.read()
    names = {service.name for service in response.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= names
    call.cancel()


async def test_a_method_that_does_not_exist_is_unimplemented(channel):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/stepwire.v1.GenerationService/Guess")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_is_no_message_is_refused_clearly(channel):
    call = channel.unary_stream("/stepwire.v1.GenerationService/Generate")(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError, match="not a message of this method") as raised:
        await call.read()
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_over_the_limit_is_refused(repository):
    async with (
        App(server_config(repository, max_message_bytes=10_000)).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match="10000") as raised:
            await generate(stub, a_request("a" * 20_000))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await generate(stub, a_request("a"))


async def test_many_stops_do_not_hold_up_the_others(app, generation):
    """A matcher that looked at every stop at every length took seconds for this."""
    stops = ["a" * 255 + chr(ord("b") + index) for index in range(16)]
    greedy = a_request(*["a"] * 8, max_tokens=600, stop=stops, logit_bias={2: 100.0})
    hard = asyncio.create_task(generate(generation, greedy))
    longest_s, began = 0.0, time.monotonic()
    while not hard.done():
        await asyncio.sleep(0.001)
        longest_s, began = max(longest_s, time.monotonic() - began), time.monotonic()
    texts, _, _ = await hard
    assert texts[0, 0] == "a" * 600
    assert longest_s < 2


async def test_the_call_id_comes_back_with_an_error(generation):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await generate(generation, a_request(), metadata=(("x-request-id", "call-7"),))
    assert dict(raised.value.trailing_metadata())["x-request-id"] == "call-7"


async def test_a_mistake_of_ours_leaves_as_an_id_and_nothing_else(app, generation, monkeypatch):
    def break_(*_):
        raise RuntimeError("the secret inner state")

    monkeypatch.setattr(app.models, "use", break_)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await generate(generation, a_request("a"), metadata=(("x-request-id", "call-8"),))
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert raised.value.details() == "internal error"
    assert error_info(raised.value).metadata["id"] == "call-8"


async def test_a_caller_that_vanishes_gives_its_slot_back(repository):
    # It does not read on, so without a large buffer it would soon be parked.
    batching = BatchingConfig(max_rows=8, buffer_tokens=10**6)
    async with (
        App(server_config(repository, batching=batching)).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        call = stub.Generate(a_request("a", max_tokens=4096, n=8))
        await call.read()
        await eventually(lambda: value(app, "stepwire_slots_in_use") == 8)
        call.cancel()
        await eventually(lambda: value(app, "stepwire_slots_in_use") == 0)
        assert value(app, "stepwire_cancelled_total", stage="running") == 1


async def test_a_full_queue_turns_callers_away_with_a_delay(repository):
    config = server_config(repository, batching=BatchingConfig(max_rows=1, max_waiting=1))
    async with (
        App(config).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        running = stub.Generate(a_request("a", max_tokens=4096))
        await running.read()
        waiting = asyncio.create_task(generate(stub, a_request("a")))
        await eventually(lambda: value(app, "stepwire_waiting") == 1)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await generate(stub, a_request("a"))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_info(raised.value).reason == "OVERLOADED"
        running.cancel()
        assert await waiting


async def test_a_deadline_that_passes_in_the_queue_drops_the_work(repository):
    config = server_config(repository, batching=BatchingConfig(max_rows=1))
    async with (
        App(config).running() as app,
        grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        running = stub.Generate(a_request("a", max_tokens=4096))
        await running.read()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await generate(stub, a_request("b"), timeout=0.05)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.aio.AioRpcError):
            await generate(stub, a_request("b", max_tokens=4096), timeout=0.05)
        running.cancel()
        await eventually(lambda: value(app, "stepwire_slots_in_use") == 0)
        assert value(app, "stepwire_output_tokens_total") < 4096


async def test_stalled_readers_are_parked_and_do_not_delay_a_newcomer(repository):
    config = server_config(repository, batching=BatchingConfig(max_rows=4, buffer_tokens=16))
    async with (
        App(config).running() as app,
        grpc.aio.insecure_channel(
            f"127.0.0.1:{app.grpc_port}",
            # A window this small fills at once; a real one only takes longer.
            options=[("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)],
        ) as slow,
        grpc.aio.insecure_channel(
            f"127.0.0.1:{app.grpc_port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as quick,
    ):
        stub = generation_pb2_grpc.GenerationServiceStub(slow)
        request = a_request("a", max_tokens=4096, logprobs=20, temperature=1.0, seed=1)
        stalled = [stub.Generate(request) for _ in range(4)]
        for call in stalled:
            await call.read()
        await eventually(lambda: value(app, "stepwire_parked") == 4)
        assert value(app, "stepwire_slots_in_use") == 0
        newcomer = generation_pb2_grpc.GenerationServiceStub(quick)
        assert await asyncio.wait_for(generate(newcomer, a_request("b")), 5)
        # The sleeper wakes up and loses nothing.
        undisturbed, _, _ = await generate(newcomer, request)
        for call in stalled[1:]:
            call.cancel()
        rest = await read_all(stalled[0])
        text = "".join(piece.text for response in rest for piece in response.pieces)
        assert undisturbed[0, 0].endswith(text)
        assert len(text) > 3500


async def test_a_port_that_is_taken_is_named(repository):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for field in ("grpc_port", "metrics_port"):
            config = server_config(repository, metrics=True)
            object.__setattr__(config, field, port)
            with pytest.raises(StartupError, match=str(port)):
                async with App(config).running():
                    pass


async def test_metrics_are_served(repository):
    async with App(server_config(repository, metrics=True)).running() as app:
        url = f"http://127.0.0.1:{app.metrics_port}/metrics"
        read = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    assert "stepwire_model_info{" in read


async def test_an_empty_or_unreadable_repository_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StartupError, match="empty holds no model: expected <name>/<version>/"):
        App(server_config(tmp_path / "empty"))
    with pytest.raises(StartupError, match="nowhere cannot be read: No such file or directory"):
        App(server_config(tmp_path / "nowhere"))


async def test_one_model_version_in_two_repositories_is_refused(repository, tmp_path):
    write_generation(tmp_path / "other")
    with pytest.raises(StartupError, match="are the same model version"):
        App(server_config(repository, tmp_path / "other"))


async def test_several_repositories_are_served_together(repository, tmp_path):
    write_generation(tmp_path / "other", "second")
    async with App(server_config(repository, tmp_path / "other")).running() as app:
        assert [entry.name for entry in app.models] == ["judge", "second", "tiny"]


async def test_a_provider_that_is_not_there_stops_the_start(repository):
    with pytest.raises(StartupError, match="provider 'cuda' is not there"):
        App(server_config(repository, runtime=RuntimeConfig(provider="cuda")))


async def test_listening_beyond_this_machine_without_tls_warns(repository, caplog, monkeypatch):
    from stepwire_server import app as module

    monkeypatch.setattr(module.grpc, "aio", _NoPorts(module.grpc.aio))
    config = server_config(repository)
    object.__setattr__(config, "grpc_address", "0.0.0.0")
    app = App(config)
    app._make_server()
    assert any("WITHOUT TLS" in record.message for record in caplog.records)


class _NoPorts:
    """gRPC that opens no port: nothing here may listen beyond loopback."""

    def __init__(self, aio):
        self._aio = aio

    def __getattr__(self, name):
        return getattr(self._aio, name)

    def server(self, *args, **options):
        server = self._aio.server(*args, **options)
        server.add_insecure_port = lambda address: 1
        return server
