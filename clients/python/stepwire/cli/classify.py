"""`stepwire classify`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from stepwire.cli.lines import STANDARD_INPUT, Batch, Source, located
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.messages import Classification

TEXTS_PER_CALL = 256
CALLS_IN_FLIGHT = 4


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints the label of every text, in order."""

    def lines(batch: Batch) -> list[str]:
        results = _classified(args, client, batch)
        return [
            _as_json(result) if args.json else _as_text(result, text)
            for result, text in zip(results, batch.texts, strict=True)
        ]

    with (
        _batches(args) as (total, batches),
        progress(total) as shown,
        in_order(lines, batches, CALLS_IN_FLIGHT) as results,
    ):
        for result in results:
            shown.write_lines(result)


@contextmanager
def _batches(args: argparse.Namespace) -> Iterator[tuple[int | None, Iterator[Batch]]]:
    """How many texts there are, if that is known, and the texts."""
    if args.texts:
        yield len(args.texts), _cut(args.texts)
        return
    with Source.open(args.file) as source:
        yield source.count(), source.batches(TEXTS_PER_CALL)


def _cut(texts: list[str]) -> Iterator[Batch]:
    for start in range(0, len(texts), TEXTS_PER_CALL):
        yield Batch(first=start + 1, texts=texts[start : start + TEXTS_PER_CALL])


def _classified(args: argparse.Namespace, client: Client, batch: Batch) -> list[Classification]:
    try:
        return client.classify(
            args.model, batch.texts, version=args.model_version, truncate=args.truncate, top_k=1
        )
    except InvalidRequest as error:
        source = None if args.texts else args.file or STANDARD_INPUT
        raise located(error, batch.first, source) from error


def _as_json(result: Classification) -> str:
    return as_json({"label": result.label, "score": result.score})


def _as_text(result: Classification, text: str) -> str:
    return f"{result.label}\t{result.score:.4f}\t{' '.join(text.split())}"
