"""Whole sequences, batched by length.

A row is padded to the smallest bucket that holds it and never to its neighbours' length,
so that its result depends on itself alone. Shapes: N rows, T bucket, W numbers of a place.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.sources import Source
from stepwire_server.engine.tensors import NO_TIMING, Timing
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    Overloaded,
    ShuttingDown,
    StepwireError,
    check_range,
)
from stepwire_server.metrics import ModelMetrics

log = logging.getLogger(__name__)

LONGEST_GATHERING_S = 0.005  # for which a text may wait for company
QUIET_S = 0.001  # nobody came for as long: nobody is coming


class Judged(NamedTuple):
    """What a classifier gives for one row."""

    logits: NDArray[np.float32]  # [labels]
    attention: NDArray[np.float32] | None = None  # [T], of a graph that tells where it looked

    @property
    def arrays(self) -> list[NDArray[np.float32]]:
        """All of it."""
        return [self.logits] if self.attention is None else [self.logits, self.attention]


class Tagged(NamedTuple):
    """What a tagger gives for one row."""

    logits: NDArray[np.float32]  # of its words, [T, labels]
    text_logits: NDArray[np.float32] | None = None  # [text labels], of one that judges texts too

    @property
    def arrays(self) -> list[NDArray[np.float32]]:
        """All of it."""
        return [self.logits] if self.text_logits is None else [self.logits, self.text_logits]


class Placed(NamedTuple):
    """What a model of word vectors gives for one row."""

    vector: NDArray[np.float32]  # [E]
    cosines: NDArray[np.float32]  # with every word that is known, [V]

    @property
    def arrays(self) -> list[NDArray[np.float32]]:
        """All of it."""
        return [self.vector, self.cosines]


Numbers = Sequence[int] | NDArray[np.int64]  # of a text's tokens, [T]; or W a place, [T, W]
R = TypeVar("R", Judged, Tagged, Placed, Source)
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class SequenceModel(Protocol[R_co]):
    """A model of whole sequences."""

    def run(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> Sequence[R_co]:
        """Takes [N, T], or [N, T, W], and [N]; returns N results."""
        ...


class Reader(Protocol[R_contra]):
    """Who waits for results. Called on its own thread only."""

    @property
    def left(self) -> bool:
        """Whether nobody waits any more; set by the reader, read by the batcher."""
        ...

    def deliver(self, index: int, result: R_contra) -> None:
        """Takes the result of the sequence with this index."""
        ...

    def fail(self, error: StepwireError) -> None:
        """Learns that a result will not come."""
        ...


@dataclass(eq=False, kw_only=True)
class SequenceJob(Generic[R]):
    """One sequence to run."""

    tokens: Numbers  # at least one
    reader: Reader[R]
    index: int  # among its reader's sequences
    deadline: float | None  # of the monotonic clock
    arrived_at: float = 0.0
    started_at: float = 0.0
    timing: Timing = NO_TIMING  # known when the result is


class Batcher(Generic[R]):
    """Runs what waits, longest-waiting bucket first.

    Where texts were there together a run waits a moment until as many are there again: it
    costs little more with many rows than with few, and calls that are answered together ask
    again one by one. Who is alone never waits. Several threads may call `run`.
    """

    def __init__(
        self,
        model: SequenceModel[R],
        buckets: tuple[int, ...],
        config: BatchingConfig,
        metrics: ModelMetrics,
        outbox: Outbox,
        pad: int = 0,
    ) -> None:
        """Makes a batcher.

        Args:
            model: what runs.
            buckets: padded lengths, ascending.
            config: limits of batch and queue.
            metrics: of this model.
            outbox: the way back to the callers.
            pad: the token that fills a row up to its bucket.
        """
        self._model: SequenceModel[R] = model
        self._pad = pad
        self._buckets = buckets
        self._config = config
        self._metrics = metrics
        self._outbox = outbox
        self._wake = threading.Condition()  # guards the rest
        self._queues: dict[int, deque[SequenceJob[R]]] = {bucket: deque() for bucket in buckets}
        self._waiting = 0
        self._sleeping = 0  # threads that wait for work
        self._expected = 1  # texts that will wait at once, by what the last run left and took
        self._stopping = False

    def submit(self, sequences: Sequence[SequenceJob[R]]) -> None:
        """Queues all sequences of a request, or none; raises Overloaded or ShuttingDown."""
        with self._wake:
            if self._stopping:
                raise ShuttingDown("the server is shutting down")
            most = self._config.max_waiting_sequences
            check_range("number of texts", len(sequences), 1, most)
            if self._waiting + len(sequences) > most:
                raise Overloaded(
                    f"{self._waiting} texts are waiting, {self._config.max_waiting_sequences} may",
                    retry_after_s=0.5,
                )
            now = time.monotonic()
            for sequence in sequences:
                sequence.arrived_at = now
                self._queues[self._bucket(len(sequence.tokens))].append(sequence)
            self._waiting += len(sequences)
            self._metrics.waiting.set(self._waiting)
            if self._sleeping:  # who gathers looks by itself; to wake it for each would cost more
                self._wake.notify()

    def stop(self) -> None:
        """Ends `run`; whatever waits fails with ShuttingDown."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def run(self) -> None:
        """Runs batches while there are any, sleeps while there are none, until `stop`."""
        while True:
            with self._wake:
                if not self._await_work():
                    break
                bucket, batch = self._take()
            if batch:
                self._run_batch(bucket, batch)
                self._expected = len(batch) + self._waiting
            self._outbox.flush()
        self._fail_waiting()

    def _await_work(self) -> bool:
        """Waits until something is to be run; False: until `stop`. The lock is held."""
        while not self._stopping:
            if self._waiting:
                self._gather()
                if self._waiting:  # meanwhile another thread may have taken what was there
                    break
            self._sleeping += 1
            self._wake.wait()
            self._sleeping -= 1
        return not self._stopping

    def _gather(self) -> None:
        """Lets those come who came together before; the lock is held."""
        wanted = min(self._expected, self._config.max_batch)
        gives_up_at = time.monotonic() + LONGEST_GATHERING_S
        while self._waiting < wanted and not self._stopping:
            before = self._waiting
            self._wake.wait(QUIET_S)
            if self._waiting == before or time.monotonic() >= gives_up_at:
                break

    def _bucket(self, length: int) -> int:
        return next(bucket for bucket in self._buckets if bucket >= length)

    def _take(self) -> tuple[int, list[SequenceJob[R]]]:
        """Takes a batch from the queue whose head has waited longest; the lock is held."""
        bucket = min(
            (b for b, queue in self._queues.items() if queue),
            key=lambda b: self._queues[b][0].arrived_at,
        )
        queue, now = self._queues[bucket], time.monotonic()
        batch: list[SequenceJob[R]] = []
        while queue and len(batch) < self._config.max_batch:
            sequence = queue.popleft()
            self._waiting -= 1
            if self._is_wanted(sequence, now):
                batch.append(sequence)
        self._metrics.waiting.set(self._waiting)
        return bucket, batch

    def _is_wanted(self, sequence: SequenceJob[R], now: float) -> bool:
        if sequence.reader.left:
            self._metrics.cancelled_waiting.inc()
            return False
        if sequence.deadline is not None and sequence.deadline <= now:
            self._metrics.dropped.inc()
            error = DeadlineExceeded("the deadline passed before the work began")
            self._outbox.add(sequence.reader.fail, error)
            return False
        sequence.started_at = now
        self._metrics.queue_seconds.observe(now - sequence.arrived_at)
        return True

    def _run_batch(self, bucket: int, batch: list[SequenceJob[R]]) -> None:
        began = time.monotonic()
        lengths = np.array([len(sequence.tokens) for sequence in batch], np.int64)
        first = batch[0].tokens
        place: tuple[int, ...] = first.shape[1:] if isinstance(first, np.ndarray) else ()
        tokens = np.full((len(batch), bucket, *place), self._pad, np.int64)  # [N, T] or [N, T, W]
        for row, sequence in zip(tokens, batch, strict=True):
            row[: len(sequence.tokens)] = sequence.tokens
        try:
            results = list(self._model.run(tokens, lengths))
            assert len(results) == len(batch), f"{len(results)} results for {len(batch)} rows"
        except Exception:
            log.exception("batch failed", extra={"rows": len(batch)})
            self._fail(batch, InternalError("the model could not be run"))
            return
        self._measure(began, bucket, lengths)
        ran_s = time.monotonic() - began
        for sequence, result in zip(batch, results, strict=True):
            queue_s = sequence.started_at - sequence.arrived_at
            sequence.timing = Timing(queue_s=queue_s, infer_s=ran_s, batch=len(batch))
            self._answer(sequence, result)

    def _answer(self, sequence: SequenceJob[R], result: R) -> None:
        if _is_finite(result):
            self._outbox.add(sequence.reader.deliver, sequence.index, result)
        else:
            self._fail([sequence], InternalError("the model gave numbers that are not finite"))

    def _measure(self, began: float, bucket: int, lengths: NDArray[np.int64]) -> None:
        self._metrics.step_seconds.observe(time.monotonic() - began)
        self._metrics.step_rows.observe(len(lengths))
        self._metrics.input_tokens.inc(int(lengths.sum()))
        self._metrics.padding_tokens.inc(int(bucket * len(lengths) - lengths.sum()))

    def _fail(self, sequences: list[SequenceJob[R]], error: StepwireError) -> None:
        for sequence in sequences:
            self._outbox.add(sequence.reader.fail, error)

    def _fail_waiting(self) -> None:
        with self._wake:
            left = [sequence for queue in self._queues.values() for sequence in queue]
            for queue in self._queues.values():
                queue.clear()
            self._waiting = 0
        self._fail(left, ShuttingDown("the server is shutting down"))
        self._outbox.flush()


def _is_finite(result: Judged | Tagged | Placed | Source) -> bool:
    return all(bool(np.isfinite(array).all()) for array in result.arrays)
