"""How likely a model finds given texts."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from stepwire_server.decoding.options import Options
from stepwire_server.engine.job import Job, Kind
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.engine.sources import Source
from stepwire_server.registry.stream import DeliveryStream
from stepwire_server.registry.text import Prompt


@dataclass(frozen=True, kw_only=True)
class ScoreInput:
    """A text to score, and what it translates."""

    target: Prompt
    source: Prompt | None = None


@dataclass(kw_only=True)
class Score:
    """How likely one text is."""

    index: int  # of the text in its request
    tokens: list[tuple[int, float]] = field(default_factory=list)  # with log-probabilities

    @property
    def logprob(self) -> float:
        """Sum of the log-probabilities."""
        return math.fsum(logprob for _, logprob in self.tokens)

    @property
    def perplexity(self) -> float:
        """Exp of the mean negative log-probability; 1 where nothing was predicted."""
        return math.exp(-self.logprob / len(self.tokens)) if self.tokens else 1.0


class ScoringModel:
    """A model that can say how likely texts are."""

    def token_text(self, token: int) -> str:
        """The text of one token by itself."""
        raise NotImplementedError

    def score(
        self, inputs: Sequence[ScoreInput], deadline: float | None
    ) -> AsyncGenerator[list[Score], None]:
        """Says how likely texts are.

        Args:
            inputs: at least one.
            deadline: of the monotonic clock; it bounds the time in the queues.

        Yields:
            Scores, as they are ready.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was started.
        """
        raise NotImplementedError


@dataclass(kw_only=True)
class ScoringJob:
    """What to read, and what to look at meanwhile."""

    prompt: Sequence[int]  # each token but the first is scored
    source: Source | None = None


def scoring_jobs(
    prompts: Sequence[Sequence[int]], sources: Sequence[Source] | None = None
) -> list[ScoringJob]:
    """Pairs prompts with what they translate."""
    looked: Sequence[Source | None] = sources or [None] * len(prompts)
    return [
        ScoringJob(prompt=prompt, source=source)
        for prompt, source in zip(prompts, looked, strict=True)
    ]


async def score_all(
    engine: AnyEngine, asked: Sequence[ScoringJob], deadline: float | None, buffer_tokens: int
) -> AsyncGenerator[list[Score], None]:
    """Scores texts.

    Args:
        engine: steps the model.
        asked: at least one; a prompt of one token has nothing to predict.
        deadline: of the monotonic clock; it bounds the time in the queue.
        buffer_tokens: undelivered tokens at which a job is parked.

    Yields:
        Scores, as they are complete.

    Raises:
        Overloaded, ShuttingDown: nothing was started.
    """
    stream = DeliveryStream(engine, buffer_tokens)
    scores = {index: Score(index=index) for index in range(len(asked))}
    jobs = [
        Job(
            entry.prompt,
            Options(max_tokens=1),
            stream,
            index=index,
            deadline=deadline,
            kind=Kind.SCORE,
            source=entry.source,
        )
        for index, entry in enumerate(asked)
        if len(entry.prompt) > 1
    ]
    empty = [score for score in scores.values() if len(asked[score.index].prompt) <= 1]
    if jobs:
        engine.submit(jobs)
    try:
        if empty:
            yield empty
        left = len(jobs)
        while left:
            ready = []
            for delivery in (await stream.take())[0]:
                score = scores[delivery.job.index]
                for token in delivery.tokens:
                    score.tokens.append((token, delivery.logprob))
                if delivery.ended:
                    ready.append(score)
            left -= len(ready)
            if ready:
                yield ready
    finally:
        engine.cancel(jobs)
