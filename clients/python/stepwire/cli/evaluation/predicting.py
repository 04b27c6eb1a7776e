"""How models of text are scored: by what each token of it costs them.

A figure is of a text as one sequence, whose state is carried from its first token to its last.
Through `Score` it is read in passages, side by side, each of which begins some way before what
counts: a recurrent state forgets how it began. What differs is the very beginning. `Score` reads
the token that stands before every sequence first, and a text that begins in the middle of a line
surprises a model then for a few characters: 15 nats of 111,539 tokens with `shakespeare-gru`,
which is all that its figure is off by.

A text that is told by words is read in passages of whole lines, and its figure counts them: all
nats over all words, and an end mark a line.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.client import Client

COUNTED = 2_048  # characters of a passage that count
BEFORE = 512  # that are only read
COUNTED_IN_LINES = 8_000  # and the rest of the last line
LINES_BEFORE = 8
LINES_PER_CALL = 8  # scoring thousands of words at each place takes its time


class Passage(NamedTuple):
    """A part of a text."""

    text: str
    before: int  # tokens at its beginning that are read and do not count


class Lines(NamedTuple):
    """Some lines of a text."""

    text: str
    before: int  # lines at its beginning that are read and do not count
    words: int  # of those that do, an end mark for each line with them


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


def by_words(read: Callable[[], Sequence[Lines]], split: str) -> Evaluation:
    """The perplexity of the words of a text, and the loss of its tokens."""
    figures = (
        Figure(metric="perplexity", split=split, unit="words", measure=_perplexity, tolerance=0.1),
        Figure(metric="loss", split=split, unit="tokens", measure=nats),
    )
    return Evaluation(read=read, ask=_costs_behind, figures=figures, per_call=LINES_PER_CALL)


def lines(text: str) -> list[Lines]:
    """A text whose every line ends with a line end."""
    whole, found, first = text.split("\n")[:-1], list[Lines](), 0
    while first < len(whole):
        after, size = first, 0
        while after < len(whole) and (size < COUNTED_IN_LINES or after == first):
            size += len(whole[after])
            after += 1
        begin = max(0, first - LINES_BEFORE)
        counted = "".join(f"{line}\n" for line in whole[first:after])
        words = len(counted.split()) + after - first
        before = "".join(f"{line}\n" for line in whole[begin:first])
        found.append(Lines(before + counted, first - begin, words))
        first = after
    return found


def _costs_behind(client: Client, model: str, examples: Sequence[Lines]) -> list[list[float]]:
    """What each token of the lines that count costs, in nats."""
    scores = client.score(model, [example.text for example in examples])
    costs = []
    for score, example in zip(scores, examples, strict=True):
        ends = [place for place, token in enumerate(score.tokens) if "\n" in token.text]
        first = ends[example.before - 1] + 1 if example.before else 0
        costs.append([-token.logprob for token in score.tokens[first:]])
    return costs


def _perplexity(examples: Sequence[Lines], answers: Sequence[Sequence[float]]) -> Measured:
    words = sum(example.words for example in examples)
    mean = Measured.mean(math.fsum(map(math.fsum, answers)), words)
    return mean._replace(value=math.exp(mean.value))
