"""`stepwire step`: a session, a line of standard input a step or several."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from stepwire.cli.lines import InputError, Source
from stepwire.cli.terminal import as_json, write_lines
from stepwire.client import Client
from stepwire.messages import Features, Outputs, Prompt, SessionOptions, Stepped


def run(args: argparse.Namespace, client: Client) -> None:
    """Takes the steps of every line, and prints what they gave before the next is read."""
    token = Path(args.load).read_bytes() if args.load else None
    options = SessionOptions(accept_inexact=args.accept_inexact, source=args.source)
    with client.session(
        args.model, version=args.model_version, state_token=token, options=options
    ) as session:
        with Source.open(None) as lines:
            for batch in lines.batches(1):
                stepped = session.step(
                    _inputs(args, batch.texts[0], batch.first), outputs=_wanted(args)
                )
                write_lines(
                    [
                        as_json(_told(step)) if args.json else _as_text(step)
                        for step in _each(stepped)
                    ]
                )
        if args.save:
            Path(args.save).write_bytes(session.export())


def _inputs(args: argparse.Namespace, line: str, number: int) -> Prompt | Features:
    try:
        if args.tokens:
            return [int(token) for token in line.split()]
        if args.features:
            return [[float(value) for value in line.replace(",", " ").split()]]
    except ValueError as error:
        raise InputError(f"line {number} of standard input: {error}") from None
    return line + args.line_end


def _wanted(args: argparse.Namespace) -> Outputs | None:
    """What the flags ask for; None is what the model is about."""
    asked = args.entropy or args.attention or args.hidden
    if args.top_k is None and not asked and not args.every_step:
        return None
    alone = args.every_step and not asked
    return Outputs(
        every_step=args.every_step,
        top_k=args.top_k or (1 if alone else 0),
        entropy=args.entropy,
        attention=args.attention,
        hidden_units=args.hidden,
    )


def _each(stepped: Stepped) -> list[Stepped]:
    """The steps that were told of, one by one; of several together it is the last."""
    if len(stepped.outputs) < stepped.count:
        return [stepped]
    return [
        replace(stepped, first_step=stepped.first_step + place, count=1, outputs=(outputs,))
        for place, outputs in enumerate(stepped.outputs)
    ]


def _told(stepped: Stepped) -> dict[str, object]:
    """What was told, and nothing of what was not."""
    last = {name: value for name, value in asdict(stepped.last).items() if value}
    return {"first_step": stepped.first_step, "count": stepped.count, **last}


def _as_text(stepped: Stepped) -> str:
    last, parts = stepped.last, [str(stepped.first_step + stepped.count)]
    parts += [f"{label.label} {label.score:.4f}" for label in last.labels]
    parts += [f"{token.text!r} {token.logprob:.4f}" for token in last.tokens]
    if last.values:
        parts.append(" ".join(f"{value:.4f}" for value in last.values))
    if last.surprise:
        parts.append(f"surprise {last.surprise:.4f}")
    if last.entropy:
        parts.append(f"entropy {last.entropy:.4f}")
    for name in ("hidden", "attention"):
        if numbers := getattr(last, name):
            parts.append(f"{name} " + " ".join(f"{number:.3f}" for number in numbers))
    return "\t".join(parts)
