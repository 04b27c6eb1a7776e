"""`stepwire evaluate`."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from stepwire.cli.evaluation.figures import EVALUATIONS, Evaluation, Tally
from stepwire.cli.lines import InputError
from stepwire.cli.pipeline import in_order
from stepwire.cli.terminal import as_json, progress, write_lines
from stepwire.client import Client
from stepwire.descriptions import Metric, Model

EXAMPLES_PER_CALL = 128
CALLS_IN_FLIGHT = 4
AGREES = 1e-3  # a figure may be this far from the card's: 0.1 points


def run(args: argparse.Namespace, client: Client) -> None:
    """Scores a served model on the split of its card, and says whether the card is right.

    Raises:
        InputError: nobody knows how to, the data is not there, or the figures differ.
    """
    evaluation = EVALUATIONS.get(args.model)
    if evaluation is None:
        known = ", ".join(sorted(EVALUATIONS))
        raise InputError(f"model must be one of {known}, got {args.model!r}")
    published = _published(client.model(args.model), evaluation)
    examples = evaluation.read()
    chosen = _drawn(examples, args.sample)
    tally = Tally()

    def tallied(part: Sequence[Any]) -> tuple[int, Tally]:
        return len(part), evaluation.tally(client, args.model, part)

    with (
        progress(len(chosen)) as shown,
        in_order(tallied, _calls(chosen), CALLS_IN_FLIGHT) as results,
    ):
        for done, part in results:
            tally = tally.plus(part)
            shown.advance(done)
    write_lines([_told(args, evaluation, tally, published)])
    if len(chosen) == len(examples) and abs(tally.figure - published.value) > AGREES:
        raise InputError(
            f"{evaluation.metric} must be the card's {published.value:.4f} "
            f"within {AGREES:g}, got {tally.figure:.4f}"
        )


def _published(model: Model, evaluation: Evaluation) -> Metric:
    """The figure that the card tells."""
    for metric in model.metrics:
        if (metric.name, metric.split) == (evaluation.metric, evaluation.split):
            return metric
    wanted = f"{evaluation.metric} on {evaluation.split}"
    raise InputError(f"{model.summary.name} must tell {wanted}, got no such metric")


def _drawn(examples: Sequence[Any], sample: int | None) -> Sequence[Any]:
    """So many of them, from all over the split."""
    if sample is None or sample >= len(examples):
        return examples
    return [examples[place * len(examples) // sample] for place in range(sample)]


def _calls(examples: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(examples), EXAMPLES_PER_CALL):
        yield examples[first : first + EXAMPLES_PER_CALL]


def _told(args: argparse.Namespace, evaluation: Evaluation, tally: Tally, published: Metric) -> str:
    if args.json:
        return as_json(
            {
                "model": args.model,
                "metric": evaluation.metric,
                "split": evaluation.split,
                "value": tally.figure,
                "card": published.value,
                "count": tally.counted,
                "unit": evaluation.unit,
            }
        )
    return (
        f"{args.model}\t{evaluation.metric} on {evaluation.split}\t{tally.figure:.4f} "
        f"of {tally.counted} {evaluation.unit}\tcard {published.value:.4f}"
    )
