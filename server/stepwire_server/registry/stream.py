"""What the engine gave one call, waiting for its reader.

Lives on the event loop's thread. A reader that falls behind finds more in each take, up to
a bound; when too much waits, the job is parked, so that it costs its neighbours nothing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

from stepwire_server.engine.job import Delivery, Job, SearchUpdate, StepTaken
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.errors import StepwireError

# Deliveries that one message may be made of: bounds its size, and the time for which one
# call keeps the event loop.
MOST_TAKEN = 256


class DeliveryStream:
    """A bounded buffer between the engine and one call."""

    def __init__(self, engine: AnyEngine, buffer_tokens: int) -> None:
        self._engine = engine
        self._buffer_tokens = buffer_tokens
        self._deliveries: deque[Delivery] = deque()
        self._error: StepwireError | None = None
        self._arrived = asyncio.Event()
        self._waiting: Counter[Job] = Counter()  # tokens that wait, by job
        self._parked: set[Job] = set()
        self._updates: dict[Job, SearchUpdate] = {}  # the newest of each search

    def deliver(self, delivery: Delivery) -> None:
        """Takes what one step gave one sequence."""
        self._deliveries.append(delivery)
        self._arrived.set()
        job = delivery.row.job
        self._waiting[job] += max(1, len(delivery.tokens))
        if self._waiting[job] >= self._buffer_tokens and job not in self._parked:
            self._parked.add(job)
            self._engine.park(job)

    def update(self, update: SearchUpdate) -> None:
        """Learns how a search stands; who reads slowly misses what came between."""
        before = self._updates.get(update.job)
        if before and before.saved and not (update.saved or update.ended):
            update = update._replace(saved=before.saved)
        self._updates[update.job] = update
        self._arrived.set()

    def step(self, taken: StepTaken) -> None:
        """No call of this kind steps a session."""

    def fail(self, job: Job, error: StepwireError) -> None:
        """Ends the stream: the reader gets the error after what came before it."""
        del job
        self.fail_all(error)

    def fail_all(self, error: StepwireError) -> None:
        """Ends the stream for a reason that is no single job's."""
        self._error = self._error or error
        self._arrived.set()

    async def take(self) -> tuple[Sequence[Delivery], Sequence[SearchUpdate]]:
        """Waits until something is there; returns it, oldest first, or a part of it.

        Returns:
            What was delivered, and how each search stands of which there is news.

        Raises:
            StepwireError: a job of the call failed.
        """
        await self._arrived.wait()
        count = min(len(self._deliveries), MOST_TAKEN)
        if not count and not self._updates and self._error:
            raise self._error
        taken = [self._deliveries.popleft() for _ in range(count)]
        for delivery in taken:
            self._waiting[delivery.row.job] -= max(1, len(delivery.tokens))
        self._call_back()
        updates, self._updates = list(self._updates.values()), {}
        if not self._deliveries and not self._error:
            self._arrived.clear()
        return taken, updates

    def _call_back(self) -> None:
        """Lets the parked jobs go on of which little is left to take."""
        for job in [job for job in self._parked if self._waiting[job] <= self._buffer_tokens // 2]:
            self._parked.remove(job)
            self._engine.unpark(job)
