"""The step loop: every running row moves forward by one token, in one batch.

Prompts being read and tokens being generated share the run; jobs join and leave between
any two steps.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from stepwire_server.config import BatchingConfig
from stepwire_server.decoding.filters import Logits, log_softmax
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.job import Delivery, Ended, FinishReason, Job, Row, TokenLogprobs
from stepwire_server.engine.outbox import Call, Outbox
from stepwire_server.engine.scheduler import Scheduler
from stepwire_server.errors import DeadlineExceeded, InternalError, ShuttingDown, StepwireError
from stepwire_server.metrics import ModelMetrics

log = logging.getLogger(__name__)

# What one message costs the event loop, roughly: sending each of N streams a message more
# often than every N times this only lengthens the loop's queue.
MESSAGE_COST_S = 80e-6


class Engine:
    """Owns one model's batch and queue. One thread calls `run`; any thread the rest."""

    def __init__(
        self,
        batch: RunningBatch,
        config: BatchingConfig,
        metrics: ModelMetrics,
        outbox: Outbox,
        end: int | None,
    ) -> None:
        """Makes an engine.

        Args:
            batch: the model and its slots.
            config: limits of batch and queue.
            metrics: of this model.
            outbox: the way back to the callers.
            end: the token that ends a sequence, if the model has one.
        """
        self._batch = batch
        self._metrics = metrics
        self._outbox = outbox
        self._end = end
        self._parked: set[Job] = set()
        self._wake = threading.Condition()  # guards the next three
        self._scheduler = Scheduler(config)
        self._orders: list[Callable[[], None]] = []
        self._stopping = False
        metrics.slots.set(config.max_rows)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues all jobs of a request, or none; raises Overloaded or ShuttingDown."""
        with self._wake:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            for job in jobs:
                job.arrived_at = time.monotonic()
            self._scheduler.submit(jobs)
            self._wake.notify()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Frees what the jobs hold, before the next step."""
        self._order(*(partial(self._drop, job) for job in jobs))

    def cancel_row(self, row: Row) -> None:
        """Frees what one row of a job holds, before the next step."""
        self._order(partial(self._drop_row, row))

    def park(self, job: Job) -> None:
        """Takes a job out of the batch: its reader is too far behind."""
        self._order(partial(self._put_aside, job))

    def unpark(self, job: Job) -> None:
        """Queues a parked job again, behind those that wait."""
        self._order(partial(self._bring_back, job))

    def stop(self) -> None:
        """Ends `run`; every job that is left fails with ShuttingDown."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def run(self) -> None:
        """Steps while there is work, sleeps while there is none, until `stop`."""
        while not self._stopping:
            if self.step():
                self._outbox.send(len(self._batch) * MESSAGE_COST_S)
                continue
            self._outbox.flush()
            with self._wake:
                self._wake.wait_for(
                    lambda: self._orders or self._scheduler.has_waiting or self._stopping
                )
        self._fail_everything(ShuttingDown("the server is shutting down"))
        self._outbox.flush()

    def step(self) -> bool:
        """Runs one batched step. Returns False when there is nothing to do."""
        self._obey()
        if not len(self._batch):
            return False
        began = time.monotonic()
        self._metrics.step_rows.observe(len(self._batch))
        try:
            self._advance(self._batch.step())
        except Exception:
            log.exception("step failed", extra={"rows": len(self._batch)})
            self._fail_all(self._scheduler.running, InternalError("the model could not be run"))
        self._metrics.step_seconds.observe(time.monotonic() - began)
        return True

    def _order(self, *orders: Callable[[], None]) -> None:
        with self._wake:
            self._orders += orders
            self._wake.notify()

    def _obey(self) -> None:
        """Carries out what callers ordered, then lets waiting jobs in."""
        with self._wake:
            if self._orders or self._scheduler.has_waiting:
                self._carry_out()
        if self._batch.arrange():
            self._metrics.slots_in_use.set(len(self._batch))

    def _carry_out(self) -> None:
        orders, self._orders = self._orders, []
        for order in orders:
            order()
        now = time.monotonic()
        for job in self._scheduler.expired(now):
            self._metrics.dropped.inc()
            self._fail(job, DeadlineExceeded("the deadline passed before the work began"))
        for job in self._scheduler.admit():
            self._start(job, now)
        self._metrics.waiting.set(len(self._scheduler.waiting))
        self._metrics.parked.set(len(self._parked))

    def _start(self, job: Job, now: float) -> None:
        """Gives a job's rows their slots, at its beginning or back from being parked."""
        for row in job.rows:
            self._batch.enter(row)
        if not job.started_at:
            job.started_at = now
            self._metrics.queue_seconds.observe(now - job.arrived_at)

    def _advance(self, logits: Logits) -> None:
        """Lets every row that has read its prompt choose, and delivers what it chose."""
        rows, logits, tokens_read = self._batch.read_on(logits)
        self._metrics.input_tokens.inc(tokens_read)
        finite = np.atleast_1d(np.isfinite(logits).all(axis=-1))
        if not finite.all():
            self._refuse([row for row, fine in zip(rows, finite, strict=True) if not fine])
            kept = np.array([row.slot >= 0 for row in rows], np.bool_)
            rows, logits = [row for row in rows if row.slot >= 0], logits[kept]
        if rows:
            self._choose(rows, logits)

    def _choose(self, rows: list[Row], logits: Logits) -> None:
        wanted = [row.job.options.logprobs for row in rows]
        plain = all(count is None for count in wanted)
        before = logits if plain else logits.copy()  # choosing changes them
        tokens = self._batch.choose(rows, logits).tolist()
        self._metrics.output_tokens.inc(len(rows))
        now = time.monotonic()
        calls: list[Call] = []
        for index, (row, token, count) in enumerate(zip(rows, tokens, wanted, strict=True)):
            logprobs = None if count is None else _logprobs(before[index], token, count)
            delivery = self._deliver(row, token, logprobs, now)
            calls.append((row.job.sink.deliver, (delivery,)))
        self._outbox.add_all(calls)

    def _deliver(
        self, row: Row, token: int, logprobs: TokenLogprobs | None, now: float
    ) -> Delivery:
        """Appends a token to its row, and ends the row if that was its last."""
        if not row.first_token_at:
            row.first_token_at = now
            self._metrics.first_piece_seconds.observe(now - row.job.arrived_at)
        kept, reason = row.take(token, self._end)
        ended = self._end_row(row, reason, now) if reason else None
        return Delivery(row, kept, logprobs if kept is not None else None, ended)

    def _end_row(self, row: Row, reason: FinishReason, now: float) -> Ended:
        job = row.job
        self._drop_row(row)
        return Ended(
            reason,
            queue_s=job.started_at - job.arrived_at,
            first_token_s=row.first_token_at - job.arrived_at,
            total_s=now - job.arrived_at,
        )

    def _drop(self, job: Job) -> None:
        if job in self._parked:
            self._metrics.cancelled_parked.inc()
        elif any(row.slot >= 0 for row in job.rows):
            self._metrics.cancelled_running.inc()
        elif job.rows:
            self._metrics.cancelled_waiting.inc()
        self._remove(job)

    def _drop_row(self, row: Row) -> None:
        job = row.job
        if row not in job.rows:
            return
        self._batch.leave(row)
        job.rows.remove(row)
        if not job.rows:
            self._parked.discard(job)
        with self._wake:
            self._scheduler.shrink(job)

    def _put_aside(self, job: Job) -> None:
        for row in job.rows:
            self._batch.put_aside(row)
        if job.rows:
            self._scheduler.retire(job)
            self._parked.add(job)

    def _bring_back(self, job: Job) -> None:
        if job in self._parked:
            self._parked.remove(job)
            self._scheduler.bring_back(job)

    def _remove(self, job: Job) -> None:
        for row in job.rows:
            self._batch.leave(row)
        job.rows = []
        self._scheduler.retire(job)
        self._parked.discard(job)

    def _fail(self, job: Job, error: StepwireError) -> None:
        self._remove(job)
        self._outbox.add(job.sink.fail, job, error)

    def _fail_all(self, jobs: Sequence[Job], error: StepwireError) -> None:
        with self._wake:
            for job in jobs:
                self._fail(job, error)

    def _refuse(self, rows: list[Row]) -> None:
        log.error("logits are not finite", extra={"rows": len(rows)})
        error = InternalError("the model gave numbers that are not finite")
        self._fail_all(list({row.job for row in rows}), error)

    def _fail_everything(self, error: StepwireError) -> None:
        scheduler = self._scheduler
        self._fail_all([*scheduler.running, *scheduler.waiting, *self._parked], error)


def _logprobs(logits: Logits, token: int, count: int) -> TokenLogprobs:
    """Reads the log-probabilities of a token and of the `count` likeliest from [V]."""
    values = log_softmax(logits[None])[0]
    best = np.argsort(-values, kind="stable")[:count]
    return TokenLogprobs(
        float(values[token]), tuple((int(index), float(values[index])) for index in best)
    )
