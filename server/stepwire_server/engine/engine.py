"""The step loop: every running row moves forward by one token, in one batch.

Prompts being read and tokens being generated share the run; jobs join and leave between
any two steps.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.advance import Advance, Outcome, finite_rows
from stepwire_server.engine.batch import RunningBatch, Stepped
from stepwire_server.engine.given import Given
from stepwire_server.engine.job import Delivery, Job, Row
from stepwire_server.engine.layout import Layout
from stepwire_server.engine.load import Load, check_parked
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.prefix_cache import PrefixCache
from stepwire_server.engine.scheduler import Scheduler
from stepwire_server.engine.visits import Visit, Waiting, see_off
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    ShuttingDown,
    StepwireError,
)
from stepwire_server.metrics import ModelMetrics

log = logging.getLogger(__name__)

# For every message that the event loop sends it is left as long alone, roughly: a third of that
# is what the message costs it. A loop that does nothing but send takes up no new call.
MESSAGE_PAUSE_S = 240e-6
LONGEST_HERE_S = 0.002  # a run for which the event loop may be kept
_NO_SOURCE = 0  # the bucket of rows that look at nothing


class Engine:
    """Owns one model's batch and queue. One thread calls `run`; any thread the rest."""

    def __init__(
        self,
        batches: Mapping[int, RunningBatch],
        config: BatchingConfig,
        metrics: ModelMetrics,
        outbox: Outbox,
        end: int | None,
        prefixes: PrefixCache | None = None,
    ) -> None:
        """Makes an engine.

        Args:
            batches: the model and its slots, by the padded length of the rows' sources: rows
                that look at more or less than others step by themselves, because padding
                changes the last bits. 0 where there are no sources.
            config: limits of batch and queue.
            metrics: of this model.
            outbox: the way back to the callers.
            end: the token that ends a sequence, if the model has one.
            prefixes: where prompts may begin that others have begun like.
        """
        self._batches = batches
        self._advances = {bucket: Advance(batch, metrics, end) for bucket, batch in batches.items()}
        self._metrics = metrics
        self._outbox = outbox
        self._prefixes = prefixes
        self._config = config
        self._parked: set[Job] = set()
        self._awaited = False  # somebody waits for what the last step gave, and does nothing else
        self._wake = threading.Condition()  # guards the queues, the orders and the flags
        self._scheduler = Scheduler(config)
        self._visits = Waiting(config.max_waiting, config.max_rows)
        self._orders: list[Callable[[], None]] = []
        self._stopping = False
        self._held = False  # jobs are coming that may begin together
        self._sleeps = False  # `run` waits for work
        self._lent = False  # `step_here` runs the graph meanwhile
        self._run_s = 0.0  # what the last run took
        metrics.slots.set(config.max_rows)

    @property
    def count(self) -> int:
        """How many threads may call `run`."""
        return 1

    @property
    def lock(self) -> threading.Condition:
        """Who holds it finds things as they are until it lets go: nothing is queued or begun."""
        return self._wake

    @property
    def load(self) -> Load:
        """What there is to do; of one moment where the lock is held."""
        scheduler = self._scheduler
        return Load(
            rows=scheduler.reserved,
            waiting=scheduler.waiting_count + scheduler.promised,
            visits=len(self._visits),
            parked=len(self._parked),
        )

    @property
    def sleeps(self) -> bool:
        """Whether it waits for work."""
        return self._sleeps

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues all jobs of a request, or none; raises Overloaded or ShuttingDown."""
        with self._wake:
            self._check_open()
            for job in jobs:
                job.arrived_at = time.monotonic()
            self._scheduler.submit(jobs)
            if not self._held:
                self._wake.notify()

    def visit(self, visits: Sequence[Visit]) -> None:
        """Queues single steps that bring their states, all or none; raises as `submit` does.

        Only for models that look at no sources.
        """
        with self._wake:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            now = time.monotonic()
            for visit in visits:
                visit.arrived_at = now
            self._visits.add(visits)
            if not self._held:
                self._wake.notify()

    def step_here(self, visit: Visit) -> bool:
        """Takes a single step on the caller's own thread, if the engine sleeps and runs are short.

        For a caller who is alone: waking the engine and being woken by it takes longer than all
        else that is done for a step. Nobody else is there to share the run.

        Returns:
            Whether the step was taken, and the visit told.
        """
        with self._wake:
            if not self._sleeps or self._has_work or self._held or self._run_s > LONGEST_HERE_S:
                return False
            self._lent = True
        try:
            visit.arrived_at = visit.started_at = time.monotonic()
            self._metrics.queue_seconds.observe(0.0)
            tell = self._take_step(visit)
        finally:
            with self._wake:
                self._lent = False
                if self._has_work:
                    self._wake.notify()
        tell()
        return True

    def _take_step(self, visit: Visit) -> Callable[[], None]:
        """Runs the graph for one visit; gives what tells it."""
        batch = self._batches[_NO_SOURCE]
        self._metrics.step_rows.observe(1)
        try:
            began = time.perf_counter()
            _, visited = batch.step([visit])
            self._measure_run(began)
            assert visited is not None
            given, finite = self._given(visited, batch.layout, 1)
        except Exception:
            log.exception("step failed", extra={"rows": 1})
            return partial(visit.failed, InternalError("the model could not be run"))
        return partial(see_off, [visit], given, finite)

    def hold(self) -> None:
        """Lets what is submitted from now on wait for company; call it on one thread only."""
        self._held = True

    def let_go(self) -> None:
        """Begins with what has been submitted meanwhile."""
        self._held = False
        with self._wake:
            if self._has_work:
                self._wake.notify()

    def go_on(self, job: Job) -> None:
        """Queues the next part of work that was let in once; raises ShuttingDown.

        The limit of the queue is not its concern: refused half way, the work would be lost.
        """
        with self._wake:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            job.arrived_at = time.monotonic()
            self._scheduler.bring_back(job)
            self._wake.notify()

    def promise(self, widths: Sequence[int]) -> None:
        """Keeps room for jobs that are not ready yet; raises as `submit` does."""
        with self._wake:
            self._check_open()
            self._scheduler.promise(widths)

    def keep_promise(self, job: Job) -> None:
        """Queues a job that was promised; raises ShuttingDown."""
        with self._wake:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            job.arrived_at = time.monotonic()
            self._scheduler.keep_promise(job)
            self._wake.notify()

    def break_promise(self, count: int) -> None:
        """Gives back the room of jobs that will not come."""
        with self._wake:
            self._scheduler.break_promise(count)

    def _check_open(self) -> None:
        if self._stopping:
            raise ShuttingDown("the server is shutting down")
        check_parked(len(self._parked), self._config)

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
        if self._prefixes is not None:
            self._prefixes.clear()

    def step(self) -> bool:
        """Runs one batched step. Returns False when there is nothing to do."""
        visits = self._obey()
        busy = [bucket for bucket, batch in self._batches.items() if len(batch)]
        if visits and _NO_SOURCE not in busy:
            busy.append(_NO_SOURCE)
        for bucket in busy:
            self._step(bucket, visits if bucket == _NO_SOURCE else ())
        return bool(busy)

    def _step(self, bucket: int, visits: Sequence[Visit]) -> None:
        batch, rows = self._batches[bucket], len(self._batches[bucket])
        self._metrics.step_rows.observe(rows + len(visits))
        try:
            began = time.perf_counter()
            stepped, visited = batch.step(visits)
            self._measure_run(began)
            if rows:
                outcome = self._advances[bucket].take(stepped)
                if batch.due and self._prefixes is not None:
                    self._prefixes.keep(batch)
                self._follow(outcome)
                if batch.must_tell:
                    self.tell()
            if visited:
                self._awaited = True  # who steps a session waits for this very answer
                given, finite = self._given(visited, batch.layout, rows + len(visits))
                self._outbox.add(see_off, visits, given, finite)
        except Exception:
            log.exception("step failed", extra={"rows": rows})
            error = InternalError("the model could not be run")
            self._fail_all(batch.jobs, error)
            self._fail_visits(visits, error)

    def _given(self, stepped: Stepped, layout: Layout, rows: int) -> tuple[Given, list[bool]]:
        """What a run of so many rows gave its visits, and whose numbers are finite."""
        self._metrics.input_tokens.inc(len(stepped.logits))
        given = Given(stepped.extras, stepped.states, layout, time.monotonic(), rows)
        return given, finite_rows(stepped.logits).tolist()

    def _measure_run(self, began: float) -> None:
        self._run_s = time.perf_counter() - began
        self._metrics.step_seconds.observe(self._run_s)

    def _fail_visits(self, visits: Sequence[Visit], error: StepwireError) -> None:
        for visit in visits:
            self._outbox.add(visit.failed, error)

    def _follow(self, outcome: Outcome) -> None:
        """Ends what has ended, and tells the callers."""
        self._awaited |= bool(outcome.taken) or outcome.search_begun
        if outcome.broken:
            log.error("logits are not finite", extra={"rows": len(outcome.broken)})
            error = InternalError("the model gave numbers that are not finite")
            self._fail_all(list({row.job for row in outcome.broken}), error)
        for delivery in outcome.deliveries:
            if delivery.ended:
                self._drop_row(delivery.row)
        for update in outcome.updates:
            if update.ended:
                self._remove_running([update.job])
        stepped = [taken.row.job for taken in outcome.taken if taken.last]
        if stepped:
            self._remove_running(stepped)
        if outcome.deliveries or outcome.updates or outcome.taken:
            self._outbox.add(_hand_out, outcome)

    def _turn(self) -> None:
        if self.step():
            pause_s = 0.0 if self._awaited else self._rows * MESSAGE_PAUSE_S
            self._awaited = False
            if self._outbox.is_due(pause_s):
                self.tell()
                self._outbox.flush()
            return
        self.tell()
        self._outbox.flush()
        with self._wake:
            self._sleeps = True
            self._wake.wait_for(lambda: self._has_work and not self._lent)
            self._sleeps = False

    def tell(self) -> None:
        """Puts what rows were given, and nobody was told of, on its way."""
        for batch in self._batches.values():
            if told := batch.unsent():
                deliveries = [Delivery(row, tokens, None, None) for row, tokens in told]
                self._outbox.add(_deliver_all, deliveries)

    @property
    def _has_work(self) -> bool:
        """Whether there is anything to do; the lock is held."""
        waiting = self._orders or self._visits or self._scheduler.waiting_count
        return bool(waiting or self._stopping)

    def _order(self, *orders: Callable[[], None]) -> None:
        with self._wake:
            self._orders += orders
            self._wake.notify()

    def _obey(self) -> list[Visit]:
        """Carries out what callers ordered, lets waiting jobs in, and gives who comes by."""
        now = time.monotonic()
        with self._wake:
            if self._orders:
                self.tell()  # rows that are taken out keep nothing
            busy = self._orders or self._scheduler.waiting_count
            admitted = self._carry_out(now) if busy else []
            visits = self._visits.take() if self._visits else []
        for job in admitted:
            self._start(job, now)
        if any([batch.arrange() for batch in self._batches.values()]):
            self._metrics.slots_in_use.set(self._rows)
        return [visit for visit in visits if self._is_wanted(visit, now)]

    def _is_wanted(self, visit: Visit, now: float) -> bool:
        if visit.left:
            self._metrics.cancelled_waiting.inc()
            return False
        if visit.deadline is not None and visit.deadline <= now:
            self._metrics.dropped.inc()
            late = DeadlineExceeded("the deadline passed before the work began")
            self._fail_visits([visit], late)
            return False
        visit.started_at = now
        self._metrics.queue_seconds.observe(now - visit.arrived_at)
        return True

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
            if self._prefixes is not None and not job.started_at:
                self._prefixes.begin(job)
            self._batch_of(job).enter(job.rows)
        except Exception:
            log.exception("job could not be started")
            self._fail_all([job], InternalError("the request could not be started"))
            return
        if not job.started_at:
            job.started_at = now
            for row in job.rows if job.saved else ():  # it has its first token already
                row.first_token_at = now
            self._metrics.queue_seconds.observe(now - job.arrived_at)

    @property
    def _rows(self) -> int:
        """Rows that take the next step."""
        return sum(map(len, self._batches.values()))

    def _batch_of(self, job: Job) -> RunningBatch:
        return self._batches[job.bucket]

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
        self._batch_of(job).leave([row])
        job.rows.remove(row)
        if not job.rows:
            self._parked.discard(job)
        with self._wake:
            self._scheduler.shrink(job)

    def _put_aside(self, job: Job) -> None:
        for row in job.rows:
            self._batch_of(job).put_aside(row)
        if job.rows:
            self._scheduler.retire(job)
            self._parked.add(job)

    def _bring_back(self, job: Job) -> None:
        if job in self._parked:
            self._parked.remove(job)
            self._scheduler.bring_back(job)

    def _remove(self, job: Job) -> None:
        self._batch_of(job).leave(job.rows)
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

    def _remove_running(self, jobs: Sequence[Job]) -> None:
        """Takes jobs of one batch out of it."""
        self._batch_of(jobs[0]).leave([row for job in jobs for row in job.rows])
        with self._wake:
            for job in jobs:
                job.rows = []
                self._scheduler.retire(job)

    def _fail_everything(self, error: StepwireError) -> None:
        scheduler = self._scheduler
        self._fail_all([*scheduler.running, *scheduler.waiting, *self._parked], error)
        with self._wake:
            while visits := self._visits.take():
                self._fail_visits(visits, error)


def _deliver_all(deliveries: Sequence[Delivery]) -> None:
    """Gives each caller its own; runs on the callers' thread."""
    for delivery in deliveries:
        delivery.row.job.sink.deliver(delivery)


def _hand_out(outcome: Outcome) -> None:
    """The same of all that a step gave."""
    _deliver_all(outcome.deliveries)
    for update in outcome.updates:
        update.job.sink.update(update)
    for taken in outcome.taken:
        taken.row.job.sink.step(taken)
