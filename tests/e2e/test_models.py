import grpc
import pytest

from stepwire.v1 import models_pb2 as pb
from support.calls import a_request, error_info, generate
from support.tiny import TinyCell, edit_manifest, write_generation


@pytest.fixture
def repository(repository):
    """The two good models, and five that must be refused."""
    (write_generation(repository, "short") / "step.onnx").write_bytes(b"cut")
    tampered = write_generation(repository, "tampered") / "tokenizer.json"
    tampered.write_bytes(tampered.read_bytes() + b" ")
    edit_manifest(write_generation(repository, "future"), lambda m: m.update(format=2))
    write_generation(repository, "wrong", cell=WrongCell())
    write_generation(repository, "moved").parent.rename(repository / "elsewhere")
    return repository


class WrongCell(TinyCell):
    """Its graph does not give the numbers that it publishes."""

    def graph(self):
        self.output = self.output * 1.01
        return super().graph()


REFUSED = {
    "short": "FileMismatch: step.onnx has 3 bytes",
    "tampered": "FileMismatch: tokenizer.json has",
    "future": "FormatUnknown: format is 2, this version reads 1",
    "wrong": "GoldenMismatch: golden logits, 1 rows, step 0",
    "elsewhere": "BundleError: its manifest is of moved version 1",
}


async def test_every_model_is_listed_and_a_refused_one_says_why(models):
    listed = (await models.ListModels(pb.ListModelsRequest())).models
    assert [model.name for model in listed] == sorted([*REFUSED, "judge", "tiny"])
    for model in listed:
        ready = model.name not in REFUSED
        assert model.state == (pb.MODEL_STATE_READY if ready else pb.MODEL_STATE_FAILED)
        assert model.reason.startswith("" if ready else REFUSED[model.name])
        assert bool(model.reason) != ready


async def test_a_refused_model_answers_with_its_reason_and_the_others_serve(generation):
    with pytest.raises(grpc.aio.AioRpcError, match="GoldenMismatch") as raised:
        await generate(generation, a_request("a", model="wrong"))
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error_info(raised.value).reason == "MODEL_FAILED"
    assert await generate(generation, a_request("a"))


async def test_a_model_describes_itself(models):
    model = (await models.GetModel(pb.GetModelRequest(model="tiny"))).model
    assert model.summary.task == pb.TASK_GENERATION
    assert model.limits.max_new_tokens == 4096
    assert model.limits.vocabulary_size == 29
    assert model.provider == "CPUExecutionProvider"
    [graph] = model.graphs
    assert [(state.input, state.output, list(state.shape)) for state in graph.states] == [
        ("h", "h_next", [8]),
        ("c", "c_next", [8]),
    ]
    assert model.metrics[0].unit == "nats/character"
    assert len(model.digest) == 64
    assert model.load_seconds > 0


async def test_a_model_without_a_readable_manifest_is_described_by_its_reason(models):
    model = (await models.GetModel(pb.GetModelRequest(model="future"))).model
    assert "format is 2" in model.summary.reason
    assert not model.graphs


async def test_the_latest_version_answers_unless_another_is_named(models, app):
    judge = (await models.GetModel(pb.GetModelRequest(model="judge", version="1"))).model
    assert judge.labels == ["negative", "positive"]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await models.GetModel(pb.GetModelRequest(model="nope"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
