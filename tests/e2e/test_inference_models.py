"""What the Open Inference Protocol tells of the server and its models."""

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from e2e.test_inference_infer import refusal
from stepwire_server.oip import inference_pb2 as pb
from support.inference import infer_request, token_step

SERVICE = "inference.GRPCInferenceService"


async def test_the_server_is_live_and_ready(oip, channel):
    assert (await oip.ServerLive(pb.ServerLiveRequest())).live
    assert (await oip.ServerReady(pb.ServerReadyRequest())).ready
    health = health_pb2_grpc.HealthStub(channel)
    told = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert told.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("tiny", "", True), ("judge.classify", "1", True), ("tiny", "2", False), ("x", "", False)],
)
async def test_a_model_is_ready_if_it_answers(oip, name, version, ready):
    told = await oip.ModelReady(pb.ModelReadyRequest(name=name, version=version))
    assert told.ready is ready


async def test_versions_are_the_same_everywhere(oip):
    told = await oip.ModelMetadata(pb.ModelMetadataRequest(name="tiny"))
    statistics = await oip.ModelStatistics(pb.ModelStatisticsRequest(name="tiny"))
    index = await oip.RepositoryIndex(pb.RepositoryIndexRequest())
    response = await oip.ModelInfer(token_step(1, 1, sequence_start=True))
    [version] = told.versions
    assert version == response.model_version == statistics.model_stats[0].version
    assert version == next(model.version for model in index.models if model.name == "tiny")


async def test_a_model_of_sequences_says_so(oip):
    config = (await oip.ModelConfig(pb.ModelConfigRequest(name="tiny"))).config
    assert config.WhichOneof("scheduling_choice") == "sequence_batching"
    assert config.sequence_batching.max_sequence_idle_microseconds == 3_600_000_000
    pairs = [(s.input_name, s.output_name, list(s.dims)) for s in config.sequence_batching.state]
    assert pairs == [("h", "h_next", [8]), ("c", "c_next", [8])]
    assert config.max_batch_size == 8
    assert [list(given.dims) for given in config.input] == [[-1]]


async def test_a_model_of_many_answers_says_so(oip):
    config = (await oip.ModelConfig(pb.ModelConfigRequest(name="tiny.generate"))).config
    assert config.model_transaction_policy.decoupled
    assert config.max_batch_size == 0
    assert [(given.name, given.optional) for given in config.input] == [
        ("text_input", False),
        ("sampling_parameters", True),
        ("stream", True),
    ]


async def test_counters_grow_with_what_is_done(oip):
    async def counted():
        told = await oip.ModelStatistics(pb.ModelStatisticsRequest(name="judge"))
        return told.model_stats[0]

    before = await counted()
    for rows in (1, 3):
        tokens = np.ones((rows, 4), np.int64)
        await oip.ModelInfer(infer_request("judge", {"tokens": tokens}))
    after = await counted()
    assert (before.inference_count, after.inference_count) == (0, 4)
    assert after.execution_count >= 1
    assert after.last_inference > 1_600_000_000_000
    stats = after.inference_stats
    for each in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert getattr(stats, each).count == 2
    assert stats.success.ns >= stats.compute_infer.ns > 0


async def test_steps_say_how_many_shared_their_run(oip):
    for id in (1, 2, 3):
        await oip.ModelInfer(token_step(1, id, sequence_start=True))
    told = await oip.ModelStatistics(pb.ModelStatisticsRequest(name="tiny"))
    [stats] = told.model_stats
    assert stats.inference_count == 3
    assert sum(b.batch_size * b.compute_infer.count for b in stats.batch_stats) == 3


async def test_every_name_of_every_model_is_listed(oip):
    index = await oip.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
    assert [(model.name, model.state) for model in index.models] == [
        (name, "READY")
        for name in ("judge", "judge.classify", "tiny", "tiny.explicit", "tiny.generate")
    ]


async def test_a_model_that_was_refused_says_why(repository, app, oip):
    (repository / "tiny/1/step.onnx").write_bytes(b"broken")
    await app.models.load(app.models.entry("tiny"))
    index = await oip.RepositoryIndex(pb.RepositoryIndexRequest())
    [told] = [model for model in index.models if model.name == "tiny"]
    assert told.state == "READY"
    assert "the last load failed" in told.reason


async def test_models_are_loaded_only_where_that_is_allowed(oip):
    code, told = await refusal(
        oip.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="tiny"))
    )
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "explicit" in told


async def test_nobody_brings_a_model_along(oip):
    request = pb.RepositoryModelLoadRequest(model_name="tiny")
    request.parameters["file:1/model.onnx"].bytes_param = b"x"
    code, told = await refusal(oip.RepositoryModelLoad(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "files stay where they are" in told


async def test_what_is_not_done_here_is_unimplemented(oip):
    calls = [
        oip.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest()),
        oip.SystemSharedMemoryRegister(pb.SystemSharedMemoryRegisterRequest()),
        oip.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest()),
        oip.CudaSharedMemoryStatus(pb.CudaSharedMemoryStatusRequest()),
        oip.CudaSharedMemoryRegister(pb.CudaSharedMemoryRegisterRequest()),
        oip.CudaSharedMemoryUnregister(pb.CudaSharedMemoryUnregisterRequest()),
        oip.RepositoryIndex(pb.RepositoryIndexRequest(repository_name="other")),
    ]
    for call in calls:
        assert (await refusal(call))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_the_protocol_can_be_asked_for(channel):
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
    await call.write(request)
    told = await call.read()
    assert SERVICE in [service.name for service in told.list_services_response.service]
    call.cancel()
