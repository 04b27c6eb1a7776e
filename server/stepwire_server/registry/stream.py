"""What the engine gave one call, waiting for its reader.

Lives on the event loop's thread. A reader that falls behind finds more in each take; when
too much waits, the job is parked, so that it costs its neighbours nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

from stepwire_server.engine.engine import Engine
from stepwire_server.engine.job import Delivery, Job
from stepwire_server.errors import StepwireError


class DeliveryStream:
    """A bounded buffer between the engine and one call."""

    def __init__(self, engine: Engine, buffer_tokens: int) -> None:
        self._engine = engine
        self._buffer_tokens = buffer_tokens
        self._deliveries: list[Delivery] = []
        self._error: StepwireError | None = None
        self._arrived = asyncio.Event()
        self._waiting: Counter[Job] = Counter()  # deliveries that wait, by job
        self._parked: set[Job] = set()

    def deliver(self, delivery: Delivery) -> None:
        """Takes what one step gave one sequence."""
        self._deliveries.append(delivery)
        self._arrived.set()
        job = delivery.row.job
        self._waiting[job] += 1
        if self._waiting[job] >= self._buffer_tokens and job not in self._parked:
            self._parked.add(job)
            self._engine.park(job)

    def fail(self, job: Job, error: StepwireError) -> None:
        """Ends the stream: the reader gets the error after what came before it."""
        self._error = self._error or error
        self._arrived.set()

    async def take(self) -> Sequence[Delivery]:
        """Waits until something is there, and returns all of it, oldest first.

        Raises:
            StepwireError: a job of the call failed.
        """
        await self._arrived.wait()
        self._arrived.clear()
        deliveries, self._deliveries = self._deliveries, []
        self._waiting.clear()
        parked, self._parked = self._parked, set()
        for job in parked:
            self._engine.unpark(job)
        if self._error and not deliveries:
            raise self._error
        if self._error:
            self._arrived.set()
        return deliveries
