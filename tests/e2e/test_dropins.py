"""Files without a manifest in a real server: what the native calls say of them."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stepwire import Client, Task
from stepwire.v1 import generation_pb2, models_pb2
from support import dropins


@pytest.fixture
def repository(repository):
    (repository / "tagger.onnx").write_bytes(dropins.lstm())
    (repository / "cut.onnx").write_bytes(dropins.lstm()[:-50])
    return repository


async def test_they_are_listed_with_their_reasons(models):
    answer = await models.ListModels(models_pb2.ListModelsRequest())
    found = {model.name: model for model in answer.models}
    assert found["tagger"].task == models_pb2.TASK_TENSORS
    assert found["tagger"].state == models_pb2.MODEL_STATE_READY
    assert found["cut"].task == models_pb2.TASK_TENSORS
    assert found["cut"].state == models_pb2.MODEL_STATE_FAILED
    assert found["cut"].reason.startswith("FileMismatch: cut.onnx")


async def test_one_is_described(models):
    model = (await models.GetModel(models_pb2.GetModelRequest(model="tagger"))).model
    [graph] = model.graphs
    assert [(t.name, list(t.shape)) for t in graph.inputs] == [("x", [-1, 8])]
    assert [(s.input, s.output, s.start) for s in graph.states] == [
        ("h", "hn", "zeros"),
        ("c", "cn", "zeros"),
    ]
    assert model.size_bytes == len(dropins.lstm())
    assert len(model.digest) == 64


async def test_health_knows_it(channel):
    health = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name, good in (("tagger", True), ("cut", False), ("", True)):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert (answer.status == serving) == good


async def test_a_native_call_says_what_it_is_not(generation):
    request = generation_pb2.GenerateRequest(
        model="tagger", prompts=[generation_pb2.Prompt(text="a")]
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(generation.Generate(request)))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "be one for generation, got tagger, for tensors" in caught.value.details()


async def test_the_client_knows_the_task(app):
    def tasks():
        with Client(f"127.0.0.1:{app.grpc_port}") as client:
            return {model.name: model.task for model in client.models()}

    assert (await asyncio.to_thread(tasks))["tagger"] is Task.TENSORS
