"""Runs requests of named tensors together, on one thread for each model.

While a run is under way what comes in waits, and shares the next one; a request that finds
the model idle is run at once, unless the model's own settings let it wait for company.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.runtime import refusal_of
from stepwire_server.engine.tensor_graph import Given, TensorGraph, Work
from stepwire_server.engine.tensor_queue import TensorQueue, Ticket
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed, Timing
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ShuttingDown,
    StepwireError,
)
from stepwire_server.metrics import ModelMetrics

log = logging.getLogger(__name__)

_LONGEST_SLEEP_S = 3600.0  # what a lock can wait for has an end


class Call(NamedTuple):
    """A request, and whom to tell."""

    work: Work
    done: Done
    failed: Failed


Tickets = Sequence[Ticket[Call]]


class TensorBatcher:
    """Owns a graph's queue. One thread calls `run`; any thread the rest."""

    def __init__(
        self,
        graph: TensorGraph,
        queue: TensorQueue[Call],
        metrics: ModelMetrics,
        outbox: Outbox,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes a batcher.

        Args:
            graph: what runs.
            queue: decides what runs together; used by nobody else.
            metrics: of this model.
            outbox: the way back to the callers; it may not delay.
            clock: that of the requests' deadlines.
        """
        self.graph = graph
        self._metrics = metrics
        self._outbox = outbox
        self._clock = clock
        self._wake = threading.Condition()  # guards the rest
        self._queue = queue
        self._stopping = False

    def submit(self, asked: Asked, done: Done, failed: Failed, *, keeps: bool) -> Cancel:
        """Queues a request.

        Args:
            asked: its tensors checked against the signature.
            done: takes the answer, on the other side of the outbox.
            failed: takes the error in its place.
            keeps: whether the answer has the packed states that follow.

        Returns:
            What takes it back: neither of the two is called after that.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was queued.
        """
        work = self.graph.prepare(asked, keeps=keeps)
        ticket = Ticket(
            work=Call(work, done, failed),
            rows=asked.rows,
            group=work.group,
            priority=asked.priority,
            deadline=asked.deadline,
            timeout_s=asked.timeout_s,
        )
        with self._wake:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            self._queue.add(ticket, self._clock())
            self._metrics.waiting.set(len(self._queue))
            self._wake.notify()
        return partial(self._leave, ticket)

    def stop(self) -> None:
        """Ends `run`; whatever waits fails with ShuttingDown."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def run(self) -> None:
        """Runs what waits, sleeps while nothing does, until `stop`."""
        while batch := self._next():
            taken_at = self._clock()
            for ticket in batch:
                self._metrics.queue_seconds.observe(taken_at - ticket.arrived_at)
            self._answer(batch, taken_at)
            self._outbox.flush()
        with self._wake:
            left = self._queue.drain()
            self._metrics.waiting.set(0)
        if left:
            over = ShuttingDown("the server is shutting down")
            self._tell([(ticket, over) for ticket in left])
            self._outbox.flush()

    def _leave(self, ticket: Ticket[Call]) -> None:
        """Takes back a request whose caller has gone; a run under way is not stopped."""
        ticket.left = True
        with self._wake:
            waited = self._queue.remove(ticket)
            self._metrics.waiting.set(len(self._queue))
        if waited:
            self._metrics.cancelled_waiting.inc()

    def _next(self) -> list[Ticket[Call]]:
        """Waits for the next batch; none when the batcher is to stop."""
        with self._wake:
            while not self._stopping:
                now = self._clock()
                self._drop(self._queue.expire(now), now)
                if batch := self._queue.take(now):
                    self._metrics.waiting.set(len(self._queue))
                    return batch
                at = self._queue.next_at()
                self._wake.wait(None if at is None else min(at - now, _LONGEST_SLEEP_S))
        return []

    def _drop(self, late: Tickets, now: float) -> None:
        if late:
            self._metrics.dropped.inc(len(late))
            self._tell([(ticket, _too_late(ticket, now)) for ticket in late])
            self._outbox.flush()

    def _answer(self, batch: Tickets, taken_at: float) -> None:
        """Runs a batch; one that fails is run again in halves.

        So in the end those fail alone that would fail alone, at the cost of a few runs for
        each, and their batch-mates get what they would have got anyway.
        """
        try:
            given, timing = self._run([ticket.work.work for ticket in batch])
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._answer(batch[:middle], taken_at)
                self._answer(batch[middle:], taken_at)
                return
            given, timing = [_failure(error)], Timing()
        self._tell(list(zip(batch, _answers(batch, given, timing, taken_at), strict=True)))

    def _run(self, works: Sequence[Work]) -> tuple[list[Given], Timing]:
        began = time.perf_counter()
        inputs = self.graph.put_together(works)
        laid_out = time.perf_counter()
        outputs = self.graph.run(inputs)
        ran = time.perf_counter()
        given = self.graph.take_apart(inputs, outputs)
        taken_apart = time.perf_counter()
        self._measure(works, inputs.rows, ran - laid_out)
        timing = Timing(
            input_s=laid_out - began,
            infer_s=ran - laid_out,
            output_s=taken_apart - ran,
            batch=inputs.rows,
        )
        return given, timing

    def _measure(self, works: Sequence[Work], rows: int, seconds: float) -> None:
        self._metrics.step_seconds.observe(seconds)
        self._metrics.step_rows.observe(rows)
        if self.graph.takes_lengths:
            read = sum(work.steps * work.asked.rows for work in works)
            self._metrics.input_tokens.inc(read)
            self._metrics.padding_tokens.inc(works[0].padded * rows - read)

    def _tell(self, told: Sequence[tuple[Ticket[Call], Answer | StepwireError]]) -> None:
        self._outbox.add(_deliver, told)


def _deliver(told: Sequence[tuple[Ticket[Call], Answer | StepwireError]]) -> None:
    """Tells the callers of a whole batch, on their own side."""
    for ticket, one in told:
        if ticket.left:
            continue
        try:
            if isinstance(one, StepwireError):
                ticket.work.failed(one)
            else:
                ticket.work.done(one)
        except Exception:  # the others of the batch wait for theirs
            log.exception("an answer could not be taken")


def _answers(
    batch: Tickets, given: Sequence[Given], timing: Timing, taken_at: float
) -> list[Answer | StepwireError]:
    """What each caller is told: all shared the run, but each has waited by himself."""
    ran = timing[1:]
    return [
        one
        if isinstance(one, StepwireError)
        else Answer(one[0], one[1], Timing(taken_at - ticket.arrived_at, *ran))
        for ticket, one in zip(batch, given, strict=True)
    ]


def _too_late(ticket: Ticket[Call], now: float) -> StepwireError:
    if ticket.deadline is not None and ticket.deadline <= now:
        return DeadlineExceeded("the deadline passed before the work began")
    waited_s = ticket.late_at - ticket.arrived_at
    return DeadlineExceeded(f"the request may wait for {waited_s:g} s, and was not begun in time")


def _failure(error: Exception) -> StepwireError:
    if isinstance(error, StepwireError):
        log.error("run failed", extra={"reason": str(error)})
        return error
    if refused := refusal_of(error):
        allowed = "be what the graph can run"
        message = f"inputs must {allowed}, which says: {refused}"
        return InvalidRequest(message, field="inputs", allowed=allowed, got=refused)
    log.error("run failed", exc_info=error)
    return InternalError("the model could not be run")
