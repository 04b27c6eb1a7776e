"""How models that answer are scored: by how likely they find the answers that were given.

There is no one right answer, so nothing is translated and compared: `Score` tells what each token
of a given answer costs, its end with them.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.client import Client

PERPLEXITY, BY_CHARACTERS = "perplexity", "perplexity by characters"
TOLERANCE = 0.1  # of a perplexity
PAIRS_PER_CALL = 64


class Answered(NamedTuple):
    """What was said, and what was answered."""

    source: str
    target: str
    known: bool  # whether the answer also stands in a pair that was learned from


def answering(
    read: Callable[[], Sequence[Answered]], swapped: Callable[[], Sequence[Answered]]
) -> tuple[Evaluation, Evaluation]:
    """A model's figures on the test split, and behind questions that were not those asked."""
    figures = (
        _figure(PERPLEXITY, "test", "tokens"),
        _figure(BY_CHARACTERS, "test", "characters"),
        _figure(PERPLEXITY, "test, answers of training", "tokens", known=True),
        _figure(PERPLEXITY, "test, new answers", "tokens", known=False),
    )
    other = _figure(PERPLEXITY, "test, other questions", "tokens")
    return (
        Evaluation(read=read, ask=costs, figures=figures, per_call=PAIRS_PER_CALL),
        Evaluation(read=swapped, ask=costs, figures=(other,), per_call=PAIRS_PER_CALL),
    )


def costs(client: Client, model: str, examples: Sequence[Answered]) -> list[list[float]]:
    """What each token of the answers costs, in nats."""
    sources = [example.source for example in examples]
    scores = client.score(model, [example.target for example in examples], sources=sources)
    return [[-token.logprob for token in score.tokens] for score in scores]


def _figure(name: str, split: str, unit: str, *, known: bool | None = None) -> Figure:
    """Of all answers, or of those that are known or not; an end is a token and a character."""

    def measure(examples: Sequence[Answered], answers: Sequence[Sequence[float]]) -> Measured:
        chosen = [
            (example, nats)
            for example, nats in zip(examples, answers, strict=True)
            if known in (None, example.known)
        ]
        counted = sum(
            len(example.target) + 1 if unit == "characters" else len(nats)
            for example, nats in chosen
        )
        mean = Measured.mean(math.fsum(math.fsum(nats) for _, nats in chosen), counted)
        return mean._replace(value=math.exp(mean.value))

    return Figure(metric=name, split=split, unit=unit, measure=measure, tolerance=TOLERANCE)
