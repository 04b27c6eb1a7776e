"""What torchrun starts for a test, in each process: one sitting of the tiny generator."""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from stepwire_training.interrupt import Interrupt
from stepwire_training.recipes import tiny
from stepwire_training.train import Stopped, train

if __name__ == "__main__":
    folder, stop_at = Path(sys.argv[1]), int(sys.argv[2])
    recipe = replace(tiny.generator(), steps=30, evaluate_every=10)
    with contextlib.suppress(Stopped):
        train(recipe, recipe.data.load(), folder, Interrupt(at_step=stop_at or None))
