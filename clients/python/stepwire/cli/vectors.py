"""`stepwire embed`, `stepwire neighbors` and `stepwire analogy`."""

import argparse
from collections.abc import Callable, Sequence
from typing import TypeVar

from stepwire.cli.lines import STANDARD_INPUT, Batch, InputError, batches_of, located
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress
from stepwire.client import Client
from stepwire.embeddings import (
    Analogy,
    EmbeddedWord,
    Embedding,
    Neighbor,
    Neighborhood,
    Question,
    VectorOrigin,
)
from stepwire.errors import InvalidRequest

LINES_PER_CALL = 64
CALLS_IN_FLIGHT = 4
SIGNS = ("+", "-")
NOTES = {
    VectorOrigin.WORD: "",
    VectorOrigin.SUBWORDS: " (by its parts)",
    VectorOrigin.NONE: " (no vector)",
    VectorOrigin.UNKNOWN: "",
}

T = TypeVar("T")


def run_embed(args: argparse.Namespace, client: Client) -> None:
    """Prints the vector of every word or text, in order."""

    def ask(lines: Sequence[str]) -> list[Embedding]:
        words = list(lines) if args.text else [line.strip() for line in lines]
        return client.embed(args.model, words, texts=args.text, version=args.model_version)

    _run(args, ask, _embedding_as_json if args.json else _embedding_as_text)


def run_neighbors(args: argparse.Namespace, client: Client) -> None:
    """Prints the nearest of every word, in order."""

    def ask(lines: Sequence[str]) -> list[Neighborhood]:
        words = [line.strip() for line in lines]
        return client.neighbors(args.model, words, k=args.k, version=args.model_version)

    _run(args, ask, _neighborhood_as_json if args.json else _neighborhood_as_text)


def run_analogy(args: argparse.Namespace, client: Client) -> None:
    """Prints what fits every question, in order; what is typed is one question."""
    if args.texts:
        args.texts = [" ".join(args.texts)]

    def ask(lines: Sequence[str]) -> list[Analogy]:
        return client.analogies(
            args.model,
            [question(line) for line in lines],
            k=args.k,
            multiply=args.multiply,
            version=args.model_version,
        )

    _run(args, ask, _analogy_as_json if args.json else _analogy_as_text)


def question(line: str) -> Question:
    """Reads words with signs between them, for example `king - man + woman`.

    Raises:
        InputError: it is written otherwise.
    """
    parts = line.split()
    if parts[0] not in SIGNS:
        parts.insert(0, "+")
    signs, words = parts[::2], parts[1::2]
    if len(signs) != len(words) or set(signs) - set(SIGNS) or set(words) & set(SIGNS):
        raise InputError(f"an analogy must read like 'king - man + woman', got {line.strip()!r}")
    by_sign = {
        sign: [word for own, word in zip(signs, words, strict=True) if own == sign]
        for sign in SIGNS
    }
    return Question(positive=by_sign["+"], negative=by_sign["-"])


def _run(
    args: argparse.Namespace,
    ask: Callable[[Sequence[str]], Sequence[T]],
    shown_as: Callable[[T], str],
) -> None:
    """Prints a line for every line; of a blank one nobody is asked."""

    def lines(batch: Batch) -> list[str]:
        given = {place: line for place, line in enumerate(batch.texts) if line.strip()}
        printed = [""] * len(batch.texts)
        try:
            found = ask(list(given.values())) if given else []
        except InvalidRequest as error:
            source = None if args.texts else args.file or STANDARD_INPUT
            raise located(error, batch.first, source, list(given)) from error
        for place, result in zip(given, found, strict=True):
            printed[place] = shown_as(result)
        return printed

    with (
        batches_of(args, LINES_PER_CALL) as (total, batches),
        progress(total) as shown,
        in_order(lines, batches, CALLS_IN_FLIGHT) as results,
    ):
        for result in results:
            shown.write_lines(result)


def _embedding_as_text(result: Embedding) -> str:
    words = " ".join(map(_noted, result.words))
    return f"{words}\t{' '.join(f'{value:.6g}' for value in result.vector)}"


def _embedding_as_json(result: Embedding) -> str:
    return as_json({"words": _as_objects(result.words), "vector": result.vector})


def _neighborhood_as_text(result: Neighborhood) -> str:
    return f"{_noted(result.word)}\t{_listed(result.neighbors)}"


def _neighborhood_as_json(result: Neighborhood) -> str:
    [word] = _as_objects([result.word])
    return as_json({**word, "neighbors": _near(result.neighbors)})


def _analogy_as_text(result: Analogy) -> str:
    if result.missing:
        return f"no vector: {', '.join(result.missing)}"
    return _listed(result.answers)


def _analogy_as_json(result: Analogy) -> str:
    return as_json({"answers": _near(result.answers), "words": _as_objects(result.words)})


def _noted(word: EmbeddedWord) -> str:
    return f"{word.text}{NOTES[word.origin]}"


def _listed(near: Sequence[Neighbor]) -> str:
    return ", ".join(f"{it.word} {it.score:.3f}" for it in near)


def _as_objects(words: Sequence[EmbeddedWord]) -> list[dict[str, str]]:
    return [{"text": word.text, "origin": word.origin} for word in words]


def _near(near: Sequence[Neighbor]) -> list[dict[str, str | float]]:
    return [{"word": it.word, "score": it.score} for it in near]
