"""How models of text are scored: by what each token of it costs them.

A figure is of a text as one sequence, whose state is carried from its first token to its last.
Through `Score` it is read in passages, side by side, each of which begins some way before what
counts: a recurrent state forgets how it began. What differs is the very beginning. `Score` reads
the token that stands before every sequence first, and a text that begins in the middle of a line
surprises a model then for a few characters: 15 nats of 111,539 tokens with `shakespeare-gru`,
which is all that its figure is off by.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.client import Client

COUNTED = 2_048  # characters of a passage that count
BEFORE = 512  # that are only read


class Passage(NamedTuple):
    """A part of a text."""

    text: str
    before: int  # tokens at its beginning that are read and do not count


def predicting(read: Callable[[], Sequence[Passage]], split: str) -> Evaluation:
    """The loss of a model of text."""
    figure = Figure(metric="loss", split=split, unit="tokens", measure=nats)
    return Evaluation(read=read, ask=costs, figures=(figure,))


def passages(text: str) -> list[Passage]:
    """A text of which each character is a token; the first has nothing before it to tell it."""
    found = []
    for first in range(0, len(text), COUNTED):
        begin = max(0, first - BEFORE)
        found.append(Passage(text[begin : first + COUNTED], max(1, first - begin)))
    return found


def costs(client: Client, model: str, examples: Sequence[Passage]) -> list[list[float]]:
    """What each token that counts costs, in nats."""
    scores = client.score(model, [example.text for example in examples])
    return [
        [-token.logprob for token in score.tokens[example.before :]]
        for score, example in zip(scores, examples, strict=True)
    ]


def nats(examples: Sequence[Passage], answers: Sequence[Sequence[float]]) -> Measured:
    """The mean cost of a token."""
    del examples
    return Measured.mean(math.fsum(map(math.fsum, answers)), sum(map(len, answers)))
