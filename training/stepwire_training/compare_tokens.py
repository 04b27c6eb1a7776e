"""Which tokens suit Korean reviews: the same short run with each kind, as a table.

    python -m stepwire_training.compare_tokens

trains four small classifiers and writes recipes/nsmc_tokens.csv, which the card of
nsmc-bilstm shows. A kind that is there already is not trained again.
"""

import sys
from pathlib import Path

import torch

from stepwire_training.comparing import compare
from stepwire_training.data.batches import Dataset, Shard
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipe import Recipe
from stepwire_training.recipes import nsmc_bilstm
from stepwire_training.train import train

TABLE = "nsmc_tokens.csv"
HEADING = ("tokens", "vocabulary", "tokens in a review", "dev accuracy", "training minutes")


def main() -> int:
    """Runs the comparison; the answer is the exit code."""
    return compare(TABLE, HEADING, rows)


def rows(runs: Path, interrupt: Interrupt) -> list[tuple[str, ...]]:
    """Makes the runs; the answer is the table's rows."""
    return [measure(name, recipe, runs, interrupt) for name, recipe in compared().items()]


def compared() -> dict[str, Recipe]:
    """The runs, by the name their tokens have in the table."""
    return {
        "BPE over syllables": nsmc_bilstm.short("bpe"),
        "BPE over jamo": nsmc_bilstm.short("jamo-bpe"),
        "syllables": nsmc_bilstm.short("characters"),
        "jamo": nsmc_bilstm.short("jamo"),
    }


def measure(name: str, recipe: Recipe, runs: Path, interrupt: Interrupt) -> tuple[str, ...]:
    """Trains with one kind of tokens; the answer is its row of the table."""
    dataset = recipe.data.load()
    progress = train(recipe, dataset, runs, interrupt).progress
    return (
        name,
        f"{dataset.sizes[0]:,}",
        f"{mean_length(dataset):.1f}",
        f"{progress.history[-1]['dev_accuracy']:.4f}",
        f"{progress.seconds / 60:.1f}",
    )


def mean_length(dataset: Dataset) -> float:
    """Tokens of a training review, on average."""
    steps = range(len(dataset.train))
    lengths = [dataset.train.batch(step, Shard()).inputs[1] for step in steps]
    return torch.cat(lengths).float().mean().item()


if __name__ == "__main__":
    sys.exit(main())
