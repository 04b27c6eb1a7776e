"""A loaded bundle's models of named tensors, asked without a wire."""

import asyncio

import numpy as np
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.engine.tensors import Asked
from stepwire_server.metrics import Metrics
from stepwire_server.registry.loader import Loader
from stepwire_zoo.bundle import open_bundle


def load(folder, **batching):
    """Loads a bundle as a server does; call it in a running event loop."""
    loader = Loader(
        batching=BatchingConfig(**{"max_rows": 8, **batching}),
        runtime=RuntimeConfig(),
        metrics=Metrics(CollectorRegistry()),
        post=asyncio.get_running_loop().call_soon_threadsafe,
    )
    return loader.load(open_bundle(folder))


def asked_of(model, tensors, *, states=None, wanted=None, **settings):
    first = next(iter(tensors.values()))
    names = [spec.name for spec in model.signature.outputs]
    rows = len(first) if model.signature.max_rows else 1
    return Asked(tensors=tensors, rows=rows, wanted=wanted or names, states=states, **settings)


async def ask(model, tensors, **settings):
    """Asks once and waits for the answer; raises what it fails with."""
    found = asyncio.get_running_loop().create_future()
    model.begin(asked_of(model, tensors, **settings), found.set_result, found.set_exception)
    return await found


async def parts_of(model, tensors, **settings):
    return [part async for part in model.stream(asked_of(model, tensors, **settings))]


def texts(*values):
    """Texts as a tensor [N, 1]."""
    return np.array([[value.encode()] for value in values], object)
