"""For torchrun to start twice over: one run to its end, and one that stops on its way."""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from stepwire_training.interrupt import Interrupt
from stepwire_training.recipes import tiny
from stepwire_training.train import Stopped, train

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    recipe = replace(tiny.generator(), steps=30, evaluate_every=10)
    train(recipe, recipe.data.load(), folder / "whole", Interrupt())
    with contextlib.suppress(Stopped):
        train(recipe, recipe.data.load(), folder / "stopped", Interrupt(at_step=13))
    train(recipe, recipe.data.load(), folder / "stopped", Interrupt())
