"""A model that labels whole texts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, cast

from stepwire_server.engine.batcher import Judged, Numbers, R, SequenceJob
from stepwire_server.engine.tensors import NO_TIMING, Timing
from stepwire_server.errors import InvalidRequest, StepwireError
from stepwire_server.registry.ranking import Ranked, ranked
from stepwire_server.registry.text import are_long


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What is wanted of verdicts."""

    top_k: int  # how many labels of each text
    truncate: bool = False  # cut texts over the limit instead of refusing the call
    return_attention: bool = False  # how the model weighed the tokens of each


class AttendedToken(NamedTuple):
    """A token that was read, and how much of the attention it got."""

    text: str  # as it stands in the text
    start: int  # in code points
    end: int
    weight: float  # in [0, 1]; those of a text sum to 1


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The verdict on one text."""

    labels: Ranked
    token_count: int
    truncated: bool
    tokens: tuple[AttendedToken, ...] = ()  # if the attention was asked for
    timing: Timing = NO_TIMING


Spans = list[tuple[int, int]]  # where tokens begin and end
SpansOf = Callable[[str, Any], Spans]  # of a text and its tokens
# What is called with the verdicts, and what with an error.
Told = tuple[Callable[[list[Classification]], None], Callable[[StepwireError], None]]


class Reader(Protocol):
    """Reads whole texts."""

    def submit(self, jobs: Sequence[SequenceJob[Judged]]) -> None:
        """Queues all texts of a request, or none; raises Overloaded or ShuttingDown."""
        ...


class Texts(Protocol):
    """Turns texts into what a graph reads."""

    @property
    def nothing(self) -> Numbers | None:
        """What stands for a text of which nothing is left; None: such a text is refused."""
        ...

    def encode_now(
        self, fields: Sequence[str], texts: Sequence[str], *, truncate: bool = False
    ) -> Sequence[tuple[Numbers, bool]]:
        """Each text in numbers, and whether it was cut; raises InvalidRequest by its field."""
        ...


class _Read(NamedTuple):
    """A text as it is read."""

    text: str
    tokens: Numbers
    truncated: bool
    spans: Spans | None  # where each token stands, if somebody asks


class ClassificationModel:
    """Tokenises texts, hands them to the batcher, and names what comes back."""

    def __init__(
        self,
        batcher: Reader,
        tokenizer: Texts,
        labels: tuple[str, ...],
        spans_of: SpansOf | None = None,
    ) -> None:
        """Makes a model.

        Args:
            batcher: runs texts.
            tokenizer: says what it is given of them.
            labels: in the order of the logits.
            spans_of: where the tokens of a text stand in it, of a model that has attention.
        """
        self._batcher = batcher
        self._tokenizer = tokenizer
        self._spans_of = spans_of
        self.labels = labels
        self.attends = spans_of is not None

    async def classify(
        self, texts: Sequence[str], wanted: Judging, deadline: float | None
    ) -> list[Classification]:
        """Labels texts.

        Args:
            texts: at least one.
            wanted: of each verdict.
            deadline: of the monotonic clock; it bounds the time in the queue.

        Returns:
            One verdict for each text, in order.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was done.
            DeadlineExceeded: it passed while a text was queued.
        """
        self._check(wanted)
        if are_long(texts):
            read = await asyncio.to_thread(self._read, texts, wanted)
        else:
            read = self._read(texts, wanted)
        found: asyncio.Future[list[Classification]] = asyncio.get_running_loop().create_future()
        leave = self._submit(read, wanted.top_k, deadline, (_unless_done(found), _failing(found)))
        try:
            return await found
        finally:
            leave()

    def begin(
        self, texts: Sequence[str], wanted: Judging, deadline: float | None, told: Told
    ) -> Callable[[], None]:
        """The same for texts that are not long, without a task of its own.

        Args:
            texts: at least one, not long together (`text.are_long`).
            wanted: of each verdict.
            deadline: of the monotonic clock; it bounds the time in the queue.
            told: what is called with the verdicts, and what with an error.

        Returns:
            What takes the texts out of the queue again.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was done.
        """
        self._check(wanted)
        return self._submit(self._read(texts, wanted), wanted.top_k, deadline, told)

    def _check(self, wanted: Judging) -> None:
        if wanted.return_attention and not self.attends:
            field, allowed = "return_attention", "not be given: the model has no attention"
            raise InvalidRequest.of(field, allowed, True)

    def _read(self, texts: Sequence[str], wanted: Judging) -> list[_Read]:
        fields = [f"texts[{index}]" for index in range(len(texts))]
        encoded = self._tokenizer.encode_now(fields, texts, truncate=wanted.truncate)
        spans_of = self._spans_of if wanted.return_attention else None
        return [
            _Read(text, tokens, truncated, spans_of(text, tokens) if spans_of else None)
            for text, (tokens, truncated) in zip(texts, encoded, strict=True)
        ]

    def _submit(
        self, texts: Sequence[_Read], top_k: int, deadline: float | None, told: Told
    ) -> Callable[[], None]:
        jobs: list[SequenceJob[Judged]] = []

        def rank(results: Sequence[Judged]) -> None:
            told[0](
                [
                    Classification(
                        labels=ranked(result.logits, self.labels, top_k),
                        token_count=len(text.tokens),
                        truncated=text.truncated,
                        tokens=_attended(text, result),
                        timing=job.timing,
                    )
                    for result, text, job in zip(results, texts, jobs, strict=True)
                ]
            )

        answers = Answers[Judged](len(texts), rank, told[1])
        jobs += [
            SequenceJob[Judged](
                tokens=self._spoken(index, text.tokens),
                reader=answers,
                index=index,
                deadline=deadline,
            )
            for index, text in enumerate(texts)
        ]
        self._batcher.submit(jobs)
        return answers.leave

    def _spoken(self, index: int, tokens: Numbers) -> Numbers:
        """A text of which nothing is left says nothing: something else stands for it."""
        if len(tokens):
            return tokens
        nothing = self._tokenizer.nothing
        if nothing is None:
            raise InvalidRequest.of(f"texts[{index}]", "hold at least one token", "none")
        return nothing


def _attended(text: _Read, result: Judged) -> tuple[AttendedToken, ...]:
    """The tokens of a text with their weights, if they were asked for.

    An empty text is read as one unknown token, which stands nowhere.
    """
    if text.spans is None or result.attention is None:
        return ()
    weighed = zip(text.spans or [(0, 0)], result.attention.tolist(), strict=True)
    return tuple(
        AttendedToken(text.text[start:end], start, end, weight) for (start, end), weight in weighed
    )


def _unless_done(found: asyncio.Future[Any]) -> Callable[[Any], None]:
    return lambda value: None if found.done() else found.set_result(value)


def _failing(found: asyncio.Future[Any]) -> Callable[[StepwireError], None]:
    return lambda error: None if found.done() else found.set_exception(error)


class Answers(Generic[R]):
    """The results of one call's texts as they come in, on the event loop's thread."""

    def __init__(
        self,
        count: int,
        done: Callable[[Sequence[R]], None],
        failed: Callable[[StepwireError], None],
    ) -> None:
        self._results: list[R | None] = [None] * count
        self._missing = count
        self._done: Callable[[Sequence[R]], None] = done
        self._failed = failed
        self.left = False

    def deliver(self, index: int, result: R) -> None:
        """Takes the result of one text."""
        self._results[index] = result
        self._missing -= 1
        if not self._missing and not self.left:
            self.left = True
            self._done(cast(list[R], self._results))

    def fail(self, error: StepwireError) -> None:
        """Ends the call; what else comes in is not looked at."""
        if not self.left:
            self.left = True
            self._failed(error)

    def leave(self) -> None:
        """Takes what still waits out of the queue."""
        self.left = True
