"""A model that labels whole texts."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from stepwire_server.engine.batcher import Result, SequenceJob
from stepwire_server.engine.tensors import NO_TIMING, Timing
from stepwire_server.errors import InvalidRequest, StepwireError
from stepwire_server.registry.text import Tokenizer
from stepwire_zoo.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The verdict on one text."""

    labels: tuple[tuple[str, float], ...]  # with probabilities, likeliest first
    token_count: int
    truncated: bool
    timing: Timing = NO_TIMING


class Reader(Protocol):
    """Reads whole texts."""

    def submit(self, jobs: Sequence[SequenceJob[Result]]) -> None:
        """Queues all texts of a request, or none; raises Overloaded or ShuttingDown."""
        ...


class ClassificationModel:
    """Tokenises texts, hands them to the batcher, and names what comes back."""

    def __init__(self, batcher: Reader, tokenizer: Tokenizer, spec: Manifest) -> None:
        self._batcher = batcher
        self._tokenizer = tokenizer
        self._unknown = spec.tokenizer.unknown
        self.labels = spec.labels

    async def classify(
        self, texts: Sequence[str], top_k: int, truncate: bool, deadline: float | None
    ) -> list[Classification]:
        """Labels texts.

        Args:
            texts: at least one.
            top_k: how many labels to give for each.
            truncate: cut texts over the limit instead of refusing the call.
            deadline: of the monotonic clock; it bounds the time in the queue.

        Returns:
            One verdict for each text, in order.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was done.
            DeadlineExceeded: it passed while a text was queued.
        """
        fields = [f"texts[{index}]" for index in range(len(texts))]
        encoded = await self._tokenizer.encode_all(fields, texts, truncate=truncate)
        answers = _Answers(len(texts))
        jobs = [
            SequenceJob[Result](
                tokens=self._spoken(field, tokens), reader=answers, index=index, deadline=deadline
            )
            for index, (field, (tokens, _)) in enumerate(zip(fields, encoded, strict=True))
        ]
        self._batcher.submit(jobs)
        results = await answers.wait()
        return [
            Classification(
                labels=self._rank(result, top_k),
                token_count=len(tokens),
                truncated=truncated,
                timing=job.timing,
            )
            for result, (tokens, truncated), job in zip(results, encoded, jobs, strict=True)
        ]

    def _spoken(self, field: str, tokens: list[int]) -> list[int]:
        """A text of which nothing is left says nothing: one unknown token stands for it."""
        if not tokens and self._unknown is None:
            raise InvalidRequest.of(field, "hold at least one token", "none")
        return tokens or [cast(int, self._unknown)]

    def _rank(self, logits: Result, top_k: int) -> tuple[tuple[str, float], ...]:
        # For a handful of labels plain Python is quicker than arrays.
        values = logits.tolist()
        weights = [math.exp(value - max(values)) for value in values]
        order = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top_k]
        return tuple((self.labels[index], weights[index] / sum(weights)) for index in order)


class _Answers:
    """The results of one call as they come in, on the event loop's thread."""

    def __init__(self, count: int) -> None:
        self._results: list[Result | None] = [None] * count
        self._missing = count
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = False

    def deliver(self, index: int, result: Result) -> None:
        """Takes the result of one text."""
        self._results[index] = result
        self._missing -= 1
        if not self._missing and not self._done.done():
            self._done.set_result(None)

    def fail(self, error: StepwireError) -> None:
        """Ends the call; what else comes in is not looked at."""
        self.left = True
        if not self._done.done():
            self._done.set_exception(error)

    async def wait(self) -> list[Result]:
        """Returns all results; leaving early takes what still waits out of the queue."""
        try:
            await self._done
        finally:
            self.left = True
        return cast(list[Result], self._results)
