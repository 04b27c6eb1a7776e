"""Reads the sources of a translator: what is at hand is not read again.

Lives on the event loop's thread.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from stepwire_server.engine.batcher import Batcher, SequenceJob
from stepwire_server.engine.sources import Source
from stepwire_server.errors import StepwireError
from stepwire_server.metrics import ModelMetrics

Tokens = tuple[int, ...]
Use = Callable[[Source], None]
Fail = Callable[[StepwireError], None]


class SourceReader:
    """Encodes sources in batches, each once while it is wanted, and keeps the latest."""

    def __init__(self, batcher: Batcher[Source], metrics: ModelMetrics, most_bytes: int) -> None:
        """Makes a reader.

        Args:
            batcher: runs the encoder.
            metrics: of this model.
            most_bytes: of the sources that are kept.
        """
        self._batcher = batcher
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Tokens, Source] = OrderedDict()  # the latest last
        self._kept_bytes = 0
        self._pending: dict[Tokens, _Pending] = {}

    def read(self, all_tokens: Sequence[Sequence[int]], deadline: float | None) -> list["Reading"]:
        """Begins to read the sources of a call, or none.

        Args:
            all_tokens: at least one token each.
            deadline: of the monotonic clock.

        Returns:
            One reading for each source, in order.

        Raises:
            Overloaded, ShuttingDown: nothing was begun.
        """
        fresh: dict[Tokens, _Pending] = {}
        readings = [self._begin(tuple(tokens), fresh, deadline) for tokens in all_tokens]
        if fresh:
            self._batcher.submit([pending.job for pending in fresh.values()])
            self._pending |= fresh
        self._metrics.sources_read.inc(len(fresh))
        self._metrics.sources_kept.inc(sum(reading.was_kept for reading in readings))
        shared = sum(not reading.was_kept for reading in readings) - len(fresh)
        self._metrics.sources_shared.inc(shared)
        return readings

    def keep(self, pending: "_Pending", source: Source) -> None:
        """Remembers a source that was encoded, and forgets the oldest ones."""
        self.forget(pending)
        if pending.tokens in self._kept:
            return
        self._kept[pending.tokens] = source
        self._kept_bytes += source.size_bytes
        while self._kept_bytes > self._most_bytes:
            _, forgotten = self._kept.popitem(last=False)
            self._kept_bytes -= forgotten.size_bytes
        self._metrics.source_bytes.set(self._kept_bytes)

    def forget(self, pending: "_Pending") -> None:
        """Lets nobody else wait for a source: it was read, failed, or nobody waits."""
        if self._pending.get(pending.tokens) is pending:
            del self._pending[pending.tokens]

    def _begin(
        self, tokens: Tokens, fresh: dict[Tokens, "_Pending"], deadline: float | None
    ) -> "Reading":
        if tokens in self._kept:
            self._kept.move_to_end(tokens)
            return Reading(None, self._kept[tokens])
        pending = self._pending.get(tokens) or fresh.get(tokens)
        if pending is None:
            pending = fresh[tokens] = _Pending(self, tokens, deadline)
        pending.join(deadline)
        return Reading(pending, None)


class Reading:
    """One source of one call, being read or at hand."""

    def __init__(self, pending: "_Pending | None", source: Source | None) -> None:
        self._pending = pending
        self._source = source
        self.was_kept = source is not None

    def then(self, use: Use, fail: Fail) -> None:
        """Calls one of two functions, now or when the source is read or cannot be."""
        if self._source is not None:
            use(self._source)
        elif self._pending is not None:
            self._pending.then(use, fail)

    async def wait(self) -> Source:
        """Returns the source when it is read."""
        found: asyncio.Future[Source] = asyncio.get_running_loop().create_future()

        def fail(error: StepwireError) -> None:
            if not found.done():
                found.set_exception(error)

        self.then(lambda source: None if found.done() else found.set_result(source), fail)
        return await found

    def leave(self) -> None:
        """Waits no more; the last to leave takes the source out of the queue."""
        if self._pending is not None:
            self._pending.leave()
            self._pending = None


class _Pending:
    """A source that is being read, for everyone who waits for it."""

    def __init__(self, reader: SourceReader, tokens: Tokens, deadline: float | None) -> None:
        self._reader = reader
        self._waiting = 0
        self.tokens = tokens
        self._result: Source | StepwireError | None = None
        self._callbacks: list[tuple[Use, Fail]] = []
        self.job = SequenceJob[Source](tokens=tokens, reader=self, index=0, deadline=deadline)

    @property
    def left(self) -> bool:
        """Whether nobody waits any more."""
        return not self._waiting

    def join(self, deadline: float | None) -> None:
        """One more waits; the work is wanted until the last deadline of all."""
        self._waiting += 1
        if self.job.deadline is not None:
            self.job.deadline = None if deadline is None else max(deadline, self.job.deadline)

    def leave(self) -> None:
        """One waits no more."""
        self._waiting -= 1
        if self.left:
            self._reader.forget(self)

    def then(self, use: Use, fail: Fail) -> None:
        """Calls one of two functions, now or when the source is read or cannot be."""
        self._callbacks.append((use, fail))
        self._call_back()

    def deliver(self, index: int, result: Source) -> None:
        """Takes the encoded source."""
        del index
        self._reader.keep(self, result)
        self._result = result
        self._call_back()

    def fail(self, error: StepwireError) -> None:
        """Learns that it could not be encoded."""
        self._reader.forget(self)
        self._result = error
        self._call_back()

    def _call_back(self) -> None:
        if self._result is None:
            return
        callbacks, self._callbacks = self._callbacks, []
        for use, fail in callbacks:
            if isinstance(self._result, Source):
                use(self._result)
            else:
                fail(self._result)
