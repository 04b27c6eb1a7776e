"""A real server on a real port, with tiny models or with some that are published."""

from contextlib import contextmanager

import grpc
import numpy as np
import pytest

from stepwire.v1 import (
    embeddings_pb2_grpc,
    generation_pb2_grpc,
    labeling_pb2_grpc,
    models_pb2_grpc,
    sessions_pb2_grpc,
    streaming_pb2_grpc,
)
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, ServerConfig
from stepwire_server.oip import inference_pb2_grpc
from support.alone import Alone
from support.background import background
from support.evaluating import ROOT
from support.tiny import write_classification, write_generation

ZOO = ROOT / "model_zoo/bundles"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_generation(folder)
    write_classification(folder)
    return folder


@pytest.fixture
def config(repository):
    """Settings; a test that needs others overrides this with its own."""
    return server_config(repository)


def server_config(*repositories, **settings):
    settings.setdefault("batching", BatchingConfig(max_rows=8))
    settings.setdefault("metrics", False)
    return ServerConfig(
        model_repositories=repositories, grpc_port=0, metrics_port=0, exit_timeout_s=1, **settings
    )


def some_of_zoo(folder, *names):
    """Makes a repository of these published bundles, which loads faster than all of them."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).symlink_to(ZOO / name)
    return folder


@contextmanager
def zoo_served(folder, *names, max_rows=BatchingConfig.max_rows):
    """Serves these published bundles alone; gives the address."""
    config = server_config(some_of_zoo(folder, *names), batching=BatchingConfig(max_rows=max_rows))
    with background(config) as (app, _):
        assert [entry.reason for entry in app.models if entry.reason] == []
        yield f"127.0.0.1:{app.grpc_port}"


@pytest.fixture
async def app(config):
    async with App(config).running() as app:
        yield app


@pytest.fixture
async def channel(app):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel:
        yield channel


@pytest.fixture
def generation(channel):
    return generation_pb2_grpc.GenerationServiceStub(channel)


@pytest.fixture
def labeling(channel):
    return labeling_pb2_grpc.LabelingServiceStub(channel)


@pytest.fixture
def embeddings(channel):
    return embeddings_pb2_grpc.EmbeddingServiceStub(channel)


@pytest.fixture
def models(channel):
    return models_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture
def desk(channel):
    return sessions_pb2_grpc.SessionServiceStub(channel)


@pytest.fixture
def stub(channel):
    return streaming_pb2_grpc.StreamingServiceStub(channel)


@pytest.fixture
def oip(channel):
    """The Open Inference Protocol."""
    return inference_pb2_grpc.GRPCInferenceServiceStub(channel)


@pytest.fixture
def alone(repository):
    """What the tiny graph gives for some tokens by itself, step by step."""

    def run(tokens):
        told, _ = Alone(repository / "tiny/1").run(tokens)
        return [np.array(step["logits"], np.float32) for step in told]

    return run
