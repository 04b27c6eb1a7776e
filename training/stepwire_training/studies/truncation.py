"""How far back a gradient has to go: the same model, cut after 5 to 200 characters.

Truncated back-propagation reads a chunk of a text, moves the weights, and goes on with the next
chunk: the state is carried over the cut, the gradient is not. Each run reads as many characters
between two updates and makes as many updates, so that rows of short chunks are many; what differs
is where the gradient is cut. A second set of runs forgets the state at the cut as well.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from stepwire_training.data import shakespeare
from stepwire_training.data.batches import Batch, Batches, Dataset, Shard
from stepwire_training.interrupt import Interrupt
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.recipe import Data, Recipe
from stepwire_training.recipes.shakespeare import publication
from stepwire_training.studies.findings import Findings, Rows, figure, image
from stepwire_training.train import train


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is spent on the study."""

    lengths: tuple[int, ...] = (5, 10, 25, 50, 100, 200)
    characters: int = 3_200  # read between two updates, of all rows together
    hidden: int = 128
    embedding: int = 32
    steps: int = 800
    seeds: tuple[int, ...] = (1, 2)


QUICK = Settings(lengths=(5, 20), characters=400, hidden=16, embedding=8, steps=6, seeds=(1,))


class Run(NamedTuple):
    """One model, trained."""

    length: int  # characters that a gradient goes back at most
    carried: bool  # whether the state goes over the cut
    seed: int
    nats: float  # of a validation character

    @property
    def state(self) -> str:
        """What becomes of the state at the cut."""
        return "carried" if self.carried else "forgotten"


@dataclass(frozen=True)
class Forgetful:
    """The same chunks, each begun with an empty state."""

    batches: Batches

    def __len__(self) -> int:
        return len(self.batches)

    def batch(self, step: int, shard: Shard) -> Batch:
        """The batch of a step."""
        return self.batches.batch(step, shard)._replace(fresh=True)


def study(quick: bool) -> Findings:
    """Runs it."""
    settings = QUICK if quick else Settings()
    found = list(runs(settings))
    return Findings({"truncation": table(found)}, {"truncation": drawn(found)})


def runs(settings: Settings) -> Iterator[Run]:
    """Trains all models, one after the other."""
    for seed in settings.seeds:
        for length in settings.lengths:
            recipe = shortened(length, seed, settings)
            dataset = recipe.data.load()
            for carried in (True, False):
                yield Run(length, carried, seed, measured(recipe, dataset, carried))


def shortened(length: int, seed: int, settings: Settings) -> Recipe:
    """A run whose gradient goes back so many characters."""
    rows = settings.characters // length
    data: Data = shakespeare.Characters(rows=rows, length=length, seed=seed)
    return Recipe(
        bundle=f"truncation-{length}",
        publication=publication("LSTM", settings.hidden),
        data=data,
        model=LanguageModel.Config(
            cell="lstm", layers=1, hidden=settings.hidden, embedding=settings.embedding
        ),
        steps=settings.steps,
        learning_rate=1e-2,
        ema_decay=0.99,
        evaluate_every=settings.steps,
        seed=seed,
    )


def measured(recipe: Recipe, dataset: Dataset, carried: bool) -> float:
    """Trains; the answer is the loss on the validation text, read with its state carried."""
    if not carried:
        dataset = replace(dataset, train=Forgetful(dataset.train))
    with tempfile.TemporaryDirectory() as folder:
        return train(recipe, dataset, Path(folder), Interrupt()).progress.best_loss


def table(found: Sequence[Run]) -> Rows:
    """One line a run."""
    rows = [(str(each.length), each.state, str(each.seed), f"{each.nats:.4f}") for each in found]
    return [("characters", "state at the cut", "seed", "validation nats"), *rows]


def shown(tables: dict[str, Rows]) -> list[Rows]:
    """The tables as the page has them: the mean of the seeds."""
    _, *rows = tables["truncation"]
    nats: dict[tuple[str, str], list[float]] = {}
    for length, state, _, each in rows:
        nats.setdefault((length, state), []).append(float(each))
    lengths = dict.fromkeys(length for length, _ in nats)
    ways = ("carried", "forgotten")
    means = [
        (length, *(f"{statistics.mean(nats[length, way]):.3f}" for way in ways))
        for length in lengths
    ]
    return [[("characters", *(f"state {way}" for way in ways)), *means]]


def drawn(found: Sequence[Run]) -> bytes:
    """The picture: a dot for each run, a line through the means of the seeds."""
    drawing = figure(6.4, 3.6)
    axes = drawing.subplots()
    for number, state in enumerate(("carried", "forgotten")):
        nats: dict[int, list[float]] = {}
        for run in (each for each in found if each.state == state):
            axes.plot(run.length, run.nats, ".", color=f"C{number}")
            nats.setdefault(run.length, []).append(run.nats)
        means = list(map(statistics.mean, nats.values()))
        axes.plot(list(nats), means, color=f"C{number}", label=f"state {state} at the cut")
    axes.set(xlabel="characters that a gradient goes back", ylabel="validation nats", xscale="log")
    axes.set_xticks(list(nats), map(str, nats), minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False)
    return image(drawing)
