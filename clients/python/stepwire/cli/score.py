"""`stepwire score`."""

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from stepwire.cli.lines import STANDARD_INPUT, Batch, InputError, Source, batches_of, located
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress, write_lines
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.messages import TextScore

TEXTS_PER_CALL = 64
CALLS_IN_FLIGHT = 4

Task = tuple[Batch, list[str] | None]  # texts, and what they translate


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints how likely every text is, in order, and their perplexity as a whole."""
    logprob, counted, index = 0.0, 0, 0

    def scored(task: Task) -> tuple[Task, list[TextScore]]:
        return task, _scored(args, client, *task)

    with (
        batches_of(args, TEXTS_PER_CALL) as (total, batches),
        _sources(args) as sources,
        progress(total) as shown,
        in_order(scored, _tasks(args, batches, sources), CALLS_IN_FLIGHT) as results,
    ):
        for (batch, _), scores in results:
            lines = []
            for text, score in zip(batch.texts, scores, strict=True):
                words = len(text.split()) if args.words else 0
                lines.append(
                    _as_json(index, score, words) if args.json else _as_text(text, score, words)
                )
                logprob += score.logprob
                counted += words if args.words else len(score.tokens)
                index += 1
            shown.write_lines(lines)
    if not args.json and index > 1 and counted:
        write_lines([f"{math.exp(-logprob / counted):.3f}\t{logprob:.3f}\tall {index} texts"])


@contextmanager
def _sources(args: argparse.Namespace) -> Iterator[Iterator[str]]:
    """What the texts translate, one by one."""
    if args.sources_file is None:
        yield iter(())
        return
    with Source.open(args.sources_file) as source:
        yield (text for batch in source.batches(TEXTS_PER_CALL) for text in batch.texts)


def _tasks(
    args: argparse.Namespace, batches: Iterator[Batch], sources: Iterator[str]
) -> Iterator[Task]:
    for batch in batches:
        if args.source is not None:
            yield batch, [args.source] * len(batch.texts)
        elif args.sources_file is not None:
            part = list(islice(sources, len(batch.texts)))
            if len(part) < len(batch.texts):
                have = batch.first - 1 + len(part)
                raise InputError(f"{args.sources_file} has {have} lines, fewer than the texts")
            yield batch, part
        else:
            yield batch, None


def _scored(
    args: argparse.Namespace, client: Client, batch: Batch, sources: list[str] | None
) -> list[TextScore]:
    try:
        return client.score(args.model, batch.texts, sources=sources, version=args.model_version)
    except InvalidRequest as error:
        source = None if args.texts else args.file or STANDARD_INPUT
        raise located(error, batch.first, source) from error


def _perplexity(score: TextScore, words: int) -> float:
    """Of so many words; of the tokens where there are none to count."""
    return math.exp(-score.logprob / words) if words else score.perplexity


def _as_json(index: int, score: TextScore, words: int) -> str:
    told: dict[str, object] = {"index": index, "logprob": score.logprob}
    told["perplexity"] = _perplexity(score, words)
    if words:
        told["words"] = words
    told["tokens"] = [{"text": token.text, "logprob": token.logprob} for token in score.tokens]
    return as_json(told)


def _as_text(text: str, score: TextScore, words: int) -> str:
    perplexity = _perplexity(score, words)
    return f"{perplexity:.3f}\t{score.logprob:.3f}\t{' '.join(text.split())}"
