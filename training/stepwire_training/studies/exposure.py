"""What a model meets when it reads its own writing, after it has learned on what others wrote.

A piece of text is read backwards into the state of one LSTM (as Sutskever, Vinyals and Le, 2014,
read their sources) and another writes it down again, a character at a time. While it learns it
reads the right characters, whatever it would have written (teacher forcing); when it is used there
are only its own. Measured is the loss of the right character at every place, both ways. Scheduled
sampling (Bengio et al., 2015) shows it more and more of its own characters while it learns.

B rows, T characters of a piece, V characters there are, H hidden units.
"""

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from stepwire_training.data import shakespeare
from stepwire_training.data.batches import TextStream
from stepwire_training.models.network import State
from stepwire_training.models.recurrent import RecurrentLayer
from stepwire_training.studies.findings import Findings, Rows, figure, image


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is spent on the study."""

    hidden: int = 128
    embedding: int = 32
    length: int = 16  # characters of a piece
    rows: int = 64
    steps: int = 1_000
    learning_rate: float = 1e-2  # falls to nothing over the second half
    shares: tuple[float, ...] = (0.0, 0.5, 1.0)  # of its own characters, at the last step
    measured: int = 2_000  # pieces of the validation text
    seeds: tuple[int, ...] = (1, 2, 3)


QUICK = Settings(hidden=16, embedding=8, length=8, rows=8, steps=4, measured=16, seeds=(1,))


class Writing(NamedTuple):
    """How well pieces are written when something is read."""

    nats: list[float]  # of the right character at each place, [T]
    right: list[float]  # share of the pieces that have it there, [T]
    whole: float  # share of the pieces that are right throughout


class Run(NamedTuple):
    """One model, measured both ways."""

    share: float
    seed: int
    given: Writing  # reading the right characters
    own: Writing  # reading its own


class Copier(nn.Module):
    """Reads a piece into a state, and writes it down from there."""

    def __init__(self, vocabulary: int, settings: Settings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary + 1, settings.embedding)
        self.reader = RecurrentLayer("lstm", settings.embedding, settings.hidden)
        self.writer = RecurrentLayer("lstm", settings.embedding, settings.hidden)
        self.output = nn.Linear(settings.hidden, vocabulary)

    def read(self, pieces: Tensor) -> State:
        """The state after pieces [B, T], read backwards."""
        _, state = self.reader(self.embedding(pieces.flip(1)), self.reader.start(len(pieces)))
        return state

    def forward(self, pieces: Tensor, own: Tensor) -> Tensor:
        """Scores of every character, one place after the other.

        Args:
            pieces: int64 [B, T], what is to be written.
            own: bool [B, T], where it reads the likeliest of its own scores and not the piece;
                at the first place there is nothing to read.

        Returns:
            [B, T, V].
        """
        state, scores = self.read(pieces), []
        before = torch.full_like(pieces[:, 0], self.output.out_features)  # none yet
        for given, chosen in zip(pieces.T, own.T, strict=True):
            out, state = self.writer(self.embedding(before)[:, None], state)
            scores.append(self.output(out[:, 0]))
            before = torch.where(chosen, scores[-1].detach().argmax(dim=1), given)
        return torch.stack(scores, dim=1)


def study(quick: bool) -> Findings:
    """Runs it."""
    found = list(runs(QUICK if quick else Settings()))
    tables = {"exposure": by_run(found), "exposure_places": by_place(found)}
    return Findings(tables, {"exposure": drawn(found)})


def runs(settings: Settings) -> Iterator[Run]:
    """Learns with every share and seed, and measures on text that was not learned from."""
    text = shakespeare.Characters(rows=1, length=settings.length, seed=1).load()
    assert isinstance(text.train, TextStream)
    assert isinstance(text.dev, TextStream)
    learned, held_out = torch.from_numpy(text.train.ids), torch.from_numpy(text.dev.ids)
    pieces = drawn_from(held_out, settings.measured, settings.length, torch.Generator())
    for share, seed in tqdm(list(itertools.product(settings.shares, settings.seeds)), unit="run"):
        torch.manual_seed(seed)
        copier = Copier(text.sizes[0], settings)
        learn(copier, learned, share, seed, settings)
        yield Run(share, seed, *(measured(copier, pieces, own) for own in (False, True)))


def drawn_from(ids: Tensor, rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Pieces of a text, int64 [B, T], that begin anywhere."""
    starts = torch.randint(len(ids) - length, (rows, 1), generator=generator)
    return ids[starts + torch.arange(length)]


