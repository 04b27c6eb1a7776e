"""Every model by name and version: ready, loading, or refused and why.

Lives on the event loop's thread; models are loaded and stopped beside it.
"""

import asyncio
import enum
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from stepwire_server.errors import (
    InvalidRequest,
    ModelFailed,
    ModelLoading,
    ModelNotFound,
    ShuttingDown,
)
from stepwire_server.metrics import Metrics
from stepwire_server.registry import memory
from stepwire_server.registry.loaded import Lease, LoadedModel
from stepwire_server.registry.loader import Loader
from stepwire_server.registry.signature import TensorModel
from stepwire_zoo.bundle import Bundle, open_bundle
from stepwire_zoo.errors import BundleError, GoldenMismatch
from stepwire_zoo.index import Location

log = logging.getLogger(__name__)

M = TypeVar("M")
T = TypeVar("T")

LOADS_AT_ONCE = 2
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0  # between two loads that calls ask for


class ModelState(enum.Enum):
    """Whether a model answers requests."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(kw_only=True, eq=False)
class Entry:
    """One version of one model."""

    location: Location
    state: ModelState = ModelState.LOADING
    reason: str = ""  # why it failed, or why what serves is not what lies in the repository
    bundle: Bundle | None = None  # as far as its manifest could be read
    loaded: LoadedModel | None = None
    failures: int = 0  # loads in a row that failed
    retry_at: float = 0.0  # of the monotonic clock: no call has it loaded again before
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
        self._versions: dict[str, list[Entry]] = {}  # by name, ascending
        self._retired: set[LoadedModel] = set()  # they run until their callers are done
        self._burials: set[asyncio.Task[None]] = set()
        # Texts are tokenised on asyncio's own threads: loads must not take all of those.
        self._threads = ThreadPoolExecutor(LOADS_AT_ONCE, "loading")
        self._stopped = False
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
        return list(self._versions.get(name, ()))

    def put(self, location: Location, state: ModelState = ModelState.LOADING) -> Entry:
        """Gives the entry of a model version, a new one if there is none."""
        key = (location.name, location.version)
        entry = self._entries.get(key)
        if entry is None:
            entry = Entry(location=location, state=state, bundle=_described(location))
            self._entries[key] = entry
            self._exact[entry.name, entry.version] = entry
            versions = [*self.of(entry.name), entry]
            self._versions[entry.name] = sorted(versions, key=lambda e: e.location.version)
        entry.location = location
        return entry

    def forget(self, entry: Entry) -> None:
        """Removes an entry; its model runs until its callers are done."""
        self.unload(entry)
        self._entries.pop((entry.location.name, entry.location.version), None)
        self._exact.pop((entry.name, entry.version), None)
        self._versions[entry.name] = [e for e in self.of(entry.name) if e is not entry]
        if not self._versions[entry.name]:
            del self._versions[entry.name]
        self._metrics.forget_model(entry.name, entry.version)

    async def stop(self) -> None:
        """Stops every model; work that is left fails with ShuttingDown."""
        self._stopped = True
        for loaded in [*(entry.loaded for entry in self), *self._retired]:
            if loaded:
                await asyncio.to_thread(loaded.stop)

    async def ended(self) -> None:
        """Returns once nothing is being loaded or stopped; nothing may be begun any more."""
        while self._burials:
            await asyncio.wait(self._burials)
        self._threads.shutdown()

    def entry(self, name: str, version: str = "") -> Entry:
        """Finds a model in whatever state; no version means the latest that answers.

        Raises:
            ModelNotFound: with the names or versions that exist.
        """
        if exact := self._exact.get((name, version)):
            return exact
        versions = self.of(name)
        if not versions:
            known = ", ".join(sorted(self._versions)) or "none"
            raise ModelNotFound(f"no model {name[:64]!r}; there are: {known}")
        if not version:
            answering = [e for e in versions if e.loaded or self.may_wake(e)]
            return (answering or versions)[-1]
        known = ", ".join(entry.version for entry in versions)
        raise ModelNotFound(f"no version {version[:64]!r} of model {name}; there are: {known}")

    @asynccontextmanager
    async def use(self, name: str, version: str, kind: type[M]) -> AsyncIterator[M]:
        """Holds a model that answers requests of one kind.

        Raises:
            ModelNotFound, ModelLoading, ModelFailed: it cannot answer.
            InvalidRequest: it does something else.
        """
        with await self.hold(name, version) as loaded:
            model = loaded.answering(kind)
            if model is None:
                allowed = f"be one for {_task_of(kind)}"
                raise InvalidRequest.of("model", allowed, f"{name}, for {loaded.task}")
            yield model

    async def wake(self, name: str, version: str = "") -> None:
        """Has a model loaded that is not, where that happens on first use.

        Raises:
            ModelNotFound: there is none.
        """
        while self.waking is not None:
            entry = self.entry(self._own_name(name), version)
            if not self.may_wake(entry):
                return
            # What was loaded may be gone again, or refused while an older version is not.
            await self.waking(entry)

    def may_wake(self, entry: Entry) -> bool:
        """Whether the next call that wants a model has it loaded."""
        if self.waking is None or entry.loaded:
            return False
        return entry.state is not ModelState.FAILED or time.monotonic() >= entry.retry_at

    async def hold(self, name: str, version: str = "") -> Lease:
        """Holds a model that answers requests, once it is loaded; raises as `lease`."""
        await self.wake(name, version)
        # Nothing comes in between: who was just loaded for one caller cannot make room yet.
        return self.lease(name, version)

    def current(self, name: str, version: str = "") -> LoadedModel | None:
        """What a new caller would get now, if it is loaded."""
        try:
            return self.entry(name, version).loaded
        except ModelNotFound:
            return None

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
                why = f": {entry.reason}" if entry.reason else ""
                raise ModelNotFound(f"model {name} version {entry.version} is not loaded{why}")
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
        if name in self._versions:
            return name
        return name.rpartition(".")[0] or name

    async def load(self, entry: Entry) -> bool:
        """Loads what lies in an entry's folder; says whether it serves now.

        What served before goes on until the new one is proved, and after that for those who
        began with it. One that is refused says why in its entry.

        Raises:
            ShuttingDown: it would come too late.
        """
        async with entry.loading:
            if entry.loaded is None:
                entry.state = ModelState.LOADING
            bundle, loaded, refusal = await self.beside(self._try, entry.location)
            if self._stopped:
                if loaded:
                    await self.beside(loaded.stop)
                raise ShuttingDown("the server is shutting down")
            entry.bundle = bundle if loaded or not entry.loaded else entry.bundle
            if loaded is None:
                self._refuse(entry, *refusal)
                return False
            before, entry.loaded = entry.loaded, loaded
            entry.state, entry.reason, entry.failures = ModelState.READY, "", 0
            self._metrics.model_loads.labels("loaded").inc()
            if before:
                self._retire(before)
            self._announce(loaded)
            return True

    async def beside(self, function: Callable[..., T], *given: object) -> T:
        """Runs what reads folders or loads models beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *given)

    def unload(self, entry: Entry, reason: str = "") -> None:
        """Takes a model away from new callers; it runs until those that it has are done."""
        before, entry.loaded = entry.loaded, None
        entry.state, entry.reason = ModelState.UNLOADED, reason
        entry.failures, entry.retry_at = 0, 0.0
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
        made = {"threads": loaded.threads, "load_s": round(loaded.load_seconds, 3)}
        log.info("model ready", extra={**fields, **made})
        return bundle, loaded, ("", "")

    def _refuse(self, entry: Entry, kind: str, reason: str) -> None:
        entry.failures += 1
        pause_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2.0 ** (entry.failures - 1))
        entry.retry_at = time.monotonic() + pause_s
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


def _described(place: Location) -> Bundle | None:
    """What a bundle says of itself before it is loaded, if that can be read."""
    try:
        return open_bundle(place.folder)
    except BundleError:
        return None


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
