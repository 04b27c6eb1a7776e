"""Files without a manifest in a real server: what the native calls say of them."""

import asyncio

import grpc
import numpy as np
import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stepwire import Client, Task
from stepwire.v1 import generation_pb2, models_pb2
from stepwire_server.oip import inference_pb2, inference_pb2_grpc
from support import dropins

SUMMING = """
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }
sequence_batching {
  state { input_name: "total" output_name: "total_out" data_type: TYPE_FP32 dims: [ 1 ] }
  control_input { name: "start" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }
  control_input { name: "ready" control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } }
}
"""


@pytest.fixture
def repository(repository):
    (repository / "tagger.onnx").write_bytes(dropins.lstm())
    (repository / "cut.onnx").write_bytes(dropins.lstm()[:-50])
    (repository / "summing/1").mkdir(parents=True)
    (repository / "summing/1/model.onnx").write_bytes(dropins.resets_itself())
    (repository / "summing/config.pbtxt").write_text(SUMMING)
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


@pytest.fixture
def inference(channel):
    return inference_pb2_grpc.GRPCInferenceServiceStub(channel)


def request_for(model, **tensors):
    """A request of float32 tensors."""
    return inference_pb2.ModelInferRequest(
        model_name=model,
        inputs=[
            inference_pb2.ModelInferRequest.InferInputTensor(
                name=name, datatype="FP32", shape=value.shape
            )
            for name, value in tensors.items()
        ],
        raw_input_contents=[value.tobytes() for value in tensors.values()],
    )


def read(answer):
    return {
        output.name: np.frombuffer(raw, np.float32).reshape(output.shape)
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


async def test_sequences_step_as_pytorch_reads_them_whole(inference):
    x = np.random.default_rng(0).normal(size=(3, 5, dropins.FEATURES)).astype(np.float32)

    async def sequence(row):
        outputs = []
        for step in range(5):
            request = request_for("tagger", x=x[row : row + 1, step : step + 1])
            request.parameters["sequence_id"].int64_param = row + 1
            request.parameters["sequence_start"].bool_param = step == 0
            request.parameters["sequence_end"].bool_param = step == 4
            outputs.append(read(await inference.ModelInfer(request))["y"][:, 0])
        return np.stack(outputs, 1)

    got = np.concatenate(await asyncio.gather(*(sequence(row) for row in range(3))))
    module = dropins.LstmTagger(batch_first=True)
    with torch.no_grad():
        wanted, _, _ = module(torch.from_numpy(x), *dropins.zero_states(3))
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-5)


async def test_callers_may_keep_the_states_themselves(inference):
    x = np.random.default_rng(1).normal(size=(2, 4, dropins.FEATURES)).astype(np.float32)
    whole = read(await inference.ModelInfer(request_for("tagger.explicit", x=x)))
    states = {}
    for step in range(4):
        piece = np.ascontiguousarray(x[:, step : step + 1])
        answer = read(await inference.ModelInfer(request_for("tagger.explicit", x=piece, **states)))
        states = {"h": answer["hn"], "c": answer["cn"]}
        np.testing.assert_allclose(answer["y"][:, 0], whole["y"][:, step], atol=1e-6)
    np.testing.assert_allclose(states["c"], whole["cn"], atol=1e-6)


async def test_one_that_is_refused_says_why_here_too(inference):
    x = np.zeros((1, 1, dropins.FEATURES), np.float32)
    with pytest.raises(grpc.aio.AioRpcError, match=r"cut.onnx") as caught:
        await inference.ModelInfer(request_for("cut", x=x))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_config_pbtxt_is_given_back_as_it_is_meant(inference):
    answer = await inference.ModelConfig(inference_pb2.ModelConfigRequest(name="summing"))
    config = answer.config
    assert config.max_batch_size == 8
    assert [state.input_name for state in config.sequence_batching.state] == ["total"]
    metadata = await inference.ModelMetadata(inference_pb2.ModelMetadataRequest(name="summing"))
    assert [tensor.name for tensor in metadata.inputs] == ["x"]
    totals = []
    for step in range(3):
        request = request_for("summing", x=np.array([[2]], np.float32))
        request.parameters["sequence_id"].string_param = "a"
        request.parameters["sequence_start"].bool_param = step == 0
        totals.append(read(await inference.ModelInfer(request))["y"].item())
    assert totals == [2, 4, 6]
