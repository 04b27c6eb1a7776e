"""Whole texts for a tagger that judges them: what it says of their words is not asked for."""

from collections.abc import Sequence

from stepwire_server.engine.batcher import Batcher, Judged, SequenceJob, Tagged
from stepwire_server.errors import StepwireError


class TextReader:
    """Stands in for the batcher of a classifier: texts share batches with those to tag."""

    def __init__(self, batcher: Batcher[Tagged]) -> None:
        self._batcher = batcher

    def submit(self, jobs: Sequence[SequenceJob[Judged]]) -> None:
        """Queues all texts of a request, or none; raises as `Batcher.submit`."""
        self._batcher.submit([_job(job) for job in jobs])


def _job(text: SequenceJob[Judged]) -> SequenceJob[Tagged]:
    reader = _Reader(text)
    reader.job = SequenceJob[Tagged](
        tokens=text.tokens, reader=reader, index=text.index, deadline=text.deadline
    )
    return reader.job


class _Reader:
    """Waits for what is said of one text."""

    job: SequenceJob[Tagged]  # that it waits for

    def __init__(self, text: SequenceJob[Judged]) -> None:
        self._text = text

    @property
    def left(self) -> bool:
        """Whether nobody waits any more."""
        return self._text.reader.left

    def deliver(self, index: int, result: Tagged) -> None:
        """Takes what a text gave; the loader wires no model here that says nothing of texts."""
        assert result.text_logits is not None
        self._text.timing = self.job.timing
        self._text.reader.deliver(index, Judged(result.text_logits))

    def fail(self, error: StepwireError) -> None:
        """Learns that the text cannot be read."""
        self._text.reader.fail(error)
