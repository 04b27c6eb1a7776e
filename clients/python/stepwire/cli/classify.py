"""`stepwire classify`."""

import argparse
from dataclasses import asdict

from stepwire.cli.lines import STANDARD_INPUT, Batch, batches_of, located
from stepwire.cli.pipeline import in_order
from stepwire.cli.shading import has_colours, shaded
from stepwire.cli.terminal import as_json, progress
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.messages import Classification

TEXTS_PER_CALL = 256
CALLS_IN_FLIGHT = 4


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints the label of every text, in order."""
    shown_as = _as_json if args.json else _as_text
    if args.attention and not args.json:
        shown_as = _shaded if has_colours() else _a_line_a_token

    def lines(batch: Batch) -> list[str]:
        results = _classified(args, client, batch)
        return [shown_as(result, text) for result, text in zip(results, batch.texts, strict=True)]

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
            args.model,
            batch.texts,
            version=args.model_version,
            truncate=args.truncate,
            return_attention=args.attention,
            top_k=1,
        )
    except InvalidRequest as error:
        source = None if args.texts else args.file or STANDARD_INPUT
        raise located(error, batch.first, source) from error


def _as_json(result: Classification, text: str) -> str:
    del text
    verdict: dict[str, object] = {"label": result.label, "score": result.score}
    if result.tokens:
        verdict["tokens"] = [asdict(token) for token in result.tokens]
    return as_json(verdict)


def _as_text(result: Classification, text: str) -> str:
    return f"{result.label}\t{result.score:.4f}\t{' '.join(text.split())}"


def _shaded(result: Classification, text: str) -> str:
    return f"{result.label}\t{result.score:.4f}\t{shaded(text, result.tokens)}"


def _a_line_a_token(result: Classification, text: str) -> str:
    """The verdict, then the words with their weights, each line indented by a tab."""
    words = [f"\t{it.weight:.4f}\t{' '.join(it.text.split())}" for it in result.tokens]
    return "\n".join([_as_text(result, text), *words])
