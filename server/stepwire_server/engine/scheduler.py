"""Which jobs take the next step.

Plain bookkeeping: no clock, no arrays, no I/O, no locks. The engine guards it, and the
tests call it directly.
"""

from collections import deque
from collections.abc import Sequence

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.job import Job
from stepwire_server.engine.load import check_prompts


class Scheduler:
    """Calls take turns: one job of each, in the order in which the calls came.

    So a call with a thousand prompts delays a call with one by a turn. A wide job whose turn
    it is holds up the jobs behind it; letting them pass would starve it for as long as
    narrow jobs keep arriving.
    """

    def __init__(self, config: BatchingConfig) -> None:
        self._config = config
        self._waiting: dict[int, deque[Job]] = {}  # by call, whose turn is next first
        self._count = 0  # jobs that wait
        self._promised = 0  # jobs that will come, and have a place in the queue already
        self._reserved: dict[Job, int] = {}  # slots that each running job may still need

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs in the queue."""
        return tuple(job for jobs in self._waiting.values() for job in jobs)

    @property
    def waiting_count(self) -> int:
        """How many jobs are in the queue."""
        return self._count

    @property
    def running(self) -> tuple[Job, ...]:
        """Jobs that take the next step, oldest first."""
        return tuple(self._reserved)

    @property
    def promised(self) -> int:
        """How many jobs will come."""
        return self._promised

    @property
    def reserved(self) -> int:
        """Slots that running jobs hold, or may still need."""
        return sum(self._reserved.values())

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues all jobs of a request, or none.

        Raises:
            InvalidRequest: one is wider than all slots together, or they are more than the
                queue holds: they could never start.
            Overloaded: the queue has no room for them now.
        """
        self._check_room([job.width for job in jobs])
        for job in jobs:
            self._append(job)

    def promise(self, widths: Sequence[int]) -> None:
        """Keeps room for jobs that are not ready yet; raises as `submit` does."""
        self._check_room(widths)
        self._promised += len(widths)

    def keep_promise(self, job: Job) -> None:
        """Queues a job that was promised."""
        self._promised -= 1
        self._append(job)

    def break_promise(self, count: int) -> None:
        """Gives back the room of jobs that will not come."""
        self._promised -= count

    def _check_room(self, widths: Sequence[int]) -> None:
        check_prompts(widths, self._count + self._promised, self._config)

    def bring_back(self, job: Job) -> None:
        """Queues a parked job, or the next part of one that ended: the limit is for new ones."""
        self._append(job)

    def admit(self) -> list[Job]:
        """Moves waiting jobs into the free places and returns those that moved."""
        admitted = []
        free = self._config.max_rows - self.reserved
        while self._waiting:
            call, jobs = next(iter(self._waiting.items()))
            if jobs[0].width > free:
                break
            job = jobs.popleft()
            self._count -= 1
            self._reserved[job] = job.width
            free -= job.width
            admitted.append(job)
            del self._waiting[call]
            if jobs:
                self._waiting[call] = jobs  # behind all others
        return admitted

    def shrink(self, job: Job) -> None:
        """Frees the places of rows that ended; a job without rows is retired."""
        if not job.rows:
            self.retire(job)
        elif job in self._reserved:
            self._reserved[job] = job.width

    def retire(self, job: Job) -> None:
        """Removes a job, wherever it is; one that is nowhere is no mistake."""
        if self._reserved.pop(job, None) is None and job in self._waiting.get(id(job.sink), ()):
            self._remove(job)

    def expired(self, now: float) -> list[Job]:
        """Takes the waiting jobs out whose deadline has passed."""
        late = [job for job in self.waiting if job.deadline is not None and job.deadline <= now]
        for job in late:
            self._remove(job)
        return late

    def _append(self, job: Job) -> None:
        self._waiting.setdefault(id(job.sink), deque()).append(job)
        self._count += 1

    def _remove(self, job: Job) -> None:
        jobs = self._waiting[id(job.sink)]
        jobs.remove(job)
        self._count -= 1
        if not jobs:
            del self._waiting[id(job.sink)]
