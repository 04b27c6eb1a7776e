"""`stepwire translate`."""

import argparse
import shutil
import sys
import unicodedata
from dataclasses import asdict

from stepwire.cli import attention
from stepwire.cli.arguments import decoding_options
from stepwire.cli.lines import STANDARD_INPUT, Batch, InputError, batches_of, located
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress, write
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.messages import Hypothesis, Translating, Translation

TEXTS_PER_CALL = 64
CALLS_IN_FLIGHT = 4


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints the translations of every text, in order."""
    if args.attention and len(args.texts) != 1:
        raise InputError("--attention draws a single text: give one on the command line")
    watched = len(args.texts) == 1 and not args.json and sys.stdout.isatty()
    if watched and (args.num_hypotheses or 1) == 1:
        _watch(args, client)
        return

    def lines(batch: Batch) -> list[str]:
        results = _translated(args, client, batch)
        if args.attention:
            attention.draw(results[0], args.attention)
        if args.json:
            numbered = enumerate(results, start=batch.first - 1)
            return [_as_json(index, result, args) for index, result in numbered]
        return [_as_text(result) for result in results]

    with (
        batches_of(args, TEXTS_PER_CALL) as (total, batches),
        progress(total) as shown,
        in_order(lines, batches, CALLS_IN_FLIGHT) as results,
    ):
        for result in results:
            shown.write_lines(result)


def _translated(args: argparse.Namespace, client: Client, batch: Batch) -> list[Translation]:
    try:
        return client.translate(
            args.model,
            batch.texts,
            version=args.model_version,
            options=decoding_options(args),
            wanted=_wanted(args, len(batch.texts)),
        )
    except InvalidRequest as error:
        source = None if args.texts else args.file or STANDARD_INPUT
        raise located(error, batch.first, source) from error


def _wanted(args: argparse.Namespace, count: int) -> Translating:
    return Translating(
        target_prefixes=None if args.prefix is None else [args.prefix] * count,
        replace_unknowns=args.replace_unknowns,
        return_attention=args.attention is not None,
        return_alternatives=args.alternatives,
    )


def _watch(args: argparse.Namespace, client: Client) -> None:
    """Shows one translation as it grows: what is certain, and dimly what may come."""
    text = ""
    with client.stream_translations(
        args.model,
        args.texts,
        version=args.model_version,
        options=decoding_options(args),
        wanted=_wanted(args, 1),
    ) as updates:
        for update in updates:
            text += update.text
            write(f"\r\033[K{_cut_to_line(text, update.tail)}")
            if update.summary is not None:
                write(f"\r\033[K{text}\n")
                if args.attention:
                    result = Translation(hypotheses=update.hypotheses, summary=update.summary)
                    attention.draw(result, args.attention)


def _cut_to_line(text: str, tail: str) -> str:
    """As much of the end as one line of the terminal holds; the tail is dim."""
    room = shutil.get_terminal_size().columns - 1
    shown: list[str] = []
    for index, character in reversed(list(enumerate(text + tail))):
        room -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if room < 0:
            break
        shown.append(f"\033[2m{character}\033[0m" if index >= len(text) else character)
    return "".join(reversed(shown))


def _as_json(index: int, result: Translation, args: argparse.Namespace) -> str:
    hypotheses = [_told(hypothesis, args) for hypothesis in result.hypotheses]
    return as_json({"index": index, "hypotheses": hypotheses})


def _told(hypothesis: Hypothesis, args: argparse.Namespace) -> dict[str, object]:
    told: dict[str, object] = {"text": hypothesis.text, "score": hypothesis.score}
    if args.logprobs is not None:
        told["logprobs"] = [asdict(position) for position in hypothesis.logprobs]
    return told


def _as_text(result: Translation) -> str:
    if len(result.hypotheses) == 1:
        return " ".join(result.text.split())
    return "\n".join(f"{h.score:.4f}\t{' '.join(h.text.split())}" for h in result.hypotheses)
