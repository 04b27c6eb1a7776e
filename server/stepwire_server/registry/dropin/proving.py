"""Claims about someone's graph, tried by running it. What fails here is not believed.

N rows, T steps, * a tensor's own shape.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.runtime import Arrays
from stepwire_server.registry.dropin.rows import Rows, take_rows
from stepwire_server.registry.dropin.times import Times
from stepwire_server.registry.dropin.trials import FILLS, TrialFailed, largest_difference, same

CLOSE = 1e-5  # of steps and chunks, relative to numbers above 1: they are added up in other orders
CLOSE_HALF = 3e-3  # the same in half precision
CLOSE_SCALED = 0.03  # and where each run is scaled to 8 bits as a whole
RELATED = 0.05  # rows that come out further apart than this depend on each other

_ROWS = (2, 3, 4, 5, 7, 8, 16, 31, 32, 64, 128)
_FEW = 3
_STEPS = 4


class Pair(NamedTuple):
    """A state's input and output."""

    input: str
    output: str


class Claim(NamedTuple):
    """Something said of a graph, and whether running it bore that out."""

    words: str
    held: bool
    about: str = ""  # what went wrong, or by how much


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a graph is thought to be."""

    rows: Rows
    pairs: tuple[Pair, ...] = ()
    time: Times | None = None
    lengths: str | None = None
    close: float = CLOSE  # what counts as the same result, computed in another way

    def feeds(self, rows: int, seed: int, steps: int | None = None) -> Arrays:
        """Makes inputs up, [N, *] each."""
        sizes = dict.fromkeys(self.time.slots, steps) if self.time and steps else {}
        shapes = self.rows.shapes(rows, {k: v for k, v in sizes.items() if v})
        return self.rows.trials.feeds(shapes, seed, self.steps if steps is None else steps)

    @property
    def steps(self) -> int:
        """The steps of a run where nothing else is said."""
        others = {**self.rows.sizes}
        for name in self.rows.counted:
            others.pop(name)
        slots = self.time.slots if self.time else others
        return max((others[name] for name in slots), default=1)

    def run(self, feeds: Arrays) -> Arrays:
        """Runs the graph once."""
        return self.rows.trials.run(feeds)


def prove_rows(candidate: Candidate, most: int) -> tuple[Claim, float]:
    """Whether a row comes out as it does alone, wherever it stands and however many there are.

    Args:
        candidate: what is claimed.
        most: rows that will share a run.

    Returns:
        The claim, and how far apart rows came out; 0.0 is the same bit for bit.
    """
    axes = candidate.rows.axes
    pool = candidate.feeds(max(most, _FEW), seed=3)
    alone = {row: candidate.run(take_rows(pool, axes, [row])) for row in range(min(_FEW, most))}
    apart = 0.0
    for rows in (rows for rows in _ROWS if rows <= most):
        order = _with_known_rows(rows, max(most, _FEW))
        together = candidate.run(take_rows(pool, axes, order))
        for row in alone:
            if row in order:
                place = take_rows(together, axes, [order.index(row)])
                apart = max(apart, _apart(place, alone[row]))
    words = f"rows come out as they do alone, among up to {most}"
    if apart == 0.0:
        return Claim(words, True, "bit for bit"), apart
    return Claim(words, apart <= RELATED, f"they differ by up to {apart:.1g}"), apart


def _with_known_rows(rows: int, most: int) -> list[int]:
    """Row numbers of a run; those that were run alone stand first, in the middle and last."""
    order = [_FEW + number % max(1, most - _FEW) for number in range(rows)]
    for row, place in enumerate((rows - 1, 0, rows // 2)):
        if row < rows:
            order[place] = row
    return order


def prove_order(candidate: Candidate) -> Claim:
    """Whether rows that change places change them in what comes out, and nothing else does."""
    axes, order = candidate.rows.axes, [2, 0, 1]
    feeds = candidate.feeds(_FEW, seed=4)
    moved = candidate.run(take_rows(feeds, axes, order))
    held = candidate.run(feeds)
    apart = _apart(moved, take_rows(held, axes, order))
    return Claim("rows may stand in any order", apart <= RELATED, _by(apart))


def prove_state_changes(candidate: Candidate, pair: Pair) -> Claim:
    """Whether a run replaces a state by another one of the same form."""
    words = f"{pair.input} is replaced by {pair.output}"
    feeds = candidate.feeds(_FEW, seed=5)
    before, after = feeds[pair.input], candidate.run(feeds)[pair.output]
    if before.shape != after.shape or before.dtype != after.dtype:
        return Claim(
            words, False, f"it is {list(before.shape)} before and {list(after.shape)} after"
        )
    return Claim(
        words, not same(before, after), "" if not same(before, after) else "it never changes"
    )


def prove_state_matters(candidate: Candidate, pair: Pair) -> Claim:
    """Whether another state makes another answer, or another following state."""
    words = f"another {pair.input} gives another answer"
    return Claim(words, any(_matters(each, pair) for each in _filled(candidate)))


def _matters(candidate: Candidate, pair: Pair) -> bool:
    feeds = candidate.feeds(_FEW, seed=6)
    other = {**feeds, pair.input: candidate.feeds(_FEW, seed=7)[pair.input]}
    try:
        first, second = candidate.run(feeds), candidate.run(other)
    except TrialFailed:
        return False
    return any(not same(first[name], second[name]) for name in first)


def _filled(candidate: Candidate) -> Iterator[Candidate]:
    """The same with numbers of several sizes: some states count only after many steps."""
    rows = candidate.rows
    for fill in dict.fromkeys((rows.trials.fill, *FILLS)):
        yield replace(candidate, rows=replace(rows, trials=replace(rows.trials, fill=fill)))


def prove_steps(candidate: Candidate) -> Claim:
    """Whether steps taken one by one, the state handed on, give what they give as a chunk."""
    assert candidate.time is not None
    words = "steps one by one give what they give as a chunk"
    refused = ""
    for pieces in ([1] * _STEPS, [2, 2], [4, 4]):
        try:
            apart = _steps_apart(candidate, pieces)
        except TrialFailed as error:
            refused = refused or str(error)
            continue
        return Claim(words, apart <= candidate.close, _by(apart))
    raise TrialFailed(refused)


def _steps_apart(candidate: Candidate, pieces: Sequence[int]) -> float:
    time = candidate.time
    assert time is not None
    rows = _FEW if candidate.rows.counted else 1
    feeds = candidate.feeds(rows, seed=8, steps=sum(pieces))
    whole = candidate.run(feeds)
    states = {pair.input: feeds[pair.input] for pair in candidate.pairs}
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in whole}
    start = 0
    for steps in pieces:
        piece = {**_cut(feeds, time.axes, start, start + steps), **states}
        if candidate.lengths:
            piece[candidate.lengths] = np.full_like(feeds[candidate.lengths], steps)
        given = candidate.run(piece)
        states = {pair.input: given[pair.output] for pair in candidate.pairs}
        for name, value in given.items():
            parts[name].append(value)
        start += steps
    joined = {
        name: np.concatenate(values, time.axes[name]) if name in time.axes else values[-1]
        for name, values in parts.items()
    }
    return _apart(joined, whole)


def prove_lengths(candidate: Candidate) -> Claim:
    """Whether what lies behind a row's length changes nothing of the row."""
    time, lengths = candidate.time, candidate.lengths
    assert time is not None
    assert lengths is not None
    words = f"what lies behind a row's {lengths} changes nothing"
    feeds = candidate.feeds(_FEW, seed=9, steps=_STEPS)
    sizes = np.array([_STEPS, 2, 1], feeds[lengths].dtype)
    together = candidate.run({**feeds, lengths: sizes})
    apart = 0.0
    for row, size in enumerate(sizes.tolist()):
        one = _cut(take_rows(feeds, candidate.rows.axes, [row]), time.axes, 0, size)
        alone = candidate.run({**one, lengths: sizes[row : row + 1]})
        padded = _cut(take_rows(together, candidate.rows.axes, [row]), time.axes, 0, size)
        apart = max(apart, _apart(padded, alone))
    return Claim(words, apart <= candidate.close, _by(apart))


def _cut(arrays: Arrays, axes: Mapping[str, int], start: int, end: int) -> Arrays:
    """Some steps of every tensor that has time."""
    return {
        name: np.ascontiguousarray(value[(slice(None),) * axes[name] + (slice(start, end),)])
        if name in axes
        else value
        for name, value in arrays.items()
    }


def _apart(left: Arrays, right: Arrays) -> float:
    return max((largest_difference(left[name], right[name]) for name in left), default=0.0)


def _by(apart: float) -> str:
    if apart == float("inf"):
        return "in other shapes or numbers"
    return "bit for bit" if apart == 0.0 else f"within {apart:.1g}"
