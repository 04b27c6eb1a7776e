"""Which jobs take the next step.

Plain bookkeeping: no clock, no arrays, no I/O, no locks. The engine guards it, and the
tests call it directly.
"""

from collections import deque
from collections.abc import Sequence

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.job import Job
from stepwire_server.errors import InvalidRequest, Overloaded


class Scheduler:
    """First come, first served.

    A wide job at the head of the queue holds up the jobs behind it; letting them pass
    would starve it for as long as narrow jobs keep arriving.
    """

    def __init__(self, config: BatchingConfig) -> None:
        self._config = config
        self._waiting: deque[Job] = deque()
        self._reserved: dict[Job, int] = {}  # slots that each running job may still need

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs in the queue, in the order of their turn."""
        return tuple(self._waiting)

    @property
    def has_waiting(self) -> bool:
        """Whether a job is in the queue."""
        return bool(self._waiting)

    @property
    def running(self) -> tuple[Job, ...]:
        """Jobs that take the next step, oldest first."""
        return tuple(self._reserved)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queues all jobs of a request, or none.

        Raises:
            InvalidRequest: one is wider than all slots together, so it could never start.
            Overloaded: the queue has no room for them.
        """
        for job in jobs:
            if job.width > self._config.max_rows:
                raise InvalidRequest.of("n", f"be at most {self._config.max_rows}", job.width)
        if len(self._waiting) + len(jobs) > self._config.max_waiting:
            raise Overloaded(
                f"{len(self._waiting)} requests are waiting, {self._config.max_waiting} may",
                retry_after_s=0.5,
            )
        self._waiting.extend(jobs)

    def bring_back(self, job: Job) -> None:
        """Queues a parked job again; it was let in once, so the limit is not its concern."""
        self._waiting.append(job)

    def admit(self) -> list[Job]:
        """Moves waiting jobs into the free places and returns those that moved."""
        admitted = []
        free = self._config.max_rows - sum(self._reserved.values())
        while self._waiting and self._waiting[0].width <= free:
            job = self._waiting.popleft()
            self._reserved[job] = job.width
            free -= job.width
            admitted.append(job)
        return admitted

    def shrink(self, job: Job) -> None:
        """Frees the places of rows that ended; a job without rows is retired."""
        if not job.rows:
            self.retire(job)
        elif job in self._reserved:
            self._reserved[job] = job.width

    def retire(self, job: Job) -> None:
        """Removes a job, wherever it is; one that is nowhere is no mistake."""
        if self._reserved.pop(job, None) is None and job in self._waiting:
            self._waiting.remove(job)

    def expired(self, now: float) -> list[Job]:
        """Takes the waiting jobs out whose deadline has passed."""
        late = [job for job in self._waiting if job.deadline is not None and job.deadline <= now]
        for job in late:
            self._waiting.remove(job)
        return late
