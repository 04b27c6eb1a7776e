"""How fast recipes train, beside a bare PyTorch loop: `python -m benchmarks.training [RECIPE]`.

Both loops run in one process and take turns, so that what else the machine does slows both.
Ours is the whole of `stepwire_training.train`: progress bar, averaged weights, rates, and the
checks for a stop. What comes seldom, a checkpoint and the log, is timed apart and charged
by its share. The bare loop has the same model, batches, precision, optimizer and clipping, and
nothing else; its batches are made beforehand. Evaluations are left out on both sides: whoever
wants one pays the same for it.
"""

import argparse
import json
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.ledger import Case, Ledger, Spread
from benchmarks.plan import Plan
from benchmarks.rounds import rounds

if TYPE_CHECKING:
    from stepwire_training.data.batches import Dataset
    from stepwire_training.recipe import Recipe

Progress = Callable[[str], None]
Values = dict[str, dict[str, float]]  # of ours and bare: what was measured in a round

SUBJECTS = ("ours", "bare")
CHARACTERS = 200_000  # of the text that characters are learned from here
SELDOM = 3  # times that a checkpoint and a log are written, to know what they cost


class Watch:
    """Wall time, and CPU time of this process, from here on."""

    def __init__(self) -> None:
        self._began = Seconds(time.perf_counter(), time.process_time())

    def seconds(self) -> "Seconds":
        """Since then."""
        return Seconds(
            time.perf_counter() - self._began.wall, time.process_time() - self._began.cpu
        )


class Seconds(NamedTuple):
    """What something took."""

    wall: float
    cpu: float

    def plus(self, share: float, other: "Seconds") -> "Seconds":
        """With a share of something else."""
        return Seconds(self.wall + share * other.wall, self.cpu + share * other.cpu)

    def rates(self, steps: int) -> dict[str, float]:
        """As a speed."""
        return {"steps_per_s": steps / self.wall, "steps_per_cpu_s": steps / self.cpu}


def measure_training(plan: Plan, ledger: Ledger, tell: Progress) -> None:
    """Updates of weights in a second, ours and bare in turn; in a process of its own."""
    counts = ["--steps", str(plan.training_steps), "--rounds", str(plan.rounds)]
    command = [sys.executable, "-m", "benchmarks.training", plan.recipe, *counts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None, "it was asked for"
        try:
            for _ in rounds(plan, "training", tell):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{' '.join(command)} ended early")
                for subject, values in json.loads(line).items():
                    ledger.add(Case("training", plan.recipe, subject), values)
        finally:
            process.terminate()


def ratios(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """Our loop by the bare one, as the clock says and in CPU time."""
    ours, bare = (Case("training", plan.recipe, subject) for subject in SUBJECTS)
    if not ledger.has(ours):
        return {}
    return {
        "training_vs_bare": ledger.ratio(ours, bare, "steps_per_s"),
        "training_cpu_vs_bare": ledger.ratio(ours, bare, "steps_per_cpu_s"),
    }


def in_turns(name: str, steps: int, count: int, tell: Callable[[Values], None]) -> None:
    """Runs both loops in turns, and tells each round.

    Args:
        name: of the recipe.
        steps: of either loop in a round.
        count: of rounds, after one that only warms up.
        tell: is given every round.
    """
    from stepwire_training.interrupt import Interrupt
    from stepwire_training.recipes import RECIPES
    from stepwire_training.train import Stopped, train

    recipe = RECIPES[name]()
    dataset = _dataset(recipe)
    bare = _bare(recipe, dataset, steps)
    seldom = _seldom(recipe, dataset)

    class Turns(Interrupt):
        """Lets the bare loop run whenever ours has done its steps."""

        def __init__(self) -> None:
            super().__init__()
            self._round, self._watch = 0, Watch()

        def asked(self, step: int) -> bool:
            if step % steps:
                return False
            ours, watch = self._watch.seconds(), Watch()
            bare()
            theirs = watch.seconds()
            if self._round:
                ours = ours.plus(1.0, seldom(ours.wall, steps))
                tell({"ours": ours.rates(steps), "bare": theirs.rates(steps)})
            self._round, self._watch = self._round + 1, Watch()
            return self._round > count

    # Never evaluated, and long enough for every round.
    recipe = replace(recipe, steps=steps * (count + 2), evaluate_every=steps * (count + 2))
    with tempfile.TemporaryDirectory() as folder:
        try:
            train(recipe, dataset, Path(folder), Turns())
        except Stopped:
            return
    raise AssertionError("the last round stops the run")


def _dataset(recipe: "Recipe") -> "Dataset":
    """A recipe's data; characters are made up: a step costs the same whatever they say."""
    import numpy as np

    from stepwire_training.data.shakespeare import Characters, split

    if not isinstance(recipe.data, Characters):
        return recipe.data.load()
    letters = [*string.ascii_letters, *" !&',-.:;?\n"]
    drawn = np.random.default_rng(1).choice(letters, CHARACTERS)
    return split("".join(drawn), recipe.data)


def _bare(recipe: "Recipe", dataset: "Dataset", steps: int) -> Callable[[], None]:
    """So many steps of the least that training can be."""
    import torch
    from torch import nn

    from stepwire_training.data.batches import Shard

    model = recipe.model.build(*dataset.sizes).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=recipe.weight_decay,
    )
    batches = [dataset.train.batch(step, Shard()) for step in range(steps)]

    def run() -> None:
        state: tuple[torch.Tensor, ...] = ()
        for inputs, targets, fresh in batches:
            state = model.start(len(targets)) if fresh else state
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
                outputs, state = model(*inputs, state)
            state = tuple(part.detach() for part in state)
            loss = model.loss(outputs, targets, recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()

    return run


def _seldom(recipe: "Recipe", dataset: "Dataset") -> Callable[[float, int], Seconds]:
    """What so many seconds and steps pay for checkpoints and logs, all of a run counted alike."""
    from stepwire_training import journal, train
    from stepwire_training.data.batches import Shard
    from stepwire_training.evaluate import Score

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = train.begin(recipe, dataset, folder, Shard())
        # The optimizer has its averages after a step, and they are part of a checkpoint.
        train.update(recipe, run.model, run, dataset.train, Shard())
        for _ in range(recipe.steps // recipe.evaluate_every):  # as long as the log gets
            run.progress.note(1.0, Score(1.0, 0.5), recipe.learning_rate, run.average)
        watch = Watch()
        for _ in range(SELDOM):
            train.save(run, folder, Shard())
        checkpoint, watch = watch.seconds(), Watch()
        for _ in range(SELDOM):
            journal.write_log(folder / "log.csv", run.progress)
            journal.write_curve(folder / "learning_curve.png", recipe.bundle, run.progress)
        log = watch.seconds()

    def share(seconds: float, steps: int) -> Seconds:
        saves = seconds / train.CHECKPOINT_SECONDS / SELDOM
        return (
            Seconds(0.0, 0.0)
            .plus(saves, checkpoint)
            .plus(steps / recipe.evaluate_every / SELDOM, log)
        )

    return share


def main() -> None:
    """Runs the command: one JSON line a round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("recipe", nargs="?", default=Plan.recipe)
    parser.add_argument("--steps", type=int, default=Plan.training_steps, help="of a round")
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    flags = parser.parse_args()
    in_turns(
        flags.recipe,
        flags.steps,
        flags.rounds,
        lambda values: print(json.dumps(values), flush=True),
    )


if __name__ == "__main__":
    main()
