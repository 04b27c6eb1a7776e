"""How word vectors are scored: by how they agree with people, and by analogies."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.evaluation.word_sets import Four, Likeness
from stepwire.cli.lines import InputError
from stepwire.client import Client
from stepwire.embeddings import Question, VectorOrigin

KNOWN, MADE = "known words", "subwords too"
TOLERANCE = 1e-3


class Liked(NamedTuple):
    """What a model finds of two words."""

    cosine: float | None  # None where one has no vector
    known: bool  # whether both have vectors of their own


class Fitted(NamedTuple):
    """What a model finds of an analogy."""

    known: bool  # whether all four words have vectors of their own
    right: bool = False  # by 3CosAdd
    right_multiplied: bool = False  # by 3CosMul


def likening(read: Callable[[], Sequence[Likeness]], name: str, *, parts: bool) -> Evaluation:
    """The correlation of a model's cosines with people's scores, by rank.

    Args:
        read: the pairs.
        name: of the set.
        parts: whether the model makes vectors of parts of words, so that more pairs have one.
    """
    figures = [
        Figure(
            metric="Spearman's rho",
            split=f"{name}, {split}",
            unit="pairs",
            measure=partial(spearman, known_alone=split == KNOWN),
            tolerance=TOLERANCE,
        )
        for split in ((KNOWN, MADE) if parts else (KNOWN,))
    ]
    known = Figure(metric="known", split=name, unit="pairs", measure=coverage)
    return Evaluation(read=read, ask=liked, figures=(*figures, known))


def fitting(read: Callable[[], Sequence[Four]], name: str) -> Evaluation:
    """How many analogies of known words a model gets right."""
    split = f"{name}, {KNOWN}"
    return Evaluation(
        read=read,
        ask=fitted,
        figures=(
            Figure(metric="accuracy", split=split, unit="questions", measure=added),
            Figure(metric="accuracy, 3CosMul", split=split, unit="questions", measure=multiplied),
            Figure(metric="known", split=name, unit="questions", measure=coverage),
        ),
    )


def liked(client: Client, model: str, examples: Sequence[Likeness]) -> list[Liked]:
    """What the model finds of each pair."""
    words = sorted({word for pair in examples for word in (pair.first, pair.second)})
    found = dict(zip(words, client.embed(model, words), strict=True))
    results = []
    for pair in examples:
        first, second = found[pair.first], found[pair.second]
        both = first.vector and second.vector
        known = all(it.words[0].origin is VectorOrigin.WORD for it in (first, second))
        results.append(Liked(cosine(first.vector, second.vector) if both else None, known))
    return results


def fitted(client: Client, model: str, examples: Sequence[Four]) -> list[Fitted]:
    """What the model finds of each analogy; it is asked only about words that it knows."""
    words = sorted({word for four in examples for word in four})
    found = client.embed(model, words)
    known = {
        word
        for word, it in zip(words, found, strict=True)
        if it.words[0].origin is VectorOrigin.WORD
    }
    asked = [four for four in examples if known.issuperset(four)]
    right = [_right(client, model, asked, multiply=multiply) for multiply in (False, True)]
    answers = zip(*right, strict=True)
    return [
        Fitted(True, *next(answers)) if known.issuperset(four) else Fitted(False)
        for four in examples
    ]


def _right(client: Client, model: str, fours: Sequence[Four], *, multiply: bool) -> list[bool]:
    if not fours:
        return []
    questions = [
        Question(positive=[four.second, four.third], negative=[four.first]) for four in fours
    ]
    found = client.analogies(model, questions, k=1, multiply=multiply)
    # The vocabulary has words in lower case.
    return [
        answer.answers[0].word == four.fourth.lower()
        for answer, four in zip(found, fours, strict=True)
    ]


def spearman(
    examples: Sequence[Likeness], answers: Sequence[Liked], *, known_alone: bool
) -> Measured:
    """The correlation of ranks, of pairs of known words or of all that have vectors.

    Raises:
        InputError: there are too few pairs.
    """
    told = [
        (found.cosine, pair.score)
        for pair, found in zip(examples, answers, strict=True)
        if found.cosine is not None and (found.known or not known_alone)
    ]
    if len(told) < 2:
        raise InputError(f"pairs with vectors must be at least 2, got {len(told)}")
    first, second = (ranks(values) for values in zip(*told, strict=True))
    middle = (len(told) + 1) / 2
    first, second = ([it - middle for it in values] for values in (first, second))
    scale = math.hypot(*first) * math.hypot(*second)
    return Measured(_product(first, second) / scale if scale else 0.0, len(told))


def ranks(values: Sequence[float]) -> list[float]:
    """The place of each value in order, the mean place of all that equal it."""
    order = sorted(range(len(values)), key=values.__getitem__)
    places: dict[float, list[int]] = {}
    for place, index in enumerate(order, start=1):
        places.setdefault(values[index], []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    """The cosine of two vectors."""
    lengths = math.hypot(*first) * math.hypot(*second)
    return _product(first, second) / max(lengths, 1e-24)


def _product(first: Sequence[float], second: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))


def coverage(examples: Sequence[Likeness | Four], answers: Sequence[Liked | Fitted]) -> Measured:
    """The share whose words are all known."""
    del examples
    return Measured.mean(sum(answer.known for answer in answers), len(answers))


def added(examples: Sequence[Four], answers: Sequence[Fitted]) -> Measured:
    """The share that 3CosAdd gets right."""
    del examples
    return Measured.mean(sum(it.right for it in answers), sum(it.known for it in answers))


def multiplied(examples: Sequence[Four], answers: Sequence[Fitted]) -> Measured:
    """The share that 3CosMul gets right."""
    del examples
    total = sum(it.right_multiplied for it in answers)
    return Measured.mean(total, sum(it.known for it in answers))
