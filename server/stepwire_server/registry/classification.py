"""A model that labels whole texts."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

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


# What is called with the verdicts, and what with an error.
Told = tuple[Callable[[list[Classification]], None], Callable[[StepwireError], None]]


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
        encoded = await self._tokenizer.encode_all(_fields(texts), texts, truncate=truncate)
        found: asyncio.Future[list[Classification]] = asyncio.get_running_loop().create_future()
        leave = self._submit(encoded, top_k, deadline, (_unless_done(found), _failing(found)))
        try:
            return await found
        finally:
            leave()

    def begin(
        self, texts: Sequence[str], top_k: int, deadline: float | None, told: Told
    ) -> Callable[[], None]:
        """The same for texts that are not long, without a task of its own.

        Args:
            texts: at least one, not long together (`text.are_long`).
            top_k: how many labels to give for each.
            deadline: of the monotonic clock; it bounds the time in the queue.
            told: what is called with the verdicts, and what with an error.

        Returns:
            What takes the texts out of the queue again.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was done.
        """
        return self._submit(
            self._tokenizer.encode_now(_fields(texts), texts), top_k, deadline, told
        )

    def _submit(
        self,
        encoded: Sequence[tuple[list[int], bool]],
        top_k: int,
        deadline: float | None,
        told: Told,
    ) -> Callable[[], None]:
        jobs: list[SequenceJob[Result]] = []

        def rank(results: Sequence[Result]) -> None:
            told[0](
                [
                    Classification(
                        labels=self._rank(result, top_k),
                        token_count=len(tokens),
                        truncated=truncated,
                        timing=job.timing,
                    )
                    for result, (tokens, truncated), job in zip(results, encoded, jobs, strict=True)
                ]
            )

        answers = Answers(len(encoded), rank, told[1])
        jobs += [
            SequenceJob[Result](
                tokens=self._spoken(index, tokens), reader=answers, index=index, deadline=deadline
            )
            for index, (tokens, _) in enumerate(encoded)
        ]
        self._batcher.submit(jobs)
        return answers.leave

    def _spoken(self, index: int, tokens: list[int]) -> list[int]:
        """A text of which nothing is left says nothing: one unknown token stands for it."""
        if not tokens and self._unknown is None:
            raise InvalidRequest.of(f"texts[{index}]", "hold at least one token", "none")
        return tokens or [cast(int, self._unknown)]

    def _rank(self, logits: Result, top_k: int) -> tuple[tuple[str, float], ...]:
        # For a handful of labels plain Python is quicker than arrays.
        values = logits.tolist()
        weights = [math.exp(value - max(values)) for value in values]
        order = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top_k]
        return tuple((self.labels[index], weights[index] / sum(weights)) for index in order)


def _fields(texts: Sequence[str]) -> list[str]:
    return [f"texts[{index}]" for index in range(len(texts))]


def _unless_done(found: asyncio.Future[Any]) -> Callable[[Any], None]:
    return lambda value: None if found.done() else found.set_result(value)


def _failing(found: asyncio.Future[Any]) -> Callable[[StepwireError], None]:
    return lambda error: None if found.done() else found.set_exception(error)


class Answers:
    """The results of one call's texts as they come in, on the event loop's thread."""

    def __init__(
        self,
        count: int,
        done: Callable[[Sequence[Result]], None],
        failed: Callable[[StepwireError], None],
    ) -> None:
        self._results: list[Result | None] = [None] * count
        self._missing = count
        self._done, self._failed = done, failed
        self.left = False

    def deliver(self, index: int, result: Result) -> None:
        """Takes the result of one text."""
        self._results[index] = result
        self._missing -= 1
        if not self._missing and not self.left:
            self.left = True
            self._done(cast(list[Result], self._results))

    def fail(self, error: StepwireError) -> None:
        """Ends the call; what else comes in is not looked at."""
        if not self.left:
            self.left = True
            self._failed(error)

    def leave(self) -> None:
        """Takes what still waits out of the queue."""
        self.left = True
