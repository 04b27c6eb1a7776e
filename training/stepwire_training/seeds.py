"""Runs of one recipe that differ by chance alone: how much of a figure is luck.

The run that is published is that of the recipe's own seed, whichever does best.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from stepwire_training.data.batches import Batch, Batches, Dataset, Shard
from stepwire_training.export import measured_of
from stepwire_training.finished import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipe import Recipe
from stepwire_training.train import train
from stepwire_zoo.manifest import Metric

PASSES = 1_000  # that a run of the next seed begins later: more than any recipe makes


@dataclass(frozen=True)
class Later:
    """The same data in another order: a batch is a function of its step, and passes differ."""

    batches: Batches
    passes: int  # that are left out

    def __len__(self) -> int:
        return len(self.batches)

    def batch(self, step: int, shard: Shard) -> Batch:
        """The batch of a step, counted from the first pass that is not left out."""
        return self.batches.batch(step + self.passes * len(self.batches), shard)


def run_again(finished: Finished, seeds: int, runs: Path, interrupt: Interrupt) -> Finished:
    """Trains with the seeds that follow the recipe's own.

    First weights, dropout and the order of the data change; splits and tokens stay, so the
    figures are of one test split and one vocabulary.

    Args:
        finished: the run of the recipe's own seed.
        seeds: how many there are in all.
        runs: its folder seed-<n> keeps the run of that seed.
        interrupt: asks a run to stop after a step.

    Returns:
        The same run, and the figures of the others.

    Raises:
        Stopped: one was interrupted. Call again to go on.
    """
    recipe, dataset = finished.recipe, finished.dataset
    others = []
    for further in range(1, seeds):
        again = replace(recipe, seed=recipe.seed + further)
        mixed = replace(dataset, train=Later(dataset.train, PASSES * further))
        others.append(_measured(again, mixed, runs / f"seed-{again.seed}", interrupt))
    return replace(finished, others=tuple(others))


def _measured(
    recipe: Recipe, dataset: Dataset, runs: Path, interrupt: Interrupt
) -> tuple[Metric, ...]:
    """The figures of one run."""
    progress = train(recipe, dataset, runs, interrupt).progress
    run = Finished(recipe=recipe, dataset=dataset, progress=progress, machine="")
    return measured_of(recipe, dataset, run.model()).metrics
