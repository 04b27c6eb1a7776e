"""A model that tags the words of texts.

T words, L labels.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.chain import Chain, chosen
from stepwire_server.engine.batcher import SequenceJob, Tagged
from stepwire_server.engine.tensors import NO_TIMING, Timing
from stepwire_server.errors import StepwireError
from stepwire_server.registry.classification import Answers
from stepwire_server.registry.ranking import Ranked, ranked
from stepwire_server.registry.words import Cut, Input, Words
from stepwire_zoo.manifest import Manifest

# Of more together the tags are found in a thread, so that the event loop goes on: a chain's
# take 16 microseconds a word with 7 labels, 50 with 72.
_MANY_WORDS = 200

_Ranks = tuple[tuple[Ranked, ...], Ranked]  # of a text's words, and of the text


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """A text's words and what each was tagged as."""

    cut: Cut
    tags: tuple[Ranked, ...]  # of each word
    labels: Ranked = ()  # of the whole text; none if the model has none, or it has no words
    timing: Timing = NO_TIMING  # of its run; none where there was no word


class Reader(Protocol):
    """Reads whole texts."""

    def submit(self, jobs: Sequence[SequenceJob[Tagged]]) -> None:
        """Queues all texts of a request, or none; raises Overloaded or ShuttingDown."""
        ...


class TaggingModel:
    """Cuts texts into words, hands them to the batcher, and names what comes back."""

    def __init__(self, batcher: Reader, words: Words, spec: Manifest) -> None:
        self._batcher = batcher
        self._words = words
        self.labels, self.text_labels = spec.labels, spec.text_labels
        self._tags = chosen if spec.chain is None else Chain(spec.chain).chosen

    async def tag(
        self, inputs: Sequence[Input], top_k: int, truncate: bool, deadline: float | None
    ) -> list[TaggedText]:
        """Tags texts.

        Args:
            inputs: at least one.
            top_k: how many tags to give for each word.
            truncate: keep the first words of what is over the limit, instead of refusing the call.
            deadline: of the monotonic clock; it bounds the time in the queue.

        Returns:
            One result for each input, in order.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was done.
            DeadlineExceeded: it passed while a text was queued.
        """
        cuts = await self._words.cut_all(inputs, truncate=truncate)
        # A text without words has no tags: nothing is run for it.
        jobs, results = await self._run([cut for cut in cuts if cut.words], deadline)
        if sum(len(result.logits) for result in results) > _MANY_WORDS:
            found = await asyncio.to_thread(self._rank_all, results, top_k)
        else:
            found = self._rank_all(results, top_k)
        tagged = zip(found, jobs, strict=True)
        return [_tagged(cut, *next(tagged)) if cut.words else _empty(cut) for cut in cuts]

    async def _run(
        self, cuts: Sequence[Cut], deadline: float | None
    ) -> tuple[list[SequenceJob[Tagged]], Sequence[Tagged]]:
        """What was run, and the logits of every text."""
        if not cuts:
            return [], []
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(results: Sequence[Tagged]) -> None:
            if not found.done():
                found.set_result(results)

        def failed(error: StepwireError) -> None:
            if not found.done():
                found.set_exception(error)

        answers = Answers[Tagged](len(cuts), done, failed)
        jobs = [
            SequenceJob[Tagged](tokens=cut.numbers, reader=answers, index=index, deadline=deadline)
            for index, cut in enumerate(cuts)
        ]
        self._batcher.submit(jobs)
        try:
            return jobs, await found
        finally:
            answers.leave()

    def _rank_all(self, results: Sequence[Tagged], top_k: int) -> list[_Ranks]:
        return [(self._rank(result.logits, top_k), self._judged(result)) for result in results]

    def _judged(self, result: Tagged) -> Ranked:
        """What the text is as a whole, if the model says so."""
        if result.text_logits is None:
            return ()
        return ranked(result.text_logits, self.text_labels, len(self.text_labels))

    def _rank(self, logits: NDArray[np.float32], top_k: int) -> tuple[Ranked, ...]:
        """The tag that was chosen for each word, then the likeliest others."""
        places, shares = self._tags(logits)
        first = shares.copy()
        first[np.arange(len(places)), places] = 2.0  # what was chosen comes first
        orders = np.argsort(-first, axis=1, kind="stable")[:, :top_k].tolist()
        return tuple(
            tuple((self.labels[place], of_word[place]) for place in order)
            for order, of_word in zip(orders, shares.tolist(), strict=True)
        )


def _tagged(cut: Cut, ranks: _Ranks, job: SequenceJob[Tagged]) -> TaggedText:
    """What is told of a text: all its words but those that nobody asks of."""
    tags, labels = ranks
    if cut.unsaid:
        said = [place for place in range(len(tags)) if place not in cut.unsaid]
        tags = tuple(tags[place] for place in said)
        cut = cut._replace(
            words=tuple(cut.words[place] for place in said),
            spans=tuple(cut.spans[place] for place in said),
            numbers=cut.numbers[said],
            unsaid=frozenset(),
        )
    return TaggedText(cut=cut, tags=tags, labels=labels, timing=job.timing)


def _empty(cut: Cut) -> TaggedText:
    return TaggedText(cut=cut, tags=())
