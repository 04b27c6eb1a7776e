"""Which models are loaded, and when: at the start, on request, when a folder changes, on first use.

Lives on the event loop's thread.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from stepwire_server.config import ModelControl
from stepwire_server.errors import (
    ModelControlDisabled,
    ModelFailed,
    ModelNotFound,
    StartupError,
)
from stepwire_server.registry.dropin.triton_config import policy_beside
from stepwire_server.registry.policy import VersionPolicy
from stepwire_server.registry.registry import Entry, ModelRegistry, ModelState
from stepwire_server.registry.watcher import Watcher
from stepwire_zoo.index import Location, find_bundles

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 30.0  # a model that failed on first use is tried again after this
ALL = "*"

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
        try:
            self._policy = VersionPolicy.read(control.versions)
        except ValueError as error:
            raise StartupError(f"version-policy {error}") from error
        found = self._scan()
        for repository in repositories if control.mode == "none" else ():
            if not find_bundles(repository):
                raise StartupError(
                    f"model repository {repository} holds no model: expected "
                    "<name>/<version>/manifest.json, <name>/<version>/model.onnx or <name>.onnx"
                )
        self._watcher = Watcher(found)
        later = control.mode == "explicit" or control.lazy
        for place in found:
            if control.mode != "explicit" or self._is_named(place.name):
                models.put(place, ModelState.UNLOADED if later else ModelState.LOADING)
        for name in set(control.load_at_start) - {ALL} - {place.name for place in found}:
            raise StartupError(f"load-model: no model {name!r} in the repositories")
        if control.lazy:
            models.waking = self._wake

    async def begin(self, stop: asyncio.Event) -> None:
        """Loads what is to be there from the start, until `stop` is set."""
        for entry in () if self._control.lazy else list(self._models):
            if stop.is_set():
                return
            async with self._locks[entry.name]:
                await self._models.load(entry)
            await self._changed()

    async def load_by_name(self, name: str) -> None:
        """Loads a model's versions, those that are loaded again.

        Raises:
            ModelControlDisabled: models are not controlled this way.
            ModelNotFound: no repository has it.
            ModelFailed: a version is refused; what served before still does.
        """
        self._check_controlled()
        async with self._locks[name]:
            places = [p for p in await asyncio.to_thread(self._scan) if p.name == name]
            if not places:
                raise ModelNotFound(f"no repository holds a model {name[:64]!r}")
            refused = await self._load_all(name, places)
        await self._changed()
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
        async with self._locks[name]:
            if not self._models.of(name):
                raise ModelNotFound(f"no model {name[:64]!r} is loaded")
            for entry in self._models.of(name):
                self._models.unload(entry)
        await self._changed()

    async def watch(self) -> None:
        """Follows the repositories for ever, if that is wanted."""
        while self._control.mode == "poll":
            await asyncio.sleep(self._control.poll_s)
            try:
                await self._follow()
            except Exception:  # a disk that hiccups must not end the watch
                log.exception("repositories could not be followed")

    async def _follow(self) -> None:
        """Does what changed in the repositories since the last look and is quiet by now."""
        try:
            found = await asyncio.to_thread(self._scan)
            changes = await asyncio.to_thread(self._watcher.look, found)
        except (OSError, StartupError) as error:
            log.warning("repositories cannot be read", extra={"reason": str(error)})
            return
        for place in changes.came:
            async with self._locks[place.name]:
                entry = self._models.put(place)
                if not (self._control.lazy and entry.loaded is None):
                    await self._models.load(entry)
            await self._changed()
        for place in changes.went:
            async with self._locks[place.name]:
                for entry in self._models.of(place.name):
                    if entry.location.version == place.version:
                        self._models.forget(entry)
            await self._changed()

    async def _load_all(self, name: str, places: Sequence[Location]) -> list[Entry]:
        """Loads versions, then unloads those that are none any more; gives who was refused."""
        entries = [self._models.put(place) for place in places]
        refused = [entry for entry in entries if not await self._models.load(entry)]
        for entry in self._models.of(name):
            if entry not in entries:
                self._models.forget(entry)
        return refused

    async def _wake(self, entry: Entry) -> None:
        """Loads a model that somebody asks for; all who ask at once wait for one load."""
        failed = entry.state is ModelState.FAILED
        if failed and time.monotonic() - entry.failed_at < _RETRY_AFTER_S:
            return
        # A caller that leaves must not take the load away from the others.
        await asyncio.shield(self._load_once(entry))

    async def _load_once(self, entry: Entry) -> None:
        async with self._locks[entry.name]:
            if entry.loaded is not None or time.monotonic() - entry.failed_at < _RETRY_AFTER_S:
                return
            await self._models.load(entry)
            self._make_room(entry)
        await self._changed()

    def _make_room(self, newest: Entry) -> None:
        """Unloads who was not used for longest, if more are loaded than may be."""
        most = self._control.max_loaded
        loaded = [(e.loaded.used_at, e) for e in self._models if e.loaded and e is not newest]
        idle = sorted((used, e.name, e) for used, e in loaded if e.loaded and not e.loaded.users)
        for _, _, entry in idle[: max(0, len(loaded) + 1 - most)] if most else ():
            self._models.unload(entry)

    def _check_controlled(self) -> None:
        if self._control.mode != "explicit":
            raise ModelControlDisabled(
                "models are loaded and unloaded on request only with --model-control-mode "
                f"explicit; it is {self._control.mode}"
            )

    def _is_named(self, name: str) -> bool:
        return bool({ALL, name} & set(self._control.load_at_start))

    def _scan(self) -> list[Location]:
        """The model versions that are to be served, of all repositories."""
        found = find_models(self._repositories)
        by_name: defaultdict[str, list[Location]] = defaultdict(list)
        for place in found:
            by_name[place.name].append(place)
        return [
            place
            for places in by_name.values()
            for place in (policy_beside(places[-1]) or self._policy).choose(places)
        ]


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
