"""Whole texts for a model that reads token by token: its last verdict is the verdict."""

from collections.abc import Sequence

from stepwire_server.decoding.options import Options
from stepwire_server.engine.batcher import Judged, SequenceJob
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.errors import StepwireError

_READING = Options(max_tokens=1)  # nothing is chosen


class AlongReader:
    """Stands in for the batcher of a classifier: texts are rows of the running batch."""

    def __init__(self, engine: AnyEngine) -> None:
        self._engine = engine

    def submit(self, jobs: Sequence[SequenceJob[Judged]]) -> None:
        """Queues all texts of a request, or none; raises as `Engine.submit`."""
        self._engine.submit([self._job(job) for job in jobs])

    def _job(self, text: SequenceJob[Judged]) -> Job:
        return Job(
            list(text.tokens),
            _READING,
            _Reader(self._engine, text),
            index=text.index,
            deadline=text.deadline,
            kind=Kind.STEP,
        )


class _Reader:
    """Waits for the last step of one text."""

    def __init__(self, engine: AnyEngine, text: SequenceJob[Judged]) -> None:
        self._engine = engine
        self._text = text

    def step(self, taken: StepTaken) -> None:
        """Takes what one step gave; only the last counts."""
        if self._text.reader.left:
            self._engine.cancel([taken.row.job])
        elif taken.last:
            self._text.reader.deliver(self._text.index, Judged(taken.output("logits")))

    def fail(self, job: Job, error: StepwireError) -> None:
        """Learns that the text cannot be read."""
        del job
        self._text.reader.fail(error)

    def deliver(self, delivery: Delivery) -> None:
        """Nothing is drawn here."""

    def update(self, update: SearchUpdate) -> None:
        """Nothing is searched for here."""
