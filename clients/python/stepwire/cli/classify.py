"""`stepwire classify`."""

import argparse

from stepwire.cli.lines import STANDARD_INPUT, Batch, batches_of, located
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
        batches_of(args, TEXTS_PER_CALL) as (total, batches),
        progress(total) as shown,
        in_order(lines, batches, CALLS_IN_FLIGHT) as results,
    ):
        for result in results:
            shown.write_lines(result)


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
