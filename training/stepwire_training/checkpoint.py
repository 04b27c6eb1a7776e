"""What a run needs to go on exactly where it stopped, in one file.

The data needs no place here: a batch is a pure function of the step.
"""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from stepwire_training.data.batches import Shard
from stepwire_training.evaluate import Score
from stepwire_training.models.network import Network, State

Weights = dict[str, Tensor]


@dataclass(kw_only=True)
class Progress:
    """How far a run has come."""

    step: int = 0  # updates done
    seconds: float = 0.0  # spent so far, over all sittings
    best_loss: float = float("inf")  # on the validation split
    best_bleu: float = -1.0  # there, of a translator; what it is chosen by
    best_error: float = float("inf")  # there, of a forecaster; what it is chosen by
    best_tagged: float = -1.0  # there, of a tagger; what it is chosen by
    best_step: int = 0
    best: Weights = field(default_factory=dict)  # averaged weights of that moment
    history: list[dict[str, float]] = field(default_factory=list)  # one row an evaluation

    def note(self, train_loss: float, score: Score, rate: float, average: nn.Module) -> None:
        """Notes an evaluation, and its weights if they are the best."""
        row = {"step": self.step, "seconds": round(self.seconds, 1), "rate": rate}
        row |= {"train_loss": train_loss, "dev_loss": score.loss}
        others = {"accuracy": score.accuracy, "bleu": score.bleu, "error": score.error}
        row |= {f"dev_{name}": value for name, value in others.items() if value is not None}
        self.history.append(row)
        is_best = score.loss < self.best_loss
        if score.bleu is not None:
            is_best = score.bleu > self.best_bleu
            self.best_bleu = max(score.bleu, self.best_bleu)
        if score.error is not None:
            is_best = score.error < self.best_error
            self.best_error = min(score.error, self.best_error)
        if score.tagged is not None:
            is_best = score.tagged > self.best_tagged
            self.best_tagged = max(score.tagged, self.best_tagged)
        if is_best:
            self.best_loss, self.best_step = score.loss, self.step
            self.best = {name: part.clone() for name, part in average.state_dict().items()}


@dataclass(kw_only=True)
class Training:
    """Everything that changes while a run goes on."""

    fingerprint: str  # of the recipe and the tokens: what another run cannot go on from
    model: Network
    average: Network  # the same model with averaged weights
    optimizer: Optimizer
    state: State = ()  # carried from chunk to chunk, this process's rows
    losses: list[float] = field(default_factory=list)  # its own, since the last evaluation
    progress: Progress = field(default_factory=Progress)

    def count(self, loss: float, seconds: float) -> None:
        """Notes an update."""
        self.progress.step += 1
        self.progress.seconds = seconds
        self.losses.append(loss)

    def take_loss(self) -> float:
        """The mean training loss since it was last taken."""
        mean = sum(self.losses) / len(self.losses)
        self.losses = []
        return mean

    def shown(self) -> dict[str, str]:
        """What the progress bar says."""
        shown = {"loss": f"{self.losses[-1]:.4f}"} if self.losses else {}
        if self.progress.best_bleu >= 0:
            return shown | {"best": f"{self.progress.best_bleu:.2f} BLEU"}
        return shown | ({"best": f"{self.progress.best_loss:.4f}"} if self.progress.best else {})


def write(path: Path, training: Training, parts: list[Any]) -> None:
    """Writes a checkpoint that is either whole or not there at all.

    Args:
        path: the file.
        training: the run.
        parts: what each process has of its own (see own_part), by rank.
    """
    content = {
        "fingerprint": training.fingerprint,
        "model": training.model.state_dict(),
        "average": training.average.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "progress": vars(training.progress),
        "processes": parts,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def own_part(training: Training) -> dict[str, Any]:
    """What a process does not share with the others: randomness, carried state, losses."""
    return {"rng": torch.get_rng_state(), "state": training.state, "losses": training.losses}


def read(path: Path, training: Training, shard: Shard) -> None:
    """Puts a run back to where its checkpoint was written."""
    content = torch.load(path, weights_only=True)
    if content["fingerprint"] != training.fingerprint:
        raise ValueError(
            f"{path} was written by another recipe or tokenizer; move it away to start anew"
        )
    if len(content["processes"]) != shard.world:
        wanted = len(content["processes"])
        raise ValueError(f"{path} was written by {wanted} processes, this run has {shard.world}")
    training.model.load_state_dict(content["model"])
    training.average.load_state_dict(content["average"])
    training.optimizer.load_state_dict(content["optimizer"])
    training.progress = Progress(**content["progress"])
    own = content["processes"][shard.rank]
    training.state, training.losses = own["state"], own["losses"]
    torch.set_rng_state(own["rng"])


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file in one move, after its bytes have reached the disk."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
