"""Health: of the server, of each of its services, and of each model by its name."""

import asyncio
from collections.abc import Sequence

from grpc_health.v1 import health, health_pb2

from stepwire_server.config import ModelControl
from stepwire_server.registry.registry import ModelRegistry, ModelState

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class ModelHealth:
    """Keeps what the standard health service tells up to date.

    A model serves when one of its versions does, or will when it is asked; the server, when
    all that is there from the start is loaded and something serves or may come.
    """

    def __init__(
        self, models: ModelRegistry, services: Sequence[str], control: ModelControl
    ) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # not in its stub
        self.is_serving = False  # the server as a whole
        self._models = models
        self._services = services
        self._may_be_empty = control.mode != "none"
        unloaded = {ModelState.UNLOADED} if control.lazy else set()
        self._serving = {ModelState.READY, *unloaded}
        self._begun = False
        self._named: set[str] = set()  # models that were ever there
        self._telling = asyncio.Lock()  # what is told last must be what was seen last

    def begin(self) -> None:
        """Learns that all that is to be there from the start was loaded; `update` tells it."""
        self._begun = True

    async def update(self) -> None:
        """Tells how everything is now."""
        async with self._telling:
            self._named |= {entry.name for entry in self._models}
            ready = {entry.name for entry in self._models if entry.state in self._serving}
            self.is_serving = self._begun and (bool(ready) or self._may_be_empty)
            for name in sorted(self._named):
                await self._set(name, serves=name in ready)
            for name in ("", *self._services):
                await self._set(name, serves=self.is_serving)

    async def _set(self, name: str, *, serves: bool) -> None:
        await self.servicer.set(name, _SERVING if serves else _NOT_SERVING)
