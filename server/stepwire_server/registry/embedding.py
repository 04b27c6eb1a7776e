"""A model of word vectors: what words are, what is near them, and what fits an analogy.

V words, E values of a vector, M words of a question or a text.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.batcher import Batcher, Placed, SequenceJob
from stepwire_server.engine.tensors import NO_TIMING, Timing
from stepwire_server.registry.classification import Answers
from stepwire_server.registry.known_words import KnownWords, Origin, Word
from stepwire_server.registry.nearest import Near, added, multiplied, nearest
from stepwire_server.registry.text import are_long

# Of a call at once: a word's answer holds a number for every word that is known, and nobody's
# call may fill the memory with them.
AT_ONCE = 256
# Of more together the nearest are looked for in a thread, so that the event loop goes on: it
# takes a third of a millisecond for each.
_FEW = 4

T = TypeVar("T")


class Given(NamedTuple):
    """A word to embed, or a text."""

    text: str
    is_word: bool


class Question(NamedTuple):
    """What to be near to, and what to be far from."""

    positive: Sequence[str]
    negative: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How many words are wanted for each question, and by which method."""

    k: int
    multiply: bool = False  # 3CosMul instead of 3CosAdd


class Embedded(NamedTuple):
    """The vector of a word or a text."""

    vector: NDArray[np.float32] | None  # [E]; None where nothing of it is known
    words: list[Word]
    timing: Timing = NO_TIMING


class Answered(NamedTuple):
    """What is near a word, or fits a question."""

    words: list[Word]  # that were asked with
    answers: list[Near]  # none where one of those has no vector


class EmbeddingModel:
    """Looks words up, hands them to the batcher, and compares what comes back."""

    def __init__(self, batcher: Batcher[Placed], words: KnownWords) -> None:
        self._batcher = batcher
        self._words = words

    async def embed(self, inputs: Sequence[Given], deadline: float | None) -> list[Embedded]:
        """Gives words and texts their vectors.

        Args:
            inputs: at least one.
            deadline: of the monotonic clock; it bounds the time in the queue.

        Returns:
            One result for each input, in order.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing is left to be done.
            DeadlineExceeded: it passed while a word was queued.
        """

        def read() -> list[list[Word]]:
            return [self._given(f"inputs[{index}]", given) for index, given in enumerate(inputs)]

        groups = await self._beside([given.text for given in inputs], read)

        def embedded(index: int, placed: Sequence[Placed], timing: Timing) -> Embedded:
            vector = _vector(placed, inputs[index].is_word) if placed else None
            return Embedded(vector, groups[index], timing)

        return await self._each(groups, embedded, deadline)

    async def neighbors(
        self, words: Sequence[str], k: int, deadline: float | None
    ) -> list[Answered]:
        """Gives words their nearest; the rest is as in `embed`."""

        def read() -> list[list[Word]]:
            return [
                [self._words.look_up(f"words[{index}]", word)] for index, word in enumerate(words)
            ]

        groups = await self._beside(words, read)
        return await self._answers(
            groups, k, lambda index, cosines: np.clip(cosines[0], -1, 1), deadline
        )

    async def analogy(
        self, questions: Sequence[Question], asking: Asking, deadline: float | None
    ) -> list[Answered]:
        """Gives questions the words that fit; the rest is as in `embed`."""

        def read() -> list[list[Word]]:
            return [
                self._asked(f"questions[{index}]", question)
                for index, question in enumerate(questions)
            ]

        flat = [word for question in questions for words in question for word in words]
        groups = await self._beside(flat, read)
        method = multiplied if asking.multiply else added

        def scored(index: int, cosines: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
            count = len(questions[index].positive)
            return method(cosines[:count], cosines[count:])

        return await self._answers(groups, asking.k, scored, deadline)

    async def _answers(
        self,
        groups: Sequence[list[Word]],
        k: int,
        scored: Callable[[int, Sequence[NDArray[np.float32]]], NDArray[np.float32]],
        deadline: float | None,
    ) -> list[Answered]:
        """The words of the highest scores [V] for each group whose words all have vectors."""
        whole = [group if _have_vectors(group) else [] for group in groups]

        def answered(index: int, placed: Sequence[Placed], timing: Timing) -> Answered:
            del timing
            if not placed:
                return Answered(groups[index], [])
            scores = scored(index, [each.cosines for each in placed])
            own = [word.numbers[0] for word in groups[index] if word.origin is Origin.WORD]
            return Answered(groups[index], nearest(scores, k, own, self._words.vocabulary))

        return await self._each(whole, answered, deadline)

    async def _each(
        self,
        groups: Sequence[list[Word]],
        reduced: Callable[[int, Sequence[Placed], Timing], T],
        deadline: float | None,
    ) -> list[T]:
        """Runs the words of all groups, so many at once, and makes of each group what is told.

        A call that is refused on its way has changed nothing: it may be made again.
        """
        results: list[T] = []
        for places in _parts([sum(map(_has_vector, group)) for group in groups]):
            rows = [word for place in places for word in groups[place] if _has_vector(word)]
            placed, timing = await self._run(rows, deadline)

            def reduce(
                places: range = places, placed: Sequence[Placed] = placed, timing: Timing = timing
            ) -> list[T]:
                left = iter(placed)
                return [
                    reduced(place, [next(left) for word in groups[place] if word.numbers], timing)
                    for place in places
                ]

            results += await asyncio.to_thread(reduce) if len(rows) > _FEW else reduce()
        return results

    async def _run(
        self, words: Sequence[Word], deadline: float | None
    ) -> tuple[Sequence[Placed], Timing]:
        """What the graph says of words, all of which have vectors."""
        if not words:
            return [], NO_TIMING
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answers = Answers[Placed](
            len(words),
            lambda results: None if found.done() else found.set_result(results),
            lambda error: None if found.done() else found.set_exception(error),
        )
        jobs = [
            SequenceJob[Placed](tokens=word.numbers, reader=answers, index=index, deadline=deadline)
            for index, word in enumerate(words)
        ]
        self._batcher.submit(jobs)
        try:
            return await found, jobs[-1].timing
        finally:
            answers.leave()

    async def _beside(self, texts: Sequence[str], read: Callable[[], T]) -> T:
        """Reads texts, beside the event loop if it takes long."""
        return await asyncio.to_thread(read) if are_long(texts) else read()

    def _given(self, field: str, given: Given) -> list[Word]:
        if given.is_word:
            return [self._words.look_up(f"{field}.word", given.text)]
        return self._words.cut(f"{field}.text", given.text)

    def _asked(self, field: str, question: Question) -> list[Word]:
        return [
            self._words.look_up(f"{field}.{side}[{place}]", word)
            for side, words in zip(Question._fields, question, strict=True)
            for place, word in enumerate(words)
        ]


def _has_vector(word: Word) -> bool:
    return bool(word.numbers)


def _have_vectors(words: Sequence[Word]) -> bool:
    return all(map(_has_vector, words))


def _parts(counts: Sequence[int]) -> Iterator[range]:
    """Groups of so many words as ranges of about AT_ONCE words each."""
    first, total = 0, 0
    for place, count in enumerate(counts):
        if total and total + count > AT_ONCE:
            yield range(first, place)
            first, total = place, 0
        total += count
    yield range(first, len(counts))


def _vector(placed: Sequence[Placed], is_word: bool) -> NDArray[np.float32]:
    """The vector of a word, or the mean of words' vectors of length one, [E]."""
    if is_word:
        return placed[0].vector
    vectors = np.stack([each.vector for each in placed])  # [M, E]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    mean: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).mean(axis=0)
    return mean
