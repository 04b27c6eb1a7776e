"""How far back a cell can learn to look: two numbers to be added, up to a thousand steps apart.

The adding task (Hochreiter and Schmidhuber, 1997). At each step a cell reads a number in [0, 1)
and whether it is marked; two are, and after the last step their sum is asked for. Who always
says 1 is wrong by 1/6 in the mean square, the variance of a sum of two such numbers.

The first of them stands among the first ten, and `lag` more steps at the least come after it.
Each start of a cell learns all lags in two ways: every lag from fresh weights, and every lag from
the weights that learned the one before. The first lag that it cannot learn ends a row. B rows,
T = lag + 10 positions, H hidden units.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from stepwire_training.models.recurrent import Cell, RecurrentLayer
from stepwire_training.studies.findings import Findings, Rows, figure, image
from stepwire_training.studies.starts import spread_gates

BASELINE = 1 / 6  # mean square error of always saying 1
EARLY = 10  # positions that the first marked number is among
LONGEST = 1_000
WAYS = {"fresh weights": False, "the lag before": True}  # where a lag begins; whether it grows


class Start(NamedTuple):
    """A cell, and how it begins."""

    cell: Cell
    rate: float  # of 1e-3, 3e-3 and 1e-2 what learned lag 10 in the fewest steps
    spread: bool = False  # whether its gates begin with memories of all lengths
    fresh_to: int = LONGEST  # the longest lag that is tried with fresh weights


STARTS = {
    "rnn": Start("rnn", 3e-3),
    # PyTorch's GRU is slow on a CPU: longer ones would cost more than everything else.
    "gru": Start("gru", 1e-2, fresh_to=300),
    "lstm": Start("lstm", 1e-2),
    "lstm, chrono": Start("lstm", 1e-2, spread=True),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is spent on the study."""

    lags: tuple[int, ...] = (10, 30, 100, 300, LONGEST)
    hidden: int = 32
    rows: int = 32  # sequences of a step
    steps: int = 2_000  # at most, for each lag
    look_every: int = 50  # steps
    learned_below: float = 0.01  # mean square error on sequences not learned from
    measured: int = 1_000  # sequences that an error is measured on
    seeds: tuple[int, ...] = (1, 2)


QUICK = Settings(lags=(2, 4), hidden=8, rows=8, steps=4, look_every=2, measured=16, seeds=(1,))


class Sums(NamedTuple):
    """Sequences and what they ask for."""

    inputs: Tensor  # [B, T, 2]: a number, and 1 where it is marked
    sums: Tensor  # [B], of the two marked numbers


class Stage(NamedTuple):
    """One lag, learned or not."""

    lag: int
    steps: int  # until it was learned, or all there were
    error: float  # mean square, on sequences of its own
    learned: bool


class Run(NamedTuple):
    """One start of a cell, and the lags that it was asked for."""

    start: str
    way: str
    seed: int
    stages: list[Stage]


class Adder(nn.Module):
    """A recurrent layer, and one number read off its last state."""

    def __init__(self, start: Start, hidden: int) -> None:
        """Begins with fresh weights."""
        super().__init__()
        self.layer = RecurrentLayer(start.cell, 2, hidden)
        self.output = nn.Linear(hidden, 1)
        if start.spread:
            spread_gates(self.layer, LONGEST)

    def forward(self, inputs: Tensor) -> Tensor:
        """Sums [B] of sequences [B, T, 2]."""
        _, state = self.layer(inputs, self.layer.start(len(inputs)))
        return self.output(state[0]).squeeze(1)


def sequences(rows: int, lag: int, generator: torch.Generator) -> Sums:
    """Draws sequences of lag + 10 positions."""
    length = lag + EARLY
    numbers = torch.rand(rows, length, generator=generator)
    first = torch.randint(EARLY, (rows, 1), generator=generator)
    second = torch.randint(EARLY, length, (rows, 1), generator=generator)
    marks = torch.zeros(rows, length).scatter_(1, torch.cat([first, second], dim=1), 1.0)
    return Sums(torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1))


def study(quick: bool) -> Findings:
    """Runs it."""
    settings = QUICK if quick else Settings()
    asked = list(itertools.product(STARTS, WAYS, settings.seeds))
    found = [
        Run(start, way, seed, list(lags_learned(STARTS[start], WAYS[way], seed, settings)))
        for start, way, seed in tqdm(asked, unit="run")
    ]
    return Findings({"long_lags": by_stage(found)}, {"long_lags": drawn(found, settings)})


