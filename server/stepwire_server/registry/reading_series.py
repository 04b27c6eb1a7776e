"""Whole series through the running batch: histories first, then the model's own predictions.

Shapes: T rows of a history, F columns, H the model's own horizon, R rows asked for, C targets.
"""

import asyncio
import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.options import Options
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.errors import InternalError, StepwireError

log = logging.getLogger(__name__)

# A history gives its row of the batch back after so many steps and queues again: a step of a
# session does not wait for the end of somebody's year of hours.
ROWS_AT_ONCE = 256
_READING = Options(max_tokens=1)  # nothing is chosen

Rows = NDArray[np.float32]


class Reading:
    """One series on its way: what is still to be read, and what was predicted so far.

    Plain bookkeeping: it is given pieces' outcomes and tells the next piece.
    """

    def __init__(
        self, *, rows: Rows, horizon: int, feedback: Sequence[int] | None, scored: bool
    ) -> None:
        """Begins a series.

        Args:
            rows: the history, [T, F].
            horizon: R.
            feedback: [F], which target each column is; None where R is at most H.
            scored: whether to keep how surprising each row of the history was.
        """
        self.surprises = np.zeros(len(rows) if scored else 0, np.float32)  # [T]
        self.packed = b""  # the state after what was read; empty: the model's start
        self._unread = rows
        self._count = 0  # rows read
        self._horizon = horizon
        self._feedback = feedback
        self._blocks: list[tuple[Rows, Rows]] = []  # values and spread, [H, C] each

    @property
    def piece(self) -> Rows:
        """What to read next, [n, F]; nothing once all is predicted."""
        return self._unread[:ROWS_AT_ONCE]

    @property
    def wanted(self) -> frozenset[str]:
        """What the steps of the piece must tell beside the values."""
        return frozenset(("spread", "score") if self.scoring else ("spread",))

    @property
    def values(self) -> Rows:
        """What is expected, [R, C]."""
        return np.concatenate([values for values, _ in self._blocks])[: self._horizon]

    @property
    def spread(self) -> Rows:
        """Its standard deviations, [R, C]."""
        return np.concatenate([spread for _, spread in self._blocks])[: self._horizon]

    @property
    def scoring(self) -> bool:
        """Whether each step of the piece counts, and not only the last.

        Predictions that are fed back are never scored: they surprise nobody.
        """
        return self._count < len(self.surprises)

    def take(self, taken: StepTaken) -> None:
        """Takes what one step gave; the last of a piece moves the reading on."""
        if self.scoring:
            self.surprises[self._count + taken.number] = taken.output("score").item()
        if taken.last:
            self._go_on(taken)

    def _go_on(self, taken: StepTaken) -> None:
        read = len(self.piece)
        self._count += read
        self._unread = self._unread[read:]
        if len(self._unread):
            return
        # Copies, because a step's arrays are those of its whole batch.
        values, spread = (taken.output(role).copy() for role in ("values", "spread"))
        self._blocks.append((values, spread))
        if len(self._blocks) * len(values) < self._horizon:
            assert self._feedback is not None
            self._unread = values[:, self._feedback]


class ReadingCall:
    """The readings of one call: each is one job of the engine at a time.

    Lives on the event loop's thread, and is the sink of all its jobs: so the call takes turns
    with others as one, however many histories it brings.
    """

    def __init__(
        self,
        engine: AnyEngine,
        readings: Sequence[Reading],
        deadline: float | None,
    ) -> None:
        self._engine = engine
        self._readings = readings
        self._deadline = deadline
        self._jobs: dict[int, Job] = {}  # by the index of the reading; those that are under way
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Reads everything; leaving early takes what is left out of the engine.

        Raises:
            Overloaded, ShuttingDown: nothing was begun.
            DeadlineExceeded, InternalError, ShuttingDown: a reading failed, and so all did.
        """
        jobs = [self._job(index) for index in range(len(self._readings))]
        self._engine.submit(jobs)
        try:
            await self._done
        finally:
            self._engine.cancel(list(self._jobs.values()))

    def step(self, taken: StepTaken) -> None:
        """Takes what one step gave."""
        if self._done.done():  # the call has failed or was left
            return
        try:
            self._take(taken)
        except StepwireError as error:
            self._fail(error)
        except Exception:
            log.exception("a forecast could not go on")
            self._fail(InternalError("the outputs of a step could not be told"))

    def fail(self, job: Job, error: StepwireError) -> None:
        """Learns that a reading cannot go on."""
        del job
        self._fail(error)

    def deliver(self, delivery: Delivery) -> None:
        """Nothing is drawn here."""

    def update(self, update: SearchUpdate) -> None:
        """Nothing is searched for here."""

    def _take(self, taken: StepTaken) -> None:
        index = taken.row.job.index
        reading = self._readings[index]
        reading.take(taken)
        if not taken.last:
            return
        del self._jobs[index]
        if len(reading.piece):
            reading.packed = taken.packed
            self._engine.go_on(self._job(index))
        elif not self._jobs:
            self._done.set_result(None)

    def _job(self, index: int) -> Job:
        reading = self._readings[index]
        piece = reading.piece
        job = Job(
            range(len(piece)),
            _READING,
            self,
            index=index,
            deadline=self._deadline,
            kind=Kind.STEP,
            packed=reading.packed,
            wanted=reading.wanted,
            every_step=reading.scoring,
            features=piece,
        )
        self._jobs[index] = job
        return job

    def _fail(self, error: StepwireError) -> None:
        if not self._done.done():
            self._done.set_exception(error)
