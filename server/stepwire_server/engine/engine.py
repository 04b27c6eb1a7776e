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
from stepwire_server.decoding.logprobs import TokenLogprobs, pick_logprobs
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.job import Delivery, Job, Row
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.scheduler import Scheduler
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    Overloaded,
    ShuttingDown,
    StepwireError,
)
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
        self._max_parked = config.max_parked
        self._parked: set[Job] = set()
        self._first_tokens = False  # the last step gave a row its first token
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
            if len(self._parked) >= self._max_parked:
                raise Overloaded(
                    f"{len(self._parked)} prompts are not being read", retry_after_s=1.0
                )
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
            try:
                self._turn()
            except Exception:
                # Whatever it was, callers must not wait for an engine that died.
                log.exception("engine failed")
                self._fail_everything(InternalError("the engine failed"))
        self._fail_everything(ShuttingDown("the server is shutting down"))
        self._outbox.flush()

    def step(self) -> bool:
        """Runs one batched step. Returns False when there is nothing to do."""
        self._obey()
        if not len(self._batch):
            return False
        self._metrics.step_rows.observe(len(self._batch))
        try:
            with self._metrics.step_seconds.time():
                logits = self._batch.step()
            self._advance(logits)
        except Exception:
            log.exception("step failed", extra={"rows": len(self._batch)})
            self._fail_all(self._scheduler.running, InternalError("the model could not be run"))
        return True

    def _turn(self) -> None:
        if self.step():
            # A caller's first piece does not wait for company.
            cost_s = 0.0 if self._first_tokens else len(self._batch) * MESSAGE_COST_S
            self._first_tokens = False
            self._outbox.send(cost_s)
            return
        self._outbox.flush()
        with self._wake:
            self._wake.wait_for(
                lambda: self._orders or self._scheduler.waiting_count or self._stopping
            )

    def _order(self, *orders: Callable[[], None]) -> None:
        with self._wake:
            self._orders += orders
            self._wake.notify()

    def _obey(self) -> None:
        """Carries out what callers ordered, then lets waiting jobs in."""
        now = time.monotonic()
        with self._wake:
            busy = self._orders or self._scheduler.waiting_count
            admitted = self._carry_out(now) if busy else []
        for job in admitted:
            self._start(job, now)
        if self._batch.arrange():
            self._metrics.slots_in_use.set(len(self._batch))

    def _carry_out(self, now: float) -> list[Job]:
        """Clears the desk, with the lock held; returns the jobs that may begin."""
        orders, self._orders = self._orders, []
        for order in orders:
            order()
        for job in self._scheduler.expired(now):
            self._metrics.dropped.inc()
            self._fail(job, DeadlineExceeded("the deadline passed before the work began"))
        admitted = self._scheduler.admit()
        self._metrics.waiting.set(self._scheduler.waiting_count)
        self._metrics.parked.set(len(self._parked))
        return admitted

    def _start(self, job: Job, now: float) -> None:
        """Gives a job's rows their slots, at its beginning or back from being parked."""
        try:
            for row in job.rows:
                self._batch.enter(row)
        except Exception:
            log.exception("job could not be started")
            self._fail_all([job], InternalError("the request could not be started"))
            return
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
        asking = [index for index, row in enumerate(rows) if row.options.logprobs is not None]
        values = log_softmax(logits[asking]) if asking else None  # choosing changes the logits
        tokens = self._batch.choose(rows, logits).tolist()
        logprobs: dict[int, TokenLogprobs] = {}
        if values is not None:
            chosen = [tokens[index] for index in asking]
            counts = [rows[index].options.logprobs or 0 for index in asking]
            picked = pick_logprobs(values, chosen, counts)
            logprobs = dict(zip(asking, picked, strict=True))
        now = time.monotonic()
        deliveries = [
            self._deliver(row, token, logprobs.get(index), now)
            for index, (row, token) in enumerate(zip(rows, tokens, strict=True))
        ]
        self._metrics.output_tokens.inc(sum(d.token is not None for d in deliveries))
        self._outbox.add(_hand_out, deliveries)

    def _deliver(
        self, row: Row, token: int, logprobs: TokenLogprobs | None, now: float
    ) -> Delivery:
        """Appends a token to its row, and ends the row if that was its last."""
        if not row.first_token_at:
            row.first_token_at = now
            self._first_tokens = True
        kept, reason = row.take(token, self._end)
        if reason:
            self._drop_row(row)
        ended = row.ended(reason, now) if reason else None
        return Delivery(row, kept, logprobs if kept is not None else None, ended)

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


def _hand_out(deliveries: list[Delivery]) -> None:
    """Gives each caller its own; runs on the callers' thread."""
    for delivery in deliveries:
        delivery.row.job.sink.deliver(delivery)
