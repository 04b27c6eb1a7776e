"""Whole texts for a model that reads step by step: what it said last, or of every step.

T steps of a text, W numbers that a step reads, L labels.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.options import Options
from stepwire_server.engine.batcher import Judged, SequenceJob, Tagged
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.errors import StepwireError

_READING = Options(max_tokens=1)  # nothing is chosen

R = TypeVar("R", Judged, Tagged)
Said = list[NDArray[np.float32]]  # logits of steps, [L] each


class AlongReader(Generic[R]):
    """Stands in for a batcher of whole texts: they are rows of the running batch."""

    def __init__(
        self, engine: AnyEngine, result: Callable[[Said], R], *, every_step: bool = False
    ) -> None:
        """Makes a reader.

        Args:
            engine: steps the texts.
            result: makes that of a text of what its steps said.
            every_step: whether it wants to know of all, and not of the last alone.
        """
        self._engine = engine
        self._result: Callable[[Said], R] = result
        self._every_step = every_step

    def submit(self, jobs: Sequence[SequenceJob[R]]) -> None:
        """Queues all texts of a request, or none; raises as `Engine.submit`."""
        self._engine.submit([self._job(job) for job in jobs])

    def _job(self, text: SequenceJob[R]) -> Job:
        words = text.tokens if isinstance(text.tokens, np.ndarray) else None  # [T, W]
        return Job(
            list(text.tokens) if words is None else range(len(words)),
            _READING,
            _Reader(self._engine, text, self._result, every_step=self._every_step),
            index=text.index,
            deadline=text.deadline,
            kind=Kind.STEP,
            features=words,
        )


class _Reader(Generic[R]):
    """Waits for the last step of one text."""

    def __init__(
        self,
        engine: AnyEngine,
        text: SequenceJob[R],
        result: Callable[[Said], R],
        *,
        every_step: bool,
    ) -> None:
        self._engine = engine
        self._text: SequenceJob[R] = text
        self._result: Callable[[Said], R] = result
        self._every_step = every_step
        self._said: Said = []

    def step(self, taken: StepTaken) -> None:
        """Takes what one step gave."""
        if self._text.reader.left:
            self._engine.cancel([taken.row.job])
            return
        if self._every_step or taken.last:
            self._said.append(taken.output("logits"))
        if taken.last:
            self._text.reader.deliver(self._text.index, self._result(self._said))

    def fail(self, job: Job, error: StepwireError) -> None:
        """Learns that the text cannot be read."""
        del job
        self._text.reader.fail(error)

    def deliver(self, delivery: Delivery) -> None:
        """Nothing is drawn here."""

    def update(self, update: SearchUpdate) -> None:
        """Nothing is searched for here."""
