"""What a cell tells of a mark: a threshold that is found on one text and tried on another.

U cells, T places of a text, B steps between -1 and 1 at which a threshold may stand.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from stepwire_training.cells.marks import Marks

Activations = NDArray[np.float16]  # [T, U], each in [-1, 1]

STEPS = 200  # B
ITERATIONS = 60  # of fitting all cells together
DECAY = 1e-4  # of their weights, so that they do not learn single places


class Probe(NamedTuple):
    """A cell, and what it is taken to say: the mark is there above a threshold, or below it."""

    cell: int
    threshold: float
    above: bool

    def says(self, activations: Activations) -> Marks:
        """Where it finds the mark."""
        over: Marks = activations[:, self.cell].astype(np.float32) > self.threshold
        return over if self.above else ~over


@dataclass(frozen=True, kw_only=True)
class Found:
    """How often something is right about a mark, on a text it was not chosen by."""

    accuracy: float  # share of all places
    balanced: float  # mean of the share of places with the mark and of those without it

    @classmethod
    def of(cls, said: Marks, marks: Marks) -> "Found":
        """Compares what was said with what is so."""
        right = said == marks
        sides = [float(right[marks == side].mean()) for side in (True, False)]
        return cls(accuracy=float(right.mean()), balanced=sum(sides) / 2)


def best_probe(activations: Activations, marks: Marks) -> Probe:
    """The cell and the threshold that are right most often."""
    best, most = Probe(0, 0.0, above=True), -1
    for cell in range(activations.shape[1]):
        values = activations[:, cell].astype(np.float32)
        place = np.clip(np.ceil((values + 1) * (STEPS / 2)), 0, STEPS).astype(np.int64)
        with_mark = np.bincount(place[marks], minlength=STEPS + 1)
        without = np.bincount(place[~marks], minlength=STEPS + 1)
        # Right above a threshold: marks over it, and what has none at or below it.
        over = marks.sum() - np.cumsum(with_mark) + np.cumsum(without)  # [B + 1]
        for right, above in ((over, True), (len(marks) - over, False)):
            if right.max() > most:
                most, at = right.max(), int(right.argmax())
                best = Probe(cell, at * 2 / STEPS - 1, above)
    return best


def base_rate(marks: Marks) -> float:
    """How often whoever always gives the commoner answer is right."""
    share = float(marks.mean())
    return max(share, 1 - share)


class Together:
    """All cells at once: a logistic regression, as an upper bound of what is known."""

    def __init__(self, activations: Activations, marks: Marks) -> None:
        """Fits weights."""
        x = torch.from_numpy(activations.astype(np.float32))
        y = torch.from_numpy(marks.astype(np.float32))
        self._weights = torch.zeros(x.shape[1] + 1, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [self._weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe"
        )

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            score = x @ self._weights[1:] + self._weights[0]
            cost = torch.nn.functional.binary_cross_entropy_with_logits(score, y)
            cost = cost + DECAY * self._weights[1:].square().sum()
            cost.backward()  # type: ignore[no-untyped-call]
            return cost

        optimizer.step(loss)  # type: ignore[no-untyped-call]

    def says(self, activations: Activations) -> Marks:
        """Where they find the mark."""
        weights = self._weights.detach().numpy()
        found: Marks = activations.astype(np.float32) @ weights[1:] + weights[0] > 0
        return found
