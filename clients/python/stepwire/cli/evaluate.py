"""`stepwire evaluate`."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from stepwire.cli.evaluation.bundles import EVALUATIONS
from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.lines import InputError
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress, write_lines
from stepwire.client import Client
from stepwire.descriptions import Metric, Model

CALLS_IN_FLIGHT = 4


def run(args: argparse.Namespace, client: Client) -> None:
    """Scores a served model on the splits of its card, and says whether the card is right.

    Raises:
        InputError: nobody knows how to, the data is not there, or a figure differs.
    """
    evaluations = EVALUATIONS.get(args.model)
    if evaluations is None:
        known = ", ".join(sorted(EVALUATIONS))
        raise InputError(f"model must be one of {known}, got {args.model!r}")
    model = client.model(args.model)
    for evaluation in evaluations:
        for figure in evaluation.figures:
            _published(model, figure)
    wrong = [told for one in evaluations for told in _evaluated(args, client, one)]
    if wrong:
        raise InputError("; ".join(wrong))


def _evaluated(args: argparse.Namespace, client: Client, evaluation: Evaluation) -> list[str]:
    """Prints the figures of one reading; the answer says what the card has wrong."""
    examples = evaluation.read()
    chosen = _drawn(examples, args.sample)
    answers = _asked(args, client, evaluation, chosen)
    model = client.model(args.model)  # a server may have loaded it just now, and chosen a precision
    wrong = []
    for figure in evaluation.figures:
        published, measured = _published(model, figure), figure.measure(chosen, answers)
        write_lines([_told(args, model, figure, measured)])
        whole = len(chosen) == len(examples)
        if whole and not abs(measured.value - published.value) <= figure.tolerance:
            wrong.append(
                f"{figure.metric} on {figure.split} must be the card's {published.value:.4f} "
                f"within {figure.tolerance:g}, got {measured.value:.4f}"
            )
    return wrong


def _asked(
    args: argparse.Namespace, client: Client, evaluation: Evaluation, examples: Sequence[Any]
) -> list[Any]:
    """The model's answers, a few calls at a time."""

    def ask(part: Sequence[Any]) -> Sequence[Any]:
        return evaluation.ask(client, args.model, part)

    answers: list[Any] = []
    parts = _calls(examples, evaluation.per_call)
    with progress(len(examples)) as shown, in_order(ask, parts, CALLS_IN_FLIGHT) as results:
        for found in results:
            answers += found
            shown.advance(len(found))
    return answers


def _published(model: Model, figure: Figure) -> Metric:
    """The figure that the card tells, of the precision that is served."""
    for metric in model.metrics:
        if (metric.name, metric.split) == (figure.metric, figure.split):
            return metric
    wanted = f"{figure.metric} on {figure.split}"
    raise InputError(f"{model.summary.name} must tell {wanted}, got no such metric")


def _drawn(examples: Sequence[Any], sample: int | None) -> Sequence[Any]:
    """So many of them, from all over the split."""
    if sample is None or sample >= len(examples):
        return examples
    return [examples[place * len(examples) // sample] for place in range(sample)]


def _calls(examples: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(examples), size):
        yield examples[first : first + size]


def _told(args: argparse.Namespace, model: Model, figure: Figure, measured: Measured) -> str:
    published = _published(model, figure)
    if args.json:
        return as_json(
            {
                "model": args.model,
                "precision": model.precision,
                "metric": figure.metric,
                "split": figure.split,
                "value": measured.value,
                "card": published.value,
                "count": measured.counted,
                "unit": figure.unit,
            }
        )
    return (
        f"{args.model}\t{figure.metric} on {figure.split}\t{measured.value:.4f} "
        f"of {measured.counted} {figure.unit}\tcard {published.value:.4f}"
    )
