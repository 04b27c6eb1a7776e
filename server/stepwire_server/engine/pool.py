"""Several engines of one model, as if they were one.

Each steps a batch of its own on a thread of its own; they share the graph, which nobody writes to.
A job goes to the engine that has the least to do and stays there. Limits are the model's: they
count what all engines have together. Which engine a job is on changes nothing of what it gives,
for the same reason for which its neighbours do not.
"""

import heapq
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.job import Job, Row
from stepwire_server.engine.load import Load, check_parked, check_prompts, check_visits
from stepwire_server.engine.visits import Visit
from stepwire_server.errors import ShuttingDown

# Fewer rows in a run cost notably more each: single steps that come together stay together
# up to here.
ROWS_TOGETHER = 32


class EnginePool:
    """The engines of one model. As many threads call `run` as there are; any thread the rest."""

    def __init__(self, engines: Sequence[Engine], config: BatchingConfig) -> None:
        """Makes a pool.

        Args:
            engines: of the same model and under the same limits; used by nobody else.
            config: the limits, of all together; that of the rows is each engine's own.
        """
        self._engines = tuple(engines)
        self._config = config
        self._unmanned = list(engines)  # those that no thread steps yet
        self._guard = threading.RLock()  # of the rest; taken before the engines' locks
        self._promised = 0  # jobs that will come, and have a place in the queue already
        self._stopping = False

    @property
    def count(self) -> int:
        """How many threads may call `run`."""
        return len(self._engines)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues all jobs of a request, or none; raises Overloaded or ShuttingDown."""
        with self._held() as loads:
            self._check_open(loads)
            self._check_room([job.width for job in jobs], loads)
            for engine, part in self._spread(jobs, loads):
                engine.submit(part)  # what is left for all is left for each

    def visit(self, visits: Sequence[Visit]) -> None:
        """Queues single steps that bring their states, all or none; raises as `submit` does."""
        with self._held() as loads:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            check_visits(len(visits), Load.of(loads).visits, self._config.max_waiting)
            idlest = sorted(range(len(loads)), key=lambda number: loads[number].work)
            for number, part in zip(idlest, _shares(visits, len(loads)), strict=False):
                self._engines[number].visit(part)

    def step_here(self, visit: Visit) -> bool:
        """Takes a single step on the caller's own thread if nobody is at work, see `Engine`."""
        first, *others = self._engines
        return all(other.sleeps for other in others) and first.step_here(visit)

    def hold(self) -> None:
        """Lets what is submitted from now on wait for company; call it on one thread only."""
        for engine in self._engines:
            engine.hold()

    def let_go(self) -> None:
        """Begins with what has been submitted meanwhile."""
        for engine in self._engines:
            engine.let_go()

    def go_on(self, job: Job) -> None:
        """Queues the next part of work that was let in once; raises ShuttingDown."""
        with self._held() as loads:
            [(engine, _)] = self._spread([job], loads)
            engine.go_on(job)

    def promise(self, widths: Sequence[int]) -> None:
        """Keeps room for jobs that are not ready yet; raises as `submit` does."""
        with self._held() as loads:
            self._check_open(loads)
            self._check_room(widths, loads)
            self._promised += len(widths)

    def keep_promise(self, job: Job) -> None:
        """Queues a job that was promised; raises ShuttingDown."""
        with self._guard:
            self.go_on(job)
            self._promised -= 1

    def break_promise(self, count: int) -> None:
        """Gives back the room of jobs that will not come."""
        with self._guard:
            self._promised -= count

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Frees what the jobs hold, before the next step of their engines."""
        for number, engine in enumerate(self._engines):
            if part := [job for job in jobs if job.engine == number]:
                engine.cancel(part)

    def cancel_row(self, row: Row) -> None:
        """Frees what one row of a job holds, before the next step of its engine."""
        self._engines[row.job.engine].cancel_row(row)

    def park(self, job: Job) -> None:
        """Takes a job out of its batch: its reader is too far behind."""
        self._engines[job.engine].park(job)

    def unpark(self, job: Job) -> None:
        """Queues a parked job again, behind those that wait there."""
        self._engines[job.engine].unpark(job)

    def stop(self) -> None:
        """Ends every `run`; every job that is left fails with ShuttingDown."""
        with self._held():
            self._stopping = True
            for engine in self._engines:
                engine.stop()

    def run(self) -> None:
        """Steps one engine, another one for each thread that calls this, until `stop`."""
        with self._guard:
            engine = self._unmanned.pop()
        engine.run()

    @contextmanager
    def _held(self) -> Iterator[list[Load]]:
        """Keeps all engines from taking or queueing anything; gives what each has to do.

        No engine takes another's lock, so taking them in order cannot end in a knot.
        """
        with self._guard, ExitStack() as locks:
            for engine in self._engines:
                locks.enter_context(engine.lock)
            yield [engine.load for engine in self._engines]

    def _check_open(self, loads: Sequence[Load]) -> None:
        if self._stopping:
            raise ShuttingDown("the server is shutting down")
        check_parked(Load.of(loads).parked, self._config)

    def _check_room(self, widths: Sequence[int], loads: Sequence[Load]) -> None:
        check_prompts(widths, Load.of(loads).waiting + self._promised, self._config)

    def _spread(self, jobs: Sequence[Job], loads: Sequence[Load]) -> list[tuple[Engine, list[Job]]]:
        """Gives each job to whichever engine has the least to do by then."""
        parts: list[list[Job]] = [[] for _ in loads]
        idlest = [(load.work, number) for number, load in enumerate(loads)]
        heapq.heapify(idlest)
        for job in jobs:
            work, job.engine = idlest[0]
            heapq.heapreplace(idlest, (work + job.width, job.engine))
            parts[job.engine].append(job)
        return [(self._engines[number], part) for number, part in enumerate(parts) if part]


AnyEngine = Engine | EnginePool


def _shares(visits: Sequence[Visit], most: int) -> list[Sequence[Visit]]:
    """Parts of about one size, so few that each is worth a run, and never more than `most`."""
    count = max(1, min(most, len(visits) // ROWS_TOGETHER))
    size = -(-len(visits) // count)  # rounded up
    return [visits[start : start + size] for start in range(0, len(visits), size)]