def learn(copier: Copier, ids: Tensor, share: float, seed: int, settings: Settings) -> None:
    """Trains; the share of its own characters rises in a line from none."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(copier.parameters(), settings.learning_rate)
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 2 * (1 - step / settings.steps))
    )
    for step in range(settings.steps):
        pieces = drawn_from(ids, settings.rows, settings.length, generator)
        own = torch.rand(pieces.shape, generator=generator) < share * step / settings.steps
        loss = functional.cross_entropy(copier(pieces, own).flatten(0, 1), pieces.flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(copier.parameters(), 1.0)
        optimizer.step()
        falling.step()


def measured(copier: Copier, pieces: Tensor, own: bool) -> Writing:
    """Measures on pieces [B, T], while it reads them or what it writes."""
    with torch.inference_mode():
        scores = copier(pieces, torch.full_like(pieces, own, dtype=torch.bool))
    nats = functional.cross_entropy(scores.transpose(1, 2), pieces, reduction="none")
    right = scores.argmax(dim=2) == pieces
    whole = right.all(dim=1).float().mean().item()
    return Writing(nats.mean(dim=0).tolist(), right.float().mean(dim=0).tolist(), whole)


def by_run(found: Sequence[Run]) -> Rows:
    """One line a run."""
    return [
        (
            *("own characters at the end", "seed", "nats, given", "nats, own"),
            *("right, given", "right, own", "whole pieces right"),
        ),
        *(
            (
                *(f"{each.share:.0%}", str(each.seed)),
                *(f"{statistics.mean(way.nats):.3f}" for way in (each.given, each.own)),
                *(f"{statistics.mean(way.right):.3f}" for way in (each.given, each.own)),
                f"{each.own.whole:.3f}",
            )
            for each in found
        ),
    ]


def by_place(found: Sequence[Run]) -> Rows:
    """Nats at every place, means of all seeds."""
    places = range(1, len(found[0].given.nats) + 1)
    rows = [
        (f"{share:.0%}", reads, *(f"{nats:.3f}" for nats in mean_nats(list(group), reads)))
        for share, group in by_share(found)
        for reads in ("given", "own")
    ]
    return [("own characters at the end", "reads", *map(str, places)), *rows]


def by_share(found: Sequence[Run]) -> list[tuple[float, list[Run]]]:
    """The runs of every share."""
    shares = itertools.groupby(found, key=lambda run: run.share)
    return [(share, list(group)) for share, group in shares]


def mean_nats(group: Sequence[Run], reads: str) -> list[float]:
    """Nats at every place, means of some runs; `reads` is "given" or "own"."""
    each = [(run.own if reads == "own" else run.given).nats for run in group]
    return [statistics.mean(place) for place in zip(*each, strict=True)]


def shown(tables: dict[str, Rows]) -> list[Rows]:
    """The tables as the page has them."""
    heading, *rows = tables["exposure"]
    merged = [
        (
            share.replace("%", " %"),
            *(" / ".join(column) for column in list(zip(*group, strict=True))[2:]),
        )
        for share, group in itertools.groupby(rows, key=lambda row: row[0])
    ]
    return [[(heading[0], *heading[2:]), *merged]]


def drawn(found: Sequence[Run]) -> bytes:
    """The picture."""
    drawing = figure(6.4, 3.8)
    axes = drawing.subplots()
    for number, (share, group) in enumerate(by_share(found)):
        for reads, style in (("given", ":"), ("own", "-")):
            nats = mean_nats(group, reads)
            label = f"own characters up to {share:.0%}, reads {reads}"
            axes.plot(range(1, len(nats) + 1), nats, style, color=f"C{number}", label=label)
    axes.set(xlabel="place in the piece", ylabel="nats of the right character", ylim=(0, None))
    axes.legend(frameon=False, fontsize=7)
    return image(drawing)
