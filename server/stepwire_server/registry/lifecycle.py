"""Which models are loaded, and when: at the start, on request, when a folder changes, on first use.

Lives on the event loop's thread.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from stepwire_server.config import ModelControl
from stepwire_server.errors import (
    ModelControlDisabled,
    ModelFailed,
    ModelNotFound,
    ShuttingDown,
    StartupError,
)
from stepwire_server.registry.dropin.triton_config import policy_beside
from stepwire_server.registry.policy import VersionPolicy
from stepwire_server.registry.registry import LOADS_AT_ONCE, Entry, ModelRegistry, ModelState
from stepwire_server.registry.watcher import Changes, Watcher
from stepwire_zoo.index import Location, find_bundles

log = logging.getLogger(__name__)

ALL = "*"
_ON_USE = "loads on first use"
_ON_REQUEST = "loads on request"

Changed = Callable[[], Awaitable[None]]


class Lifecycle:
    """Loads, reloads and unloads the models of some repositories."""

    def __init__(
        self,
        models: ModelRegistry,
        repositories: tuple[Path, ...],
        control: ModelControl,
        changed: Changed,
    ) -> None:
        """Looks at the repositories; loads nothing yet.

        Args:
            models: what is loaded goes there.
            repositories: folders of models.
            control: when to load what.
            changed: told after every change.

        Raises:
            StartupError: a repository cannot be read, two of them hold the same model version,
                or there is nothing to serve and nothing can come.
        """
        self._models = models
        self._repositories = repositories
        self._control = control
        self._changed = changed
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()  # whoever asked for them may have left
        try:
            self._policy = VersionPolicy.read(control.versions)
        except ValueError as error:
            raise StartupError(f"version-policy {error}") from error
        self._devices = {folder: _device_of(folder) for folder in repositories}
        found = self._scan()
        if control.mode == "none":
            _check_not_empty(repositories)
        self._watcher = Watcher(found)
        for name in set(control.load_at_start) - {ALL} - {place.name for place in found}:
            raise StartupError(f"load-model: no model {name!r} in the repositories")
        for place in self._chosen(found):
            entry = models.put(place)
            if control.lazy:
                models.unload(entry, _ON_USE)
            elif not self._is_at_start(place.name):
                models.unload(entry, _ON_REQUEST)
        if control.lazy:
            models.waking = self._wake

    async def begin(self, stop: asyncio.Event) -> None:
        """Loads what is to be there from the start, until `stop` is set."""
        due = iter(list(self._models))
        # Much of a load is ONNX Runtime's, which leaves the interpreter to another.
        await asyncio.gather(*(self._load_in_turn(due, stop) for _ in range(LOADS_AT_ONCE)))

    async def _load_in_turn(self, due: Iterator[Entry], stop: asyncio.Event) -> None:
        for entry in due:
            if stop.is_set():
                return
            if entry.state is ModelState.LOADING:
                async with self._locks[entry.name]:
                    await self._models.load(entry)
                await self._changed()

    async def ended(self) -> None:
        """Returns once nothing is being loaded or stopped, after the models were stopped."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._models.ended()

    async def load_by_name(self, name: str) -> None:
        """Loads a model's versions, those that are loaded again.

        Raises:
            ModelControlDisabled: models are not controlled this way.
            ModelNotFound: no repository has it.
            ModelFailed: a version is refused; what served before still does.
            ShuttingDown: the server is shutting down.
        """
        self._check_controlled()
        try:
            found = await self._models.beside(self._scan)
        except StartupError as error:  # a disk that hiccups
            log.warning("repositories cannot be read", extra={"reason": str(error)})
            raise ModelFailed("the model repositories cannot be read now") from error
        places = [place for place in found if place.name == name]
        if not places:
            raise ModelNotFound(f"no repository holds a model {name[:64]!r}")
        await self._to_the_end(self._bring(name, places, places))
        refused = [entry for entry in self._models.of(name) if entry.failures]
        if refused:
            reasons = "; ".join(f"version {e.version}: {e.reason}" for e in refused)
            raise ModelFailed(f"model {name}: {reasons}")

    async def unload_by_name(self, name: str) -> None:
        """Unloads a model; who uses it is served to the end.

        Raises:
            ModelControlDisabled: models are not controlled this way.
            ModelNotFound: there is none of the name.
        """
        self._check_controlled()
        if not self._models.of(name):
            raise ModelNotFound(f"no model {name[:64]!r} is there")
        await self._to_the_end(self._unload(name))

    async def watch(self) -> None:
        """Follows the repositories for ever, if that is wanted."""
        while self._control.mode == "poll":
            await asyncio.sleep(self._control.poll_s)
            try:
                await self.follow()
            except ShuttingDown:
                return
            except Exception:  # a disk that hiccups must not end the watch
                log.exception("repositories could not be followed")

    async def follow(self) -> None:
        """Does what changed in the repositories since the last look and is quiet by now."""
        try:
            changes = await self._models.beside(self._look)
        except (OSError, StartupError) as error:
            log.warning("repositories cannot be read", extra={"reason": str(error)})
            return
        for name in sorted({place.name for place in (*changes.came, *changes.went)}):
            came = [place for place in changes.came if place.name == name]
            await self._to_the_end(self._bring(name, self._watcher.settled(name), came))

    async def make_room(self, newest: Entry | None = None) -> None:
        """Unloads who was not used for longest, if more are loaded than may be."""
        most = self._control.max_loaded
        loaded = [(e.loaded.used_at, e) for e in self._models if e.loaded]
        surplus = len(loaded) - most if most else 0
        if surplus <= 0:
            return
        idle = [(u, e) for u, e in loaded if e.loaded and not e.loaded.users and e is not newest]
        for _, entry in sorted(idle, key=lambda found: found[0])[:surplus]:
            self._models.unload(entry, _ON_USE)
        await self._changed()

    async def _bring(
        self, name: str, places: Sequence[Location], again: Collection[Location]
    ) -> None:
        """Makes a model what its repositories and the policy say: what comes first, then what goes.

        Args:
            name: of the model.
            places: all its versions that there are.
            again: those to load although they are loaded.
        """
        async with self._locks[name]:
            chosen, whole = self._chosen(places), True
            for place in chosen:
                entry = self._models.put(place)
                if entry.loaded and place not in again:
                    continue
                if self._control.lazy and not entry.loaded:
                    self._models.unload(entry, _ON_USE)
                    continue
                whole &= await self._models.load(entry)
                await self._changed()
            # While what should serve is refused, what does is kept as long as it is there.
            kept = {place.version for place in (chosen if whole else places)}
            for entry in self._models.of(name):
                if entry.location.version not in kept:
                    self._models.forget(entry)
        await self._changed()

    async def _unload(self, name: str) -> None:
        async with self._locks[name]:
            for entry in self._models.of(name):
                self._models.unload(entry, "unloaded on request")
        await self._changed()

    async def _wake(self, entry: Entry) -> None:
        """Loads a model that somebody asks for; all who ask at once wait for one load."""
        await self._to_the_end(self._load_once(entry))

    async def _load_once(self, entry: Entry) -> None:
        async with self._locks[entry.name]:
            if not self._models.may_wake(entry):
                return
            await self._models.load(entry)
            await self.make_room(entry)
        await self._changed()

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Does work that goes on when its caller leaves: nobody else would take what it loads."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        await asyncio.shield(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # was told to its caller, if that has not left

    def _check_controlled(self) -> None:
        if self._control.mode != "explicit":
            raise ModelControlDisabled(
                "models are loaded and unloaded on request only with --model-control-mode "
                f"explicit; it is {self._control.mode}"
            )

    def _is_at_start(self, name: str) -> bool:
        named = self._control.load_at_start
        return self._control.mode != "explicit" or name in named or ALL in named

    def _chosen(self, places: Sequence[Location]) -> list[Location]:
        """The versions that are to be served, of those that there are."""
        by_name: defaultdict[str, list[Location]] = defaultdict(list)
        for place in places:
            by_name[place.name].append(place)
        return [
            place
            for some in by_name.values()
            for place in (policy_beside(some[-1]) or self._policy).choose(some)
        ]

    def _scan(self) -> list[Location]:
        return find_models(self._repositories)

    def _look(self) -> Changes:
        for folder, device in self._devices.items():
            # Where a disk is not mounted lies an empty folder, which says nothing of models.
            if _device_of(folder) != device and not any(folder.iterdir()):
                raise StartupError(f"{folder} is empty, on another file system than before")
        return self._watcher.look(self._scan())


def _check_not_empty(repositories: tuple[Path, ...]) -> None:
    for repository in repositories:
        if not find_bundles(repository):
            raise StartupError(
                f"model repository {repository} holds no model: expected "
                "<name>/<version>/manifest.json, <name>/<version>/model.onnx or <name>.onnx"
            )


def _device_of(folder: Path) -> int:
    try:
        return folder.stat().st_dev
    except OSError as error:
        raise StartupError(f"model repository {folder} cannot be read: {error.strerror}") from error


def find_models(repositories: tuple[Path, ...]) -> list[Location]:
    """Lists the models of all repositories.

    Raises:
        StartupError: a repository cannot be read, or holds a model version that another one
            holds too.
    """
    found: dict[tuple[str, int], Location] = {}
    for repository in repositories:
        try:
            places = find_bundles(repository)
        except OSError as error:
            message = f"model repository {repository} cannot be read: {error.strerror}"
            raise StartupError(message) from error
        for place in places:
            other = found.setdefault((place.name, place.version), place)
            if other is not place:
                both = [str(each.graph or each.folder) for each in (other, place)]
                raise StartupError(f"{both[0]} and {both[1]} are the same model version")
    return list(found.values())
