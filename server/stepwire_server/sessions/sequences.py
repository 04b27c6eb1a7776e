"""Sequences: states that are kept under ids which callers choose themselves.

Lives on the event loop's thread. Requests of one sequence are carried out one after the other,
those of different sequences side by side.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from stepwire_server.config import SessionLimits
from stepwire_server.engine.tensors import Answer, Cancel
from stepwire_server.errors import (
    InternalError,
    InvalidRequest,
    Overloaded,
    SessionEvicted,
    SessionExpired,
    SessionNotFound,
    StepwireError,
)
from stepwire_server.metrics import SequenceMetrics
from stepwire_server.registry.signature import AnsweringModel, Signature
from stepwire_server.sessions.holdings import RETRY_AFTER_S, Holdings
from stepwire_server.sessions.sequence import Key, Request, Sequence, Start

log = logging.getLogger(__name__)

MOST_WAITING = 4096  # requests of one sequence
MOST_REMEMBERED = 10_000  # ended sequences of which it is known why


class SequenceTable:
    """Finds, begins, steps and ends sequences. The least recently used one stands first."""

    def __init__(
        self,
        limits: SessionLimits,
        metrics: SequenceMetrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes an empty table.

        Args:
            limits: as of sessions; both have all of it.
            metrics: of sequences.
            now: the time in seconds.
        """
        self._limits = limits
        self._metrics = metrics
        self._now = now
        self._sequences: OrderedDict[Key, Sequence] = OrderedDict()
        self._holdings = Holdings(limits, "sequences", "end some")
        self._gone: OrderedDict[Key, type[StepwireError]] = OrderedDict()
        metrics.live.set_function(lambda: len(self._sequences))
        metrics.size_bytes.set_function(lambda: self.total_bytes)

    def __len__(self) -> int:
        return len(self._sequences)

    @property
    def total_bytes(self) -> int:
        """What all states take."""
        return self._holdings.total_bytes

    def reader(self, key: Key) -> AnsweringModel | None:
        """The model that the next request of a sequence is for; None if there is no such one."""
        sequence = self._find(key)
        return sequence.reader if sequence is not None else None

    def submit(self, key: Key, request: Request) -> Cancel:
        """Queues a request of a sequence; `done` or `failed` is called later.

        A request that fails or is cancelled leaves the state as it was. The lease of a start is
        the table's from now on, whatever happens.

        Raises:
            SessionNotFound, SessionExpired, SessionEvicted: there is no such sequence.
            Overloaded: too many sequences, or too many of its requests wait.
        """
        try:
            sequence = self._find(key) or self._open(key, request)
            if len(sequence.waiting) >= MOST_WAITING:
                raise Overloaded(
                    f"{MOST_WAITING} requests of sequence {key.id} are waiting", RETRY_AFTER_S
                )
        except StepwireError:
            request.drop()
            raise
        sequence.used_at = self._now()
        self._sequences.move_to_end(key)
        if request.start is not None:
            sequence.reader = request.start.model
        sequence.waiting.append(request)
        if sequence.running is None:
            self._go_on(sequence)
        return lambda: self._leave(sequence, request)

    def expire(self) -> None:
        """Ends the sequences whose time is over."""
        now = self._now()
        for sequence in [each for each in self._sequences.values() if self._is_over(each, now)]:
            self._end(sequence, SessionExpired)

    def why_not(self, key: Key) -> StepwireError:
        """Why there is no such sequence."""
        why = self._gone.get(key)
        if why is SessionExpired:
            return SessionExpired(
                f"sequence {key.id} of model '{key.model}' has expired: it was not used for too "
                "long; begin anew with the START flag"
            )
        if why is SessionEvicted:
            return SessionEvicted(
                f"sequence {key.id} of model '{key.model}' was evicted: the server needed its "
                "room; begin anew with the START flag"
            )
        # Callers look for this very text.
        return SessionNotFound(
            f"inference request for sequence {key.id} to model '{key.model}' must specify the "
            "START flag on the first request of the sequence"
        )

    def _find(self, key: Key) -> Sequence | None:
        sequence = self._sequences.get(key)
        if sequence is not None and self._is_over(sequence, self._now()):
            self._end(sequence, SessionExpired)
            return None
        return sequence

    def _open(self, key: Key, request: Request) -> Sequence:
        if request.start is None:
            raise self.why_not(key)
        signature = request.start.model.signature
        self._make_room(key.owner, _size_of(signature) * request.asked.rows)
        idle_s = signature.max_idle_s or self._limits.idle_s
        sequence = Sequence(key, request.start, self._now(), idle_s)
        self._sequences[key] = sequence
        self._holdings.add(key.owner)
        self._gone.pop(key, None)
        return sequence

    def _go_on(self, sequence: Sequence) -> None:
        """Begins the next request that waits; forgets a sequence that has nothing left."""
        while sequence.running is None and sequence.waiting:
            request = sequence.waiting.popleft()
            if request.left:
                request.drop()
                continue
            try:
                self._begin(sequence, request)
            except Exception as error:
                sequence.running = None
                request.drop()
                request.failed(_as_ours(error))
        if sequence.running is None and sequence.states is None:
            self._forget(sequence)

    def _begin(self, sequence: Sequence, request: Request) -> None:
        model = self._prepare(sequence, request)

        def done(answer: Answer) -> None:
            if sequence.running is request:
                self._commit(sequence, request, answer)

        def failed(error: StepwireError) -> None:
            if sequence.running is request:
                sequence.running = None
                request.drop()
                request.failed(error)
                self._go_on(sequence)

        sequence.running = request
        request.cancel = model.begin(request.asked, done, failed)

    def _prepare(self, sequence: Sequence, request: Request) -> AnsweringModel:
        """Gives a request the state that it goes on from; returns who takes it."""
        if request.start is not None:
            if sequence.states is not None:
                self._metrics.restarted.inc()
            return request.start.model
        if sequence.states is None:
            raise self.why_not(sequence.key)
        if len(sequence.states) != request.asked.rows:
            allowed = f"be {len(sequence.states)}, as when the sequence began"
            raise InvalidRequest.of("number of rows", allowed, request.asked.rows)
        request.asked.states = sequence.states
        return sequence.model

    def _commit(self, sequence: Sequence, request: Request, answer: Answer) -> None:
        sequence.running = None
        if request.start is not None:
            self._take_over(sequence, request.start)
        if request.ends:
            self._let_go(sequence)
            self._metrics.ended.labels("ended").inc()
        else:
            sequence.states = answer.states
            self._count(sequence, sum(map(len, answer.states)))
            sequence.used_at = self._now()
        request.done(answer)
        if sequence.waiting or sequence.states is None:
            self._go_on(sequence)

    def _take_over(self, sequence: Sequence, start: Start) -> None:
        """Goes on with the model of a start; the one before is let go."""
        if sequence.lease is not None:
            sequence.lease.release()
        sequence.lease, sequence.model = start
        sequence.opened_at = self._now()
        sequence.idle_s = start.model.signature.max_idle_s or self._limits.idle_s
        self._metrics.begun.inc()

    def _let_go(self, sequence: Sequence) -> None:
        """Forgets the state; requests that wait may begin anew."""
        sequence.states = None
        self._count(sequence, 0)
        if sequence.lease is not None:
            sequence.lease.release()
            sequence.lease = None

    def _leave(self, sequence: Sequence, request: Request) -> None:
        """Learns that the caller of a request has gone."""
        request.left = True
        if sequence.running is request:
            sequence.running = None
            request.drop()
            if request.cancel is not None:
                request.cancel()
            self._go_on(sequence)

    def _end(self, sequence: Sequence, why: type[StepwireError]) -> None:
        """Ends a sequence that nobody uses; whoever asks for it later is told why."""
        self._let_go(sequence)
        self._forget(sequence)
        self._gone[sequence.key] = why
        if len(self._gone) > MOST_REMEMBERED:
            self._gone.popitem(last=False)
        self._metrics.ended.labels("expired" if why is SessionExpired else "evicted").inc()

    def _forget(self, sequence: Sequence) -> None:
        if self._sequences.get(sequence.key) is not sequence:
            return
        del self._sequences[sequence.key]
        self._holdings.remove(sequence.key.owner)

    def _count(self, sequence: Sequence, size_bytes: int) -> None:
        change = size_bytes - sequence.size_bytes
        if change:
            sequence.size_bytes = size_bytes
            self._holdings.grow(sequence.key.owner, change)

    def _is_over(self, sequence: Sequence, now: float) -> bool:
        if sequence.running is not None:  # it is being used
            return False
        idle = now - sequence.used_at >= sequence.idle_s
        return idle or now - sequence.opened_at >= self._limits.lifetime_s

    def _make_room(self, owner: str, size_bytes: int) -> None:
        """Evicts who was not used for longest, if that is long enough; raises Overloaded."""
        self._holdings.check(owner, size_bytes)
        now = self._now()
        while self._holdings.are_full(size_bytes):
            oldest = next(iter(self._sequences.values()), None)
            unused_s = now - oldest.used_at if oldest is not None else 0.0
            if oldest is None or oldest.running or unused_s < self._limits.evictable_after_s:
                raise Overloaded(
                    f"the server holds {len(self._sequences)} sequences, all that it may",
                    RETRY_AFTER_S,
                )
            self._end(oldest, SessionEvicted)


def _as_ours(error: Exception) -> StepwireError:
    """Whatever it was, the requests behind it go on."""
    if isinstance(error, StepwireError):
        return error
    log.error("request could not be begun", exc_info=error)
    return InternalError("internal error")


def _size_of(signature: Signature) -> int:
    """What the state of one row takes, as far as its shapes say."""
    states = [state for state, _ in signature.states]
    return sum(math.prod(abs(n) for n in s.shape) * np.dtype(s.dtype).itemsize for s in states)
