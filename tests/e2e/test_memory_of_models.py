"""A model that was replaced or taken away leaves nothing behind."""

import asyncio
import gc
import weakref

import pytest

from stepwire_server.config import ModelControl
from support.tiny import write_classification, write_generation
from support.tiny_series import write_forecaster
from support.tiny_translator import write_translation

from .conftest import server_config

NAMES = ("tiny", "judge", "tiny-translator", "tides")


@pytest.fixture
def config(tmp_path):
    for write in (write_generation, write_classification, write_translation, write_forecaster):
        write(tmp_path)
    return server_config(tmp_path, control=ModelControl(mode="explicit", load_at_start=NAMES))


@pytest.fixture
def no_collector():
    """The server freezes what is there at the start: no collection would find it."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def references(app, name):
    with app.models.lease(name) as loaded:
        return [weakref.ref(loaded), weakref.ref(loaded.model)]


async def gone(found):
    for _ in range(200):
        if all(reference() is None for reference in found):
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("name", NAMES)
async def test_a_model_is_freed_without_the_garbage_collector(app, no_collector, name):
    first = references(app, name)
    await app.lifecycle.load_by_name(name)
    assert await gone(first)
    second = references(app, name)
    await app.lifecycle.unload_by_name(name)
    assert await gone(second)
