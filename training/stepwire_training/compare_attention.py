"""Which attention suits captions: the same short run with each kind, as a table.

    python -m stepwire_training.compare_attention

trains four small translators into German and writes recipes/multi30k_attention.csv. A run
that is there already is not made again.
"""

import sys
from pathlib import Path

from stepwire_training.comparing import compare
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipe import Recipe
from stepwire_training.recipes import multi30k
from stepwire_training.train import train

TABLE = "multi30k_attention.csv"
HEADING = ("attention", "parameters", "dev loss", "dev BLEU, greedy", "training minutes")


def main() -> int:
    """Runs the comparison; the answer is the exit code."""
    return compare(TABLE, HEADING, rows)


def rows(runs: Path, interrupt: Interrupt) -> list[tuple[str, ...]]:
    """Makes the runs; the answer is the table's rows."""
    return [measure(name, recipe, runs, interrupt) for name, recipe in compared().items()]


def compared() -> dict[str, Recipe]:
    """The runs, by their name in the table."""
    return {
        "dot": multi30k.short("dot"),
        "general": multi30k.short("general"),
        "additive": multi30k.short("additive"),
        "general, input feeding": multi30k.short("general", input_feeding=True),
    }


def measure(name: str, recipe: Recipe, runs: Path, interrupt: Interrupt) -> tuple[str, ...]:
    """Trains with one kind; the answer is its row of the table."""
    run = train(recipe, recipe.data.load(), runs, interrupt)
    last = run.progress.history[-1]
    return (
        name,
        f"{sum(part.numel() for part in run.model.parameters()):,}",
        f"{last['dev_loss']:.3f}",
        f"{last['dev_bleu']:.1f}",
        f"{run.progress.seconds / 60:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
