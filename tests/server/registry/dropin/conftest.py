import asyncio

import pytest
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.metrics import Metrics
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.opening import Said, open_graph
from stepwire_server.registry.dropin.settings import Settings
from stepwire_server.registry.lifecycle import find_models
from stepwire_server.registry.loader import Loader
from stepwire_server.registry.registry import ModelRegistry


@pytest.fixture
def opened(tmp_path):
    """Opens the bytes of a file as the server does."""

    def open_bytes(data, settings=None, most=16):
        path = tmp_path / "model.onnx"
        path.write_bytes(data)
        return open_graph(
            Files.of(path), Said(settings=settings or Settings()), RuntimeConfig(), most
        )

    return open_bytes


@pytest.fixture
async def served():
    """Loads every model of a repository, as a server does when it starts."""
    started = []

    async def start(repository):
        metrics = Metrics(CollectorRegistry())
        loader = Loader(
            batching=BatchingConfig(max_rows=8),
            runtime=RuntimeConfig(),
            metrics=metrics,
            post=asyncio.get_running_loop().call_soon_threadsafe,
        )
        models = ModelRegistry(loader, metrics)
        started.append(models)
        for place in find_models((repository,)):
            await models.load(models.put(place))
        return models

    yield start
    for models in started:
        await models.stop()
