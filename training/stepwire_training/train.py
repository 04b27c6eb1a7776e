"""The training loop, top to bottom.

Call it as often as you like: it goes on from the checkpoint it finds, and a run that was
stopped ends with the same bits as one that was not.
"""

import copy
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from stepwire_training import checkpoint, journal, processes
from stepwire_training.checkpoint import Training
from stepwire_training.data.batches import Batches, Dataset, Shard
from stepwire_training.evaluate import evaluate
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipe import Recipe
from stepwire_training.translate import greedy_bleu

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 120.0  # between two checkpoints: what a crash can cost


class Stopped(Exception):
    """The run was interrupted and its checkpoint is written."""


class Sitting(NamedTuple):
    """One call of train in one process; a run that is stopped takes several."""

    clock: "Clock"  # goes on from the seconds of the sittings before
    interrupt: Interrupt  # may ask it to end early
    shard: Shard  # this process's share of every batch


def train(recipe: Recipe, dataset: Dataset, runs: Path, interrupt: Interrupt) -> Training:
    """Trains until the recipe's last step, or until it is interrupted.

    Args:
        recipe: the run.
        dataset: its data, loaded.
        runs: its folder there keeps checkpoint.pt, log.csv and learning_curve.png.
        interrupt: asks the run to stop after a step.

    Returns:
        The finished run; its best averaged weights are in progress.best.

    Raises:
        Stopped: it was interrupted. Call again to go on.
    """
    folder = runs / recipe.bundle
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(recipe.threads)
    with processes.joined() as shard:
        began = time.monotonic()
        run = begin(recipe, dataset, folder, shard)
        sitting = Sitting(Clock(began, run.progress.seconds), interrupt, shard)
        # What shares gradients must be gone before the processes part.
        finished = go_on(recipe, run, dataset, folder, sitting)
    if not finished:
        raise Stopped
    return run


def go_on(recipe: Recipe, run: Training, dataset: Dataset, folder: Path, sitting: Sitting) -> bool:
    """Takes the steps that are left; the answer is whether the last one was among them.

    Args:
        recipe: the run's.
        run: where it stands; changed.
        dataset: its data.
        folder: of the run.
        sitting: its clock, what may interrupt it, and this process's share.
    """
    clock, interrupt, shard = sitting
    model = processes.shared(run.model, shard)
    for step in steps_left(recipe, run, shard):
        loss = update(recipe, model, run, dataset.train, shard)
        follow(run.average, run.model, recipe.ema_decay, step)
        run.count(loss, clock.seconds())
        last = run.progress.step == recipe.steps
        if last or run.progress.step % recipe.evaluate_every == 0:
            look(recipe, run, dataset, folder, shard)
        asked = interrupt.asked(run.progress.step)
        stop, due = processes.any_of([asked, clock.is_due()], shard)
        if stop or due or last:
            save(run, folder, shard)
        if stop and not last:
            return False
    return True


def begin(recipe: Recipe, dataset: Dataset, folder: Path, shard: Shard) -> Training:
    """A run at its first step, or where its checkpoint left it."""
    torch.manual_seed(recipe.seed)  # the same weights in every process
    model = recipe.model.build(*dataset.sizes)
    checkpointed = (folder / CHECKPOINT).exists()
    if dataset.vectors is not None and not checkpointed:
        model.begin_from(dataset.vectors())
    model.train()
    torch.manual_seed(recipe.seed * 1000 + shard.rank)  # other dropout in every process
    run = Training(
        fingerprint=fingerprint(recipe, dataset),
        model=model,
        average=copy.deepcopy(model).requires_grad_(False),
        optimizer=model.optimizer(recipe.weight_decay),
    )
    if checkpointed:
        checkpoint.read(folder / CHECKPOINT, run, shard)
    return run


def steps_left(recipe: Recipe, run: Training, shard: Shard) -> Iterable[int]:
    """The steps still to do, with a progress bar."""
    first = run.progress.step
    bar = tqdm(initial=first, total=recipe.steps, unit="step", disable=shard.rank > 0)
    with bar:
        for step in range(first, recipe.steps):
            bar.set_postfix(run.shown(), refresh=False)
            yield step
            bar.update()


def update(
    recipe: Recipe, model: nn.Module, run: Training, batches: Batches, shard: Shard
) -> float:
    """Moves the weights once; the answer is the loss before."""
    step = run.progress.step
    inputs, targets, fresh = batches.batch(step, shard)
    state = run.model.start(len(targets)) if fresh else run.state
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        outputs, state = model(*inputs, state)
    # Truncated back-propagation: the state goes on, its history does not.
    run.state = tuple(part.detach() for part in state)
    loss = run.model.loss(outputs, targets, recipe.label_smoothing)
    run.optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm, error_if_nonfinite=True)
    for group in run.optimizer.param_groups:
        group["lr"] = recipe.rate(step)
    run.optimizer.step()
    return loss.item()


def follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Moves the averaged weights a little towards the current ones."""
    # The first weights are noise; a young average forgets them faster.
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for kept, current in zip(average.parameters(), model.parameters(), strict=True):
            kept.lerp_(current, 1.0 - decay)


def look(recipe: Recipe, run: Training, dataset: Dataset, folder: Path, shard: Shard) -> None:
    """Measures the averaged weights and keeps them if they are the best so far."""
    train_loss = processes.mean(run.take_loss(), shard)
    if shard.rank > 0:
        return
    score = evaluate(run.average, dataset.dev, recipe.bf16)
    if dataset.translations and not dataset.translations.free:
        score = score._replace(bleu=greedy_bleu(run.average, dataset.translations, recipe.bf16))
    run.progress.note(train_loss, score, recipe.rate(run.progress.step - 1), run.average)
    journal.write_log(folder / "log.csv", run.progress)
    journal.write_curve(folder / "learning_curve.png", recipe.bundle, run.progress)


def save(run: Training, folder: Path, shard: Shard) -> None:
    """Writes the checkpoint; every process takes part."""
    parts = processes.gathered(checkpoint.own_part(run), shard)
    if shard.rank == 0:
        checkpoint.write(folder / CHECKPOINT, run, parts)


def fingerprint(recipe: Recipe, dataset: Dataset) -> str:
    """Tells a run from every other; weights mean nothing beside another tokenizer."""
    tokenizer = dataset.tokenizer.to_str() if dataset.tokenizer else ""
    own = dataset.translations.own_source_tokenizer if dataset.translations else None
    tokenizer += own.to_str() if own else ""
    return hashlib.sha256(f"{recipe.fingerprint()}{tokenizer}".encode()).hexdigest()


class Clock:
    """Seconds trained over all sittings, and when the next checkpoint is due."""

    def __init__(self, began: float, seconds_before: float) -> None:
        self._start = began - seconds_before
        self._saved = time.monotonic()

    def seconds(self) -> float:
        """Trained so far."""
        return time.monotonic() - self._start

    def is_due(self) -> bool:
        """Whether a checkpoint is due; asking starts the next wait."""
        if time.monotonic() - self._saved < CHECKPOINT_SECONDS:
            return False
        self._saved = time.monotonic()
        return True
