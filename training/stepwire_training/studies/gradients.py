"""How much of a gradient is left so many characters back, and what clipping changes.

A character model reads a text and is asked for the character behind it. The gradient of that one
loss by the state after each character tells how much a small change there would have mattered: it
is all that a network can learn from about so long ago (Hochreiter, 1991; Bengio, Simard and
Frasconi, 1994). The state of an LSTM is h and c together.

Then the same models learn by plain gradient descent, with the gradient clipped (Pascanu, Mikolov
and Bengio, 2013) and without. B rows, T positions.
"""

import copy
import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from stepwire_training.data import shakespeare
from stepwire_training.data.batches import Batches, Dataset, Shard, TextStream
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.network import State
from stepwire_training.models.recurrent import Cell, RecurrentLayer
from stepwire_training.studies.findings import Findings, Rows, figure, image
from stepwire_training.studies.starts import close_gates, draw_uniformly, spread_gates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELLS: tuple[Cell, ...] = ("rnn", "gru", "lstm")
RATES = (2.0, 5.0)
LAGS = (0, 1, 2, 5, *range(10, 101, 10))
STYLES = (":", "-", "--")
SHOWN = (1, 10, 20, 50, 100)  # lags, in the page


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is spent on the study."""

    hidden: int = 64
    embedding: int = 32
    length: int = 150  # characters that are read before the one that is asked for
    places: int = 64  # of the validation text, where that is measured
    rows: int = 32  # texts read side by side while learning
    chunk: int = 100  # characters between two updates
    steps: int = 300
    longest: float = 0.25  # gradient that clipping lets through
    seeds: tuple[int, ...] = (1, 2, 3)


QUICK = Settings(hidden=16, embedding=8, places=8, rows=8, chunk=20, steps=6, seeds=(1,))


Shares = dict[str, list[float]]  # what is left at each of LAGS, by the name of the model


class Start(NamedTuple):
    """A way to begin."""

    cell: Cell
    change: Callable[[RecurrentLayer], None]


STARTS: dict[str, Start] = {
    "rnn, uniform weights": Start("rnn", draw_uniformly),
    "rnn, orthogonal weights": Start("rnn", lambda layer: None),
    "gru": Start("gru", lambda layer: None),
    "lstm, forget bias 0": Start("lstm", close_gates),
    "lstm, forget bias 1": Start("lstm", lambda layer: None),
    "lstm, chrono": Start("lstm", lambda layer: spread_gates(layer, LAGS[-1])),
}


class Course(NamedTuple):
    """How learning went."""

    cell: Cell
    rate: float
    clipped: bool
    seed: int
    losses: list[float]  # nats, before each update
    norms: list[float]  # of the gradient, before it is clipped
    model: LanguageModel  # as it ended
    steepest: LanguageModel  # as it was where the gradient was largest


def study(quick: bool) -> Findings:
    """Runs it."""
    settings = QUICK if quick else Settings()
    dataset = shakespeare.Characters(rows=settings.rows, length=settings.chunk, seed=1).load()
    text = places(dataset, settings)
    began = {name: left(begun(start, dataset, settings), text) for name, start in STARTS.items()}
    found = list(courses(dataset, settings))
    first = [each for each in found if each.seed == settings.seeds[0]]
    ended = {named(each): left(each.model, text) for each in first if each.rate == RATES[0]}
    loose = sorted((each for each in first if not each.clipped), key=lambda each: max(each.norms))
    steepest = {each.cell: each for each in loose}  # the largest gradient of each cell
    largest = {
        f"{cell}, rate {each.rate:g}": left(each.steepest, text)
        for cell, each in sorted(steepest.items())
    }
    tables = {"gradients": by_lag(began, ended, largest), "clipping": by_run(found)}
    pictures = {
        "gradients": draw_left(began, ended),
        "clipping": draw_norms([each for each in first if each.rate == RATES[-1]], largest),
    }
    return Findings(tables, pictures)


def begun(start: Start, dataset: Dataset, settings: Settings) -> LanguageModel:
    """A model that has learned nothing."""
    torch.manual_seed(settings.seeds[0])
    model = fresh(start.cell, dataset, settings)
    [layer] = model.recurrent_layers()
    assert isinstance(layer, RecurrentLayer)
    start.change(layer)
    return model


def fresh(cell: Cell, dataset: Dataset, settings: Settings) -> LanguageModel:
    """A model of one layer."""
    config = LanguageModel.Config(
        cell=cell, layers=1, hidden=settings.hidden, embedding=settings.embedding
    )
    return config.build(*dataset.sizes)


def places(dataset: Dataset, settings: Settings) -> Tensor:
    """Pieces of the validation text, int64 [B, length + 1], evenly spread."""
    assert isinstance(dataset.dev, TextStream)
    ids = torch.from_numpy(dataset.dev.ids)
    first = torch.linspace(0, len(ids) - settings.length - 1, settings.places).long()
    return ids[first[:, None] + torch.arange(settings.length + 1)]


def left(model: LanguageModel, text: Tensor) -> list[float]:
    """What is left of the gradient at each of LAGS, as a share of what there is at lag 0."""
    norms = norms_by_lag(model, text)
    return [norms[lag] / norms[0] for lag in LAGS]


def norms_by_lag(model: LanguageModel, text: Tensor) -> list[float]:
    """The gradient of the loss of the last character by the state so many characters before it.

    Args:
        model: of one layer.
        text: int64 [B, T + 1]; the last is asked for.

    Returns:
        T norms, means of all rows: by the state after the last character that is read, by the
        state one before, and so on.
    """
    states: list[State] = [model.start(len(text))]
    for tokens in text[:, :-1].T:
        _, state = model(tokens[:, None], states[-1])
        states.append(state)
    logits = model.output(states[-1][0][:, 0])  # read off the state that is asked about
    loss = nn.functional.cross_entropy(logits, text[:, -1], reduction="sum")
    parts = [part for state in states[1:] for part in state]
    gradients = torch.autograd.grad(loss, parts, materialize_grads=True)
    squares = torch.stack(gradients).double().square().sum(dim=(2, 3))  # [T * parts, B]
    norms = squares.view(len(states) - 1, -1, len(text)).sum(dim=1).sqrt().mean(dim=1)  # [T]
    return norms.flip(0).tolist()


def courses(dataset: Dataset, settings: Settings) -> Iterator[Course]:
    """Learns with every cell at every rate, clipped and not."""
    asked = list(itertools.product(RATES, CELLS, (False, True), settings.seeds))
    for rate, cell, clipped, seed in tqdm(asked, unit="run"):
        torch.manual_seed(seed)
        model = fresh(cell, dataset, settings)
        losses, norms, steepest = [], [0.0], model
        for loss, norm in descend(model, dataset.train, rate, settings, clipped):
            steepest = copy.deepcopy(model) if norm > max(norms) else steepest
            losses.append(loss)
            norms.append(norm)
        yield Course(cell, rate, clipped, seed, losses, norms[1:], model, steepest)


def descend(
    model: LanguageModel, batches: Batches, rate: float, settings: Settings, clipped: bool
) -> Iterator[tuple[float, float]]:
    """Plain gradient descent; gives the loss and the norm of the gradient before each update."""
    optimizer = torch.optim.SGD(model.parameters(), rate)
    longest = settings.longest if clipped else float("inf")
    state: State = ()
    for step in range(settings.steps):
        [tokens], targets, anew = batches.batch(step, Shard())
        state = model.start(len(tokens)) if anew else tuple(part.detach() for part in state)
        logits, state = model(tokens, state)
        loss = model.loss(logits, targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(model.parameters(), longest)
        yield loss.item(), norm.item()
        optimizer.step()


def by_lag(began: Shares, ended: Shares, largest: Shares) -> Rows:
    """What is left of a gradient, as a table."""
    groups = (("at the start", began), ("after learning", ended), ("at its largest", largest))
    return [
        ("when", "model", *(f"lag {lag}" for lag in LAGS)),
        *(
            (when, name, *(f"{share:.1e}" for share in shares))
            for when, group in groups
            for name, shares in group.items()
        ),
    ]


def by_run(found: Sequence[Course]) -> Rows:
    """How learning went, as a table."""
    return [
        ("cell", "rate", "clipped", "seed", "largest gradient", "loss at the end"),
        *(
            (
                *(each.cell, f"{each.rate:g}", "yes" if each.clipped else "no", str(each.seed)),
                f"{max(each.norms):.3g}",
                f"{statistics.mean(each.losses[-50:]):.2f}",
            )
            for each in found
        ),
    ]


def shown(tables: dict[str, Rows]) -> list[Rows]:
    """The tables as the page has them."""
    heading, *rows = tables["gradients"]
    columns = [0, 1, *(heading.index(f"lag {lag}") for lag in SHOWN)]
    lags = [tuple(row[column] for column in columns) for row in (heading, *rows)]
    runs = tables["clipping"][1:]
    merged = [
        (*key, *(" / ".join(column) for column in zip(*(row[4:] for row in group), strict=True)))
        for key, group in itertools.groupby(runs, key=lambda row: row[:3])
    ]
    return [lags, [(*tables["clipping"][0][:3], *tables["clipping"][0][4:]), *merged]]


def draw_left(began: Shares, ended: Shares) -> bytes:
    """The picture of what is left of a gradient."""
    drawing = figure(8.4, 3.8)
    first, second = drawing.subplots(1, 2, sharey=True)
    draw_lags(first, "before learning", began)
    draw_lags(second, "after learning", ended)
    first.set(ylabel="share of the gradient at lag 0", ylim=(1e-10, None))
    return image(drawing)


def draw_norms(found: Sequence[Course], largest: Shares) -> bytes:
    """The picture of the gradients while learning, and of the largest of them."""
    drawing = figure(8.4, 3.8)
    first, second = drawing.subplots(1, 2)
    for each in found:
        colour, style = f"C{CELLS.index(each.cell)}", "-" if each.clipped else ":"
        first.plot(each.norms, style, color=colour, label=named(each), lw=1)
    title = f"norm of the gradient before clipping, rate {found[0].rate:g}"
    first.set(title=title, xlabel="step", yscale="log")
    first.legend(frameon=False, fontsize=7)
    draw_lags(second, "where it was largest, not clipped", largest)
    return image(drawing)


def named(course: Course) -> str:
    """What a run is called."""
    return f"{course.cell}, {'clipped' if course.clipped else 'not clipped'}"


def draw_lags(axes: "Axes", title: str, group: Shares) -> None:
    """Draws what is left of a gradient: a colour for each cell."""
    styles = {cell: iter(STYLES) for cell in CELLS}
    for name, shares in group.items():
        cell = next(cell for cell in CELLS if name.startswith(cell))
        colour = f"C{CELLS.index(cell)}"
        axes.plot(LAGS, shares, next(styles[cell]), color=colour, label=name, lw=1.2)
    axes.set(title=title, xlabel="characters back", yscale="log")
    axes.legend(frameon=False, fontsize=7)
