"""`stepwire tag`."""

import argparse

from stepwire.cli.lines import STANDARD_INPUT, Batch, batches_of, located
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.tagging import Taggable, TaggedText

TEXTS_PER_CALL = 128
CALLS_IN_FLIGHT = 4


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints the words of every text with their tags, in order, and what the text is."""
    shown_as = _as_json if args.json else _as_text

    def lines(batch: Batch) -> list[str]:
        return [shown_as(result) for result in _tagged(args, client, batch)]

    with (
        batches_of(args, TEXTS_PER_CALL) as (total, batches),
        progress(total) as shown,
        in_order(lines, batches, CALLS_IN_FLIGHT) as results,
    ):
        for result in results:
            shown.write_lines(result)


def _tagged(args: argparse.Namespace, client: Client, batch: Batch) -> list[TaggedText]:
    """A line of white space has no words, cut or not: nobody is asked about it."""
    given: dict[int, Taggable] = {
        place: text.split() if args.tokens else text
        for place, text in enumerate(batch.texts)
        if text.strip()
    }
    results = [TaggedText(tokens=(), truncated=False) for _ in batch.texts]
    if not given:
        return results
    try:
        found = client.tag(
            args.model, list(given.values()), version=args.model_version, truncate=args.truncate
        )
    except InvalidRequest as error:
        source = None if args.texts else args.file or STANDARD_INPUT
        raise located(error, batch.first, source, list(given)) from error
    for place, result in zip(given, found, strict=True):
        results[place] = result
    return results


def _as_json(result: TaggedText) -> str:
    tokens = [
        {
            "text": token.text,
            "start": token.start,
            "end": token.end,
            "tag": token.tag,
            "score": token.score,
        }
        for token in result.tokens
    ]
    if not result.labels:
        return as_json({"tokens": tokens})
    labels = [{"label": each.label, "score": each.score} for each in result.labels]
    return as_json({"tokens": tokens, "labels": labels})


def _as_text(result: TaggedText) -> str:
    """Words that hold spaces keep to one field; what the text is stands before them."""
    words = " ".join(f"{'_'.join(token.text.split())}/{token.tag}" for token in result.tokens)
    return f"{result.labels[0].label}\t{words}" if result.labels else words
