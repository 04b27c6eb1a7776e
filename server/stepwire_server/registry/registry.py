"""Every model by name and version: ready, loading, or refused and why."""

import enum
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stepwire_server.errors import (
    InvalidRequest,
    ModelFailed,
    ModelLoading,
    ModelNotFound,
    StartupError,
)
from stepwire_server.metrics import Metrics
from stepwire_server.registry.loader import Lease, LoadedModel, Loader
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.signature import TensorModel
from stepwire_server.registry.stepping import Stepper
from stepwire_zoo.bundle import Bundle, open_bundle
from stepwire_zoo.errors import BundleError, GoldenMismatch
from stepwire_zoo.index import Location, find_bundles

log = logging.getLogger(__name__)

M = TypeVar("M")


class ModelState(enum.Enum):
    """Whether a model answers requests."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(kw_only=True)
class Entry:
    """One version of one model."""

    location: Location
    state: ModelState = ModelState.LOADING
    reason: str = ""  # why it failed
    bundle: Bundle | None = None  # as far as its manifest could be read
    loaded: LoadedModel | None = None

    @property
    def name(self) -> str:
        """Name that requests use."""
        return self.location.name

    @property
    def version(self) -> str:
        """Version that requests use."""
        return str(self.location.version)


class ModelRegistry:
    """Loads the bundles of its repositories and finds models for requests."""

    def __init__(self, locations: list[Location], loader: Loader, metrics: Metrics) -> None:
        self._loader = loader
        self._metrics = metrics
        self._entries = {(place.name, place.version): Entry(location=place) for place in locations}
        self._exact = {(e.name, e.version): e for e in self._entries.values()}

    def __iter__(self) -> Iterator[Entry]:
        """Goes through all versions of all models, by name, then version."""
        return iter([self._entries[key] for key in sorted(self._entries)])

    def stop(self) -> None:
        """Stops every model; work that is left fails with ShuttingDown."""
        for entry in self:
            if entry.loaded:
                entry.loaded.stop()

    def entry(self, name: str, version: str = "") -> Entry:
        """Finds a model in whatever state; no version means the latest that is ready.

        Raises:
            ModelNotFound: with the names or versions that exist.
        """
        if exact := self._exact.get((name, version)):
            return exact
        versions = [entry for entry in self if entry.name == name]
        if not versions:
            known = ", ".join(sorted({entry.name for entry in self}))
            raise ModelNotFound(f"no model {name[:64]!r}; there are: {known}")
        if not version:
            ready = [entry for entry in versions if entry.state is ModelState.READY]
            return (ready or versions)[-1]
        known = ", ".join(entry.version for entry in versions)
        raise ModelNotFound(f"no version {version[:64]!r} of model {name}; there are: {known}")

    def get(self, name: str, version: str, kind: type[M]) -> M:
        """Finds a model that answers requests of one kind.

        Raises:
            ModelNotFound, ModelLoading, ModelFailed: it cannot answer.
            InvalidRequest: it does something else.
        """
        loaded = self._loaded(name, version)
        if not isinstance(loaded.model, kind):
            raise InvalidRequest.of(
                "model", f"be one for {_task_of(kind)}", f"{name}, for {loaded.task}"
            )
        return loaded.model

    def stepper(self, name: str, version: str) -> Stepper:
        """Finds what steps sessions of a model; raises as `get`."""
        loaded = self._loaded(name, version)
        if loaded.stepper is None:
            raise InvalidRequest.of(
                "model", "be one that can be stepped", f"{name}, for {loaded.task}"
            )
        return loaded.stepper

    def origin(self, name: str, version: str) -> Origin:
        """Where the states of a model come from; raises as `get`."""
        loaded = self._loaded(name, version)
        if loaded.origin is None:
            raise InvalidRequest.of(
                "model", "be one that keeps a state", f"{name}, for {loaded.task}"
            )
        return loaded.origin

    def lease(self, name: str, version: str = "") -> Lease:
        """Holds a model that answers requests; raises as `get`."""
        return Lease(self._loaded(name, version))

    def lease_tensors(self, name: str, version: str = "") -> tuple[Lease, TensorModel]:
        """Holds a model of named tensors: a model's own name, or one more of its names.

        A model may be there under several names, for example `gru` and `gru.generate`.

        Raises:
            ModelNotFound, ModelLoading, ModelFailed: it cannot answer.
        """
        own = name
        if all(entry.name != name for entry in self):
            own = name.rpartition(".")[0] or name
        lease = self.lease(own, version)
        try:
            return lease, lease.loaded.tensors[name]
        except KeyError:
            lease.release()
            known = ", ".join(lease.loaded.tensors)
            raise ModelNotFound(f"no model {name[:64]!r}; {own} is there as: {known}") from None

    def _loaded(self, name: str, version: str) -> LoadedModel:
        entry = self.entry(name, version)
        if entry.loaded is None:
            if entry.state is ModelState.LOADING:
                raise ModelLoading(f"model {name} version {entry.version} is being loaded")
            raise ModelFailed(f"model {name} version {entry.version} is refused: {entry.reason}")
        return entry.loaded

    def load(self, entry: Entry) -> None:
        """Loads one bundle; a refused one says why in its entry."""
        place = entry.location
        fields = {"model": place.name, "version": place.version}
        try:
            entry.loaded = self._load(entry)
        except BundleError as error:
            self._refuse(entry, type(error).__name__, f"{type(error).__name__}: {error}")
            log.error("bundle refused", extra={**fields, "reason": entry.reason})
        except Exception:
            self._refuse(entry, "InternalError", "internal error")
            log.exception("bundle could not be loaded", extra=fields)
        else:
            self._announce(entry.loaded)
            entry.state = ModelState.READY
            log.info("model ready", extra={**fields, "load_s": round(entry.loaded.load_seconds, 3)})

    def _load(self, entry: Entry) -> LoadedModel:
        if entry.location.graph is not None:
            return self._loader.load_graph(entry.location)
        entry.bundle = open_bundle(entry.location.folder)
        _check_place(entry.bundle, entry.location)
        return self._loader.load(entry.bundle)

    def _refuse(self, entry: Entry, kind: str, reason: str) -> None:
        entry.reason, entry.state = reason, ModelState.FAILED
        self._metrics.models_refused.labels(kind).inc()
        if kind == GoldenMismatch.__name__:
            self._metrics.golden_failures.labels(entry.name, entry.version).inc()

    def _announce(self, loaded: LoadedModel) -> None:
        labels = (loaded.name, loaded.version)
        info = (*labels, loaded.task, loaded.provider, loaded.digest[:12])
        self._metrics.model_info.labels(*info).set(1)
        self._metrics.model_load_seconds.labels(*labels).set(loaded.load_seconds)


def find_models(repositories: tuple[Path, ...]) -> list[Location]:
    """Lists the bundles of all repositories.

    Raises:
        StartupError: a repository cannot be read, holds no bundle, or holds a model
            version that another one holds too.
    """
    found: dict[tuple[str, int], Location] = {}
    for repository in repositories:
        try:
            places = find_bundles(repository)
        except OSError as error:
            message = f"model repository {repository} cannot be read: {error.strerror}"
            raise StartupError(message) from error
        if not places:
            raise StartupError(
                f"model repository {repository} holds no model: expected "
                "<name>/<version>/manifest.json, <name>/<version>/model.onnx or <name>.onnx"
            )
        for place in places:
            other = found.setdefault((place.name, place.version), place)
            if other is not place:
                both = [str(each.graph or each.folder) for each in (other, place)]
                raise StartupError(f"{both[0]} and {both[1]} are the same model version")
    return list(found.values())


def _check_place(bundle: Bundle, place: Location) -> None:
    """A bundle that was moved to another name would answer under a wrong one."""
    spec = bundle.manifest
    if (spec.name, spec.version) != (place.name, str(place.version)):
        raise BundleError(
            f"its manifest is of {spec.name} version {spec.version}, "
            f"but it lies under {place.name}/{place.version}"
        )


def _task_of(kind: type) -> str:
    return kind.__name__.removesuffix("Model").lower()
