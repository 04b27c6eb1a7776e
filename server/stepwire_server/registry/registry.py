"""Every model by name and version: ready, loading, or refused and why.

Lives on the event loop's thread; models are loaded and stopped beside it.
"""

import asyncio
import enum
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from stepwire_server.errors import InvalidRequest, ModelFailed, ModelLoading, ModelNotFound
from stepwire_server.metrics import Metrics
from stepwire_server.registry import memory
from stepwire_server.registry.loader import Lease, LoadedModel, Loader
from stepwire_server.registry.signature import TensorModel
from stepwire_zoo.bundle import Bundle, open_bundle
from stepwire_zoo.errors import BundleError, GoldenMismatch
from stepwire_zoo.index import Location

log = logging.getLogger(__name__)

M = TypeVar("M")


class ModelState(enum.Enum):
    """Whether a model answers requests."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(kw_only=True)
class Entry:
    """One version of one model."""

    location: Location
    state: ModelState = ModelState.LOADING
    reason: str = ""  # why it failed, or why what serves is not what lies in the repository
    bundle: Bundle | None = None  # as far as its manifest could be read
    loaded: LoadedModel | None = None
    failed_at: float = 0.0  # of the monotonic clock
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """Name that requests use."""
        return self.location.name

    @property
    def version(self) -> str:
        """Version that requests use."""
        return str(self.location.version)


class ModelRegistry:
    """Holds models, finds them for requests, and puts new ones in the place of old ones."""

    def __init__(self, loader: Loader, metrics: Metrics) -> None:
        self._loader = loader
        self._metrics = metrics
        self._entries: dict[tuple[str, int], Entry] = {}
        self._exact: dict[tuple[str, str], Entry] = {}
        self._retired: set[LoadedModel] = set()  # they run until their callers are done
        self._burials: set[asyncio.Task[None]] = set()
        # Loads a model that somebody asks for; set where models are loaded on first use.
        self.waking: Callable[[Entry], Awaitable[None]] | None = None

    def __iter__(self) -> Iterator[Entry]:
        """Goes through all versions of all models, by name, then version."""
        return iter([self._entries[key] for key in sorted(self._entries)])

    @property
    def is_any_retired(self) -> bool:
        """Whether a model that was replaced or taken away still has callers."""
        return bool(self._retired)

    def of(self, name: str) -> list[Entry]:
        """The versions of one model, ascending."""
        return [entry for entry in self if entry.name == name]

    def put(self, location: Location, state: ModelState = ModelState.LOADING) -> Entry:
        """Gives the entry of a model version, a new one if there is none."""
        key = (location.name, location.version)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(location=location, state=state)
            self._exact[entry.name, entry.version] = entry
        entry.location = location
        return entry

    def forget(self, entry: Entry) -> None:
        """Removes an entry; its model runs until its callers are done."""
        self.unload(entry)
        self._entries.pop((entry.location.name, entry.location.version), None)
        self._exact.pop((entry.name, entry.version), None)

    def stop(self) -> None:
        """Stops every model; work that is left fails with ShuttingDown."""
        for loaded in [*(entry.loaded for entry in self), *self._retired]:
            if loaded:
                loaded.stop()

    def entry(self, name: str, version: str = "") -> Entry:
        """Finds a model in whatever state; no version means the latest that is ready.

        Raises:
            ModelNotFound: with the names or versions that exist.
        """
        if exact := self._exact.get((name, version)):
            return exact
        versions = self.of(name)
        if not versions:
            known = ", ".join(sorted({entry.name for entry in self}))
            raise ModelNotFound(f"no model {name[:64]!r}; there are: {known}")
        if not version:
            ready = [entry for entry in versions if entry.state is ModelState.READY]
            return (ready or versions)[-1]
        known = ", ".join(entry.version for entry in versions)
        raise ModelNotFound(f"no version {version[:64]!r} of model {name}; there are: {known}")

    @asynccontextmanager
    async def use(self, name: str, version: str, kind: type[M]) -> AsyncIterator[M]:
        """Holds a model that answers requests of one kind.

        Raises:
            ModelNotFound, ModelLoading, ModelFailed: it cannot answer.
            InvalidRequest: it does something else.
        """
        await self.wake(name, version)
        with self.lease(name, version) as loaded:
            if not isinstance(loaded.model, kind):
                allowed = f"be one for {_task_of(kind)}"
                raise InvalidRequest.of("model", allowed, f"{name}, for {loaded.task}")
            yield loaded.model

    async def wake(self, name: str, version: str = "") -> None:
        """Has a model loaded that is not, where that happens on first use.

        Raises:
            ModelNotFound: there is none.
        """
        if self.waking is None:
            return
        entry = self.entry(self._own_name(name), version)
        if entry.loaded is None:
            await self.waking(entry)

    def lease(self, name: str, version: str = "") -> Lease:
        """Holds a model that answers requests.

        Raises:
            ModelNotFound, ModelLoading, ModelFailed: it cannot answer.
        """
        entry = self.entry(name, version)
        if entry.loaded is None:
            if entry.state is ModelState.LOADING:
                raise ModelLoading(f"model {name} version {entry.version} is being loaded")
            if entry.state is ModelState.UNLOADED:
                raise ModelNotFound(f"model {name} version {entry.version} is not loaded")
            raise ModelFailed(f"model {name} version {entry.version} is refused: {entry.reason}")
        return Lease(entry.loaded)

    def lease_tensors(self, name: str, version: str = "") -> tuple[Lease, TensorModel]:
        """Holds a model of named tensors: a model's own name, or one more of its names.

        A model may be there under several names, for example `gru` and `gru.generate`.

        Raises:
            ModelNotFound, ModelLoading, ModelFailed: it cannot answer.
        """
        own = self._own_name(name)
        lease = self.lease(own, version)
        try:
            return lease, lease.loaded.tensors[name]
        except KeyError:
            lease.release()
            known = ", ".join(lease.loaded.tensors)
            raise ModelNotFound(f"no model {name[:64]!r}; {own} is there as: {known}") from None

    def _own_name(self, name: str) -> str:
        if any(entry.name == name for entry in self._entries.values()):
            return name
        return name.rpartition(".")[0] or name

    async def load(self, entry: Entry) -> bool:
        """Loads what lies in an entry's folder; says whether it serves now.

        What served before goes on until the new one is proved, and after that for those who
        began with it. One that is refused says why in its entry.
        """
        async with entry.loading:
            if entry.loaded is None:
                entry.state = ModelState.LOADING
            bundle, loaded, refusal = await asyncio.to_thread(self._try, entry.location)
            entry.bundle = bundle if loaded or not entry.loaded else entry.bundle
            if loaded is None:
                self._refuse(entry, *refusal)
                return False
            before, entry.loaded = entry.loaded, loaded
            entry.state, entry.reason = ModelState.READY, ""
            self._metrics.model_loads.labels("loaded").inc()
            if before:
                self._retire(before)
            self._announce(loaded)
            return True

    def unload(self, entry: Entry) -> None:
        """Takes a model away from new callers; it runs until those that it has are done."""
        before, entry.loaded = entry.loaded, None
        entry.state, entry.reason = ModelState.UNLOADED, ""
        if before:
            self._metrics.model_unloads.inc()
            self._retire(before)

    def _try(self, place: Location) -> tuple[Bundle | None, LoadedModel | None, tuple[str, str]]:
        """Loads a model, on a thread beside; or gives the kind of the error, and why."""
        fields = {"model": place.name, "version": place.version}
        bundle = None
        try:
            if place.graph is None:
                bundle = open_bundle(place.folder)
                _check_place(bundle, place)
                loaded = self._loader.load(bundle)
            else:
                loaded = self._loader.load_graph(place)
        except BundleError as error:
            kind = type(error).__name__
            log.error("bundle refused", extra={**fields, "reason": f"{kind}: {error}"})
            return bundle, None, (kind, f"{kind}: {error}")
        except Exception:
            log.exception("bundle could not be loaded", extra=fields)
            return bundle, None, ("InternalError", "internal error")
        log.info("model ready", extra={**fields, "load_s": round(loaded.load_seconds, 3)})
        return bundle, loaded, ("", "")

    def _refuse(self, entry: Entry, kind: str, reason: str) -> None:
        entry.failed_at = time.monotonic()
        if entry.loaded:
            entry.reason = f"what was loaded before still serves; the last load failed: {reason}"
        else:
            entry.reason, entry.state = reason, ModelState.FAILED
        self._metrics.model_loads.labels("refused").inc()
        self._metrics.models_refused.labels(kind).inc()
        if kind == GoldenMismatch.__name__:
            self._metrics.golden_failures.labels(entry.name, entry.version).inc()

    def _announce(self, loaded: LoadedModel) -> None:
        self._metrics.model_info.labels(*loaded.info).set(1)
        name, version = loaded.info[:2]
        self._metrics.model_load_seconds.labels(name, version).set(loaded.load_seconds)

    def _retire(self, loaded: LoadedModel) -> None:
        self._metrics.model_info.remove(*loaded.info)
        self._retired.add(loaded)
        loaded.retire(lambda: self._bury(loaded))

    def _bury(self, loaded: LoadedModel) -> None:
        """Stops a model that nobody uses any more."""
        burial = asyncio.get_running_loop().create_task(_stopped(loaded))
        self._burials.add(burial)

        def buried(task: asyncio.Task[None]) -> None:
            self._burials.discard(task)
            self._retired.discard(loaded)

        burial.add_done_callback(buried)


async def _stopped(loaded: LoadedModel) -> None:
    await asyncio.to_thread(loaded.stop)
    log.info("model stopped", extra={"model": loaded.info[0], "version": loaded.info[1]})
    asyncio.get_running_loop().call_later(memory.AFTER_S, memory.give_back_soon)


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
