"""A registry and its lifecycle with real models, and no server around them."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig, ModelControl, RuntimeConfig
from stepwire_server.metrics import Metrics
from stepwire_server.registry.lifecycle import Lifecycle
from stepwire_server.registry.loader import Loader
from stepwire_server.registry.registry import ModelRegistry
from stepwire_zoo.bundle import open_bundle
from support.tiny import TinyCell, edit_manifest, generation_manifest, write_generation


class Shelf:
    """What is served of a repository."""

    def __init__(self, repository, **control):
        self.loads = []  # every bundle whose load was begun, by name and version
        self.changes = 0
        self.metrics = Metrics(CollectorRegistry())
        loader = _Counting(
            batching=BatchingConfig(max_rows=4),
            runtime=RuntimeConfig(),
            metrics=self.metrics,
            post=asyncio.get_running_loop().call_soon_threadsafe,
        )
        object.__setattr__(loader, "loads", self.loads)
        self.models = ModelRegistry(loader, self.metrics)
        self.lifecycle = Lifecycle(
            self.models, (repository,), ModelControl(**control), self._changed
        )

    async def _changed(self):
        self.changes += 1

    def states(self):
        """How every version stands."""
        return {f"{e.name}/{e.version}": e.state.value for e in self.models}

    def served(self, name="tiny", version=""):
        """The build that answers; held for no longer than this takes."""
        with self.models.lease(name, version) as loaded:
            return loaded.bundle.digest


class _Counting(Loader):
    """The real one, which keeps a list."""

    def load(self, bundle):
        self.loads.append(f"{bundle.manifest.name}/{bundle.manifest.version}")
        return super().load(bundle)


@asynccontextmanager
async def shelf(repository, **control):
    """A shelf whose start is over; leaving ends it."""
    one = Shelf(repository, **control)
    try:
        await one.lifecycle.begin(asyncio.Event())
        yield one
    finally:
        await one.models.stop()
        await one.lifecycle.ended()


def publish(repository, version=1, *, seed=0, name="tiny", **fields):
    """Writes one version of a tiny generator; another seed makes another build of it."""
    manifest = replace(generation_manifest(name, **fields), version=str(version))
    folder = write_generation(repository, cell=TinyCell(seed), manifest=manifest)
    return open_bundle(folder).digest


def spoil(repository, version=1, name="tiny"):
    """Makes a published version one that is refused."""
    edit_manifest(repository / name / str(version), lambda manifest: manifest.update(format=2))


def remove(repository, version=1, name="tiny"):
    """Takes a version out of a repository."""
    shutil.rmtree(repository / name / str(version))
