"""`stepwire generate`."""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from stepwire.cli.arguments import decoding_options
from stepwire.cli.lines import STANDARD_INPUT, Source, located
from stepwire.cli.terminal import as_json, write, write_lines
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.messages import GenerationSummary, Hypothesis, Piece

SEQUENCES_PER_CALL = 32


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """What was generated for one sample of one prompt, whole."""

    prompt_index: int
    sample_index: int
    pieces: list[Piece]
    summary: GenerationSummary

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """What a search found, best first; nothing without a search."""
        return self.pieces[-1].hypotheses


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints the continuation of every prompt."""
    prompts = args.prompts or _lines()
    step = max(1, SEQUENCES_PER_CALL // args.n)
    for first in range(0, len(prompts), step):
        try:
            _continue(args, client, prompts, range(first, min(first + step, len(prompts))))
        except InvalidRequest as error:
            raise located(error, first + 1, None if args.prompts else STANDARD_INPUT) from error


def whole(pieces: Iterable[Piece], n: int, first: int = 0) -> Iterator[Continuation]:
    """Continuations by prompt and sample, each as soon as it and all before it are whole.

    Args:
        pieces: of one call.
        n: samples of each prompt.
        first: which prompt of all the call's first one is.
    """
    parts: dict[tuple[int, int], list[Piece]] = defaultdict(list)
    turn = (0, 0)
    for piece in pieces:
        parts[piece.prompt_index, piece.sample_index].append(piece)
        while parts[turn] and (summary := parts[turn][-1].summary) is not None:
            prompt, sample = turn
            yield Continuation(
                prompt_index=first + prompt,
                sample_index=sample,
                pieces=parts.pop(turn),
                summary=summary,
            )
            turn = (prompt, sample + 1) if sample + 1 < n else (prompt + 1, 0)


def _lines() -> list[str]:
    with Source.open(None) as source:
        return [text for batch in source.batches(SEQUENCES_PER_CALL) for text in batch.texts]


def _continue(args: argparse.Namespace, client: Client, prompts: list[str], part: range) -> None:
    """Makes one call for a part of the prompts."""
    if len(prompts) == 1 and args.n == 1 and not args.json and not args.num_hypotheses:
        _stream(args, client, prompts[0])
        return
    with client.generate_many(
        args.model,
        prompts[part.start : part.stop],
        n=args.n,
        version=args.model_version,
        options=decoding_options(args),
    ) as pieces:
        for it in whole(pieces, args.n, part.start):
            write_lines([_as_json(it) if args.json else _as_text(it, args.n)])


def _stream(args: argparse.Namespace, client: Client, prompt: str) -> None:
    version, options = args.model_version, decoding_options(args)
    with client.generate(args.model, prompt, version=version, options=options) as stream:
        for text in stream:
            write(text)
    if not stream.text.endswith("\n"):
        write("\n")


def _as_json(it: Continuation) -> str:
    told: dict[str, object] = {
        "prompt_index": it.prompt_index,
        "sample_index": it.sample_index,
        "text": it.text,
        **asdict(it.summary),
        "token_ids": [token for piece in it.pieces for token in piece.token_ids],
    }
    if it.hypotheses:
        told["hypotheses"] = [{"text": h.text, "score": h.score} for h in it.hypotheses]
    logprobs = [asdict(position) for piece in it.pieces for position in piece.logprobs]
    return as_json(told | {"logprobs": logprobs} if logprobs else told)


def _as_text(it: Continuation, n: int) -> str:
    if len(it.hypotheses) > 1:
        found = [f"{h.score:.4f}\t{' '.join(h.text.split())}" for h in it.hypotheses]
        return "\n".join([f"[{it.prompt_index}]", *found])
    sample = f".{it.sample_index}" if n > 1 else ""
    return f"[{it.prompt_index}{sample}]\n{it.text.removesuffix(chr(10))}"