def lags_learned(start: Start, growing: bool, seed: int, settings: Settings) -> Iterator[Stage]:
    """The lags in turn, up to the first that is not learned.

    Args:
        start: the cell.
        growing: whether a lag begins with the weights that learned the one before.
        seed: of the weights and of the sequences.
        settings: of the study.
    """
    adder: Adder | None = None
    for lag in settings.lags:
        if lag > start.fresh_to and not growing:
            return
        if adder is None or not growing:
            torch.manual_seed(seed)
            adder = Adder(start, settings.hidden)
        stage = learn(adder, start.rate, lag, seed, settings)
        yield stage
        if not stage.learned:
            return


def learn(adder: Adder, rate: float, lag: int, seed: int, settings: Settings) -> Stage:
    """Trains until the lag is learned, or the steps are over."""
    drawn, held_out = (torch.Generator().manual_seed(2 * seed + part) for part in (0, 1))
    seen = sequences(settings.measured, lag, held_out)
    optimizer = torch.optim.Adam(adder.parameters(), rate)
    learned, step = False, 0
    while step < settings.steps and not learned:
        for _ in range(settings.look_every):
            update(adder, optimizer, sequences(settings.rows, lag, drawn))
        step += settings.look_every
        learned = error(adder, seen) < settings.learned_below
    # The sequences that said when to stop would flatter it: others measure.
    return Stage(lag, step, error(adder, sequences(settings.measured, lag, held_out)), learned)


def update(adder: Adder, optimizer: torch.optim.Optimizer, batch: Sums) -> None:
    """Moves the weights once."""
    loss = functional.mse_loss(adder(batch.inputs), batch.sums)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(adder.parameters(), 1.0)
    optimizer.step()


def error(adder: Adder, batch: Sums) -> float:
    """Mean square error."""
    with torch.inference_mode():
        return functional.mse_loss(adder(batch.inputs), batch.sums).item()


def by_stage(found: Sequence[Run]) -> Rows:
    """One line a lag of a run."""
    rows = [
        (
            *(run.start, run.way, str(run.seed), str(stage.lag), str(stage.steps)),
            *(f"{stage.error:.4f}", "yes" if stage.learned else "no"),
        )
        for run in found
        for stage in run.stages
    ]
    return [("cell", "begins with", "seed", "lag", "steps", "error", "learned"), *rows]


def shown(tables: dict[str, Rows]) -> list[Rows]:
    """The tables as the page has them: the steps until each lag was learned, of every seed."""
    _, *rows = tables["long_lags"]
    lags = sorted({row[3] for row in rows}, key=int)
    seeds = sorted({row[2] for row in rows})
    steps = {row[:4]: row[4] if row[6] == "yes" else f"({row[5]})" for row in rows}
    lines = [
        (*key, *(" / ".join(steps.get((*key, seed, lag), "-") for seed in seeds) for lag in lags))
        for key in dict.fromkeys(row[:2] for row in rows)
    ]
    return [[("cell", "begins with", *(f"lag {lag}" for lag in lags)), *lines]]


def drawn(found: Sequence[Run], settings: Settings) -> bytes:
    """The picture: errors by lag, each run up to the first lag that it did not learn."""
    drawing = figure(8.4, 3.8)
    panels = drawing.subplots(1, 2, sharey=True)
    for axes, way in zip(panels, WAYS, strict=True):
        for run in (each for each in found if each.way == way):
            label = run.start if run.seed == settings.seeds[0] else None
            colour = f"C{list(STARTS).index(run.start)}"
            lags, errors = [each.lag for each in run.stages], [each.error for each in run.stages]
            axes.plot(lags, errors, "o-", ms=3, lw=1, alpha=0.7, color=colour, label=label)
        axes.axhline(BASELINE, color="grey", ls=":", lw=1)
        axes.axhline(settings.learned_below, color="grey", ls="--", lw=1)
        axes.set(title=f"each lag begins with {way}", xlabel="lag", xscale="log", yscale="log")
    panels[0].set(ylabel="mean square error")
    panels[0].legend(frameon=False, fontsize=7, loc="lower left")
    return image(drawing)
