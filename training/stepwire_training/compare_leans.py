"""When to ask a model that judges along the way: the same short run with each lean, as a table.

    python -m stepwire_training.compare_leans

trains nsmc-lstm-stream for two passes with each lean and writes recipes/nsmc_leans.csv, which
docs/training.md shows. A run that is there already is not made again.
"""

import sys
from pathlib import Path

from stepwire_training.comparing import compare
from stepwire_training.data.along import QUARTERS, AskedAlong
from stepwire_training.data.batches import Dataset
from stepwire_training.evaluate import evaluate
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipe import Recipe
from stepwire_training.recipes import nsmc_lstm_stream
from stepwire_training.train import train

TABLE = "nsmc_leans.csv"
HEADING = ("weight", *(f"after {share:.0%}".replace("%", " %") for share in QUARTERS), "mean")


def main() -> int:
    """Runs the comparison; the answer is the exit code."""
    return compare(TABLE, HEADING, rows)


def rows(runs: Path, interrupt: Interrupt) -> list[tuple[str, ...]]:
    """Makes the runs; the answer is the table's rows."""
    # One dataset for all, because they differ in lean alone.
    dataset = nsmc_lstm_stream.recipe().data.load()
    return [
        (name, *measure(recipe, dataset, runs, interrupt)) for name, recipe in compared().items()
    ]


def compared() -> dict[str, Recipe]:
    """The runs, by the name their weights have in the table: p is a place in (0, 1]."""
    return {
        "1": nsmc_lstm_stream.short(lean=0.0),
        "p": nsmc_lstm_stream.short(lean=1.0),
        "p cubed": nsmc_lstm_stream.short(lean=3.0),
        "the end alone": nsmc_lstm_stream.short(lean=float("inf")),
    }


def measure(recipe: Recipe, dataset: Dataset, runs: Path, interrupt: Interrupt) -> tuple[str, ...]:
    """Trains with one lean; the answer is the dev accuracy after each quarter, and their mean."""
    assert isinstance(dataset.dev, AskedAlong)
    run = train(recipe, dataset, runs, interrupt)
    scores = [evaluate(run.average, dataset.dev.asked(after)) for after in QUARTERS]
    found = [score.accuracy or 0.0 for score in scores]
    return tuple(f"{value:.4f}" for value in [*found, sum(found) / len(found)])


if __name__ == "__main__":
    sys.exit(main())
