"""The command `stepwire-train RECIPE`: trains a recipe and publishes its bundle.

Started again after an interruption it goes on from the checkpoint it finds; started by
torchrun it shares the work among processes.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from stepwire_training import __doc__ as about
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.int8.publish import Outcome, add_int8
from stepwire_training.interrupt import EXIT_CODE, Interrupt
from stepwire_training.recipes import RECIPES
from stepwire_training.retell import retell
from stepwire_training.seeds import run_again
from stepwire_training.train import Stopped, train
from stepwire_zoo.bundle import open_bundle


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the answer is its exit code."""
    line = parser()
    options = line.parse_args(arguments)
    if options.seeds < 1 or (options.seeds > 1 and os.environ.get("WORLD_SIZE", "1") != "1"):
        line.error(f"--seeds must be at least 1, and 1 under torchrun, got {options.seeds}")
    recipe = RECIPES[options.recipe]()
    published = options.out / recipe.bundle / recipe.publication.version
    if options.architecture:
        return tell(Outcome(retell(open_bundle(published), recipe), ""))
    if options.steps is not None:
        recipe = replace(recipe, steps=options.steps)
    dataset = recipe.data.load()
    if options.int8:
        return tell(add_int8(open_bundle(published), recipe, dataset))
    with Interrupt() as interrupt:
        try:
            run = train(recipe, dataset, options.runs, interrupt)
            finished = Finished(
                recipe=recipe, dataset=dataset, progress=run.progress, machine=options.machine
            )
            finished = run_again(finished, options.seeds, options.runs, interrupt)
        except Stopped:
            sys.stderr.write(f"\nStopped. The same command goes on from {options.runs}.\n")
            return EXIT_CODE
    if os.environ.get("RANK", "0") != "0":
        return 0  # one process publishes for all
    return tell(add_int8(publish(finished, options.out), recipe, dataset))


def tell(outcome: Outcome) -> int:
    """Says what was published; the answer is the exit code."""
    bundle, measured = outcome.bundle, outcome.bundle.manifest.metrics[0]
    sys.stdout.write(f"{bundle.folder}: {measured.name} {measured.value:.4f} {measured.unit}\n")
    if measured.runs:
        each = ", ".join(f"{value:.4f}" for value in measured.runs)
        sys.stdout.write(f"{bundle.folder}: {measured.name} by seeds {each}\n")
    for precision, variant in bundle.manifest.variants.items():
        value = variant.metrics[0].value
        sys.stdout.write(f"{bundle.folder}: {measured.name} {value:.4f} in {precision}\n")
    if outcome.reason:
        sys.stdout.write(f"{bundle.folder}: no int8, {outcome.reason}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line; --out, --runs and --machine each have an environment variable."""
    result = argparse.ArgumentParser("stepwire-train", description=about)
    result.add_argument("recipe", choices=sorted(RECIPES))
    result.add_argument("--steps", type=int, help="updates of the weights, instead of the recipe's")
    result.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="how many runs tell the spread of the figures; published is the recipe's own seed",
    )
    result.add_argument(
        "--int8",
        action="store_true",
        help="add graphs of 8-bit integers to the bundle that is published, without training",
    )
    result.add_argument(
        "--architecture",
        action="store_true",
        help="say anew what the bundle that is published is built of, without training",
    )
    result.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("STEPWIRE_OUT", "model_zoo/bundles")),
        help="repository that the bundle is published to",
    )
    result.add_argument(
        "--runs",
        type=Path,
        default=Path(os.environ.get("STEPWIRE_RUNS", "runs")),
        help="folder of checkpoints, logs and learning curves",
    )
    result.add_argument(
        "--machine",
        default=os.environ.get("STEPWIRE_MACHINE", "an unnamed machine"),
        help="the class of machine this runs on, for the card",
    )
    return result


if __name__ == "__main__":
    sys.exit(main())
