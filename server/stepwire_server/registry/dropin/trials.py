"""Running someone's graph on made-up inputs, to see what it does.

N rows, T steps, * a tensor's own shape.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.runtime import Arrays, OnnxGraph, Port, refusal_of
from stepwire_zoo.errors import WiringUnproved

Shape = tuple[int, ...]
Slot = str  # a size that varies: its name in the file, or "tensor[axis]" where it has none
Sizes = Mapping[Slot, int]

_LIMIT_S = 30.0  # of a run
_SEED = 20_240_229
FILLS = ("normal", "positive", "small", "wide")  # how real numbers are drawn
_LEGAL = (8, 2, 1)  # how many whole numbers are legal, where the graph does not say


class TrialFailed(Exception):
    """The graph refused a run; the message is the runtime's, shortened."""


@dataclass
class Patience:
    """What may still be spent on runs that a graph refuses: guesses multiply."""

    left_s: float = 20.0

    def spend(self, seconds: float, refusal: str) -> None:
        """Takes note of a run that was refused; raises WiringUnproved when there were too many."""
        self.left_s -= seconds
        if self.left_s < 0:
            raise WiringUnproved(f"no inputs were found soon enough that it runs on: {refusal}")


@dataclass(frozen=True, kw_only=True)
class Trials:
    """A graph, and what its inputs may hold."""

    graph: OnnxGraph
    ranges: Mapping[str, int] = field(default_factory=dict)  # whole numbers: [0, range)
    lengths: str | None = None  # filled with as many as there are steps
    held: Mapping[str, float] = field(default_factory=dict)  # inputs that always hold a value
    fill: str = "normal"
    legal: int = _LEGAL[0]  # of whole numbers that `ranges` does not know
    patience: Patience = field(default_factory=Patience)

    def port(self, name: str) -> Port:
        """An input or output by name."""
        return next(p for p in (*self.graph.inputs, *self.graph.outputs) if p.name == name)

    def shapes(self, sizes: Sizes) -> dict[str, Shape]:
        """Shapes of all inputs."""
        return {
            port.name: tuple(
                size if isinstance(size, int) else sizes[slot(port, axis)]
                for axis, size in enumerate(port.shape)
            )
            for port in self.graph.inputs
        }

    def feeds(self, shapes: Mapping[str, Shape], seed: int = 0, steps: int = 1) -> Arrays:
        """Makes inputs up: the same for the same seed and shapes."""
        return {
            name: self.draw(name, shape, np.random.default_rng([_SEED, seed, number]), steps)
            for number, (name, shape) in enumerate(shapes.items())
        }

    def draw(
        self, name: str, shape: Shape, rng: np.random.Generator, steps: int = 1
    ) -> NDArray[Any]:
        """Makes one input up, [*]."""
        dtype = self.port(name).dtype
        if dtype == "bytes":
            words = np.array(["a", "stone", "rolls"], object)
            return np.asarray(rng.choice(words, shape), object)
        if name in self.held:
            return np.full(shape, self.held[name], dtype)
        if name == self.lengths:
            return np.full(shape, steps, dtype)
        if dtype == "bool":
            return np.asarray(rng.random(shape) < 0.5)
        if np.dtype(dtype).kind in "iu":
            return np.asarray(rng.integers(0, self.ranges.get(name, self.legal), shape, dtype))
        return self._real(rng, shape).astype(dtype)

    def _real(self, rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
        if self.fill in ("normal", "wide"):
            return rng.normal(size=shape, scale=1.0 if self.fill == "normal" else 1000.0)
        return rng.uniform(0.05, 0.95 if self.fill == "positive" else 0.1, shape)

    def run(self, feeds: Arrays) -> Arrays:
        """Runs the graph once; gives all outputs by name.

        Raises:
            TrialFailed: the graph refused.
            WiringUnproved: it takes too long to find anything out.
        """
        names = [port.name for port in self.graph.outputs]
        began = time.monotonic()
        try:
            return dict(zip(names, self.graph.run_within(_LIMIT_S, names, feeds), strict=True))
        except TimeoutError as error:
            raise WiringUnproved(f"{error} on made-up inputs: it cannot be proved") from error
        # ONNX Runtime raises a class of its own for each status, all of them Exceptions.
        except Exception as error:
            self.patience.spend(time.monotonic() - began, shortened(error))
            raise TrialFailed(shortened(error)) from error

    def settled(self, sizes: Sizes, steps: int = 1) -> "Trials":
        """The same with inputs that the graph takes, and answers with finite numbers if any do.

        Raises:
            TrialFailed: it takes none of those that were tried.
        """
        refused: TrialFailed | None = None
        works: Trials | None = None
        for legal in _LEGAL:
            for fill in FILLS:
                tried = replace(self, fill=fill, legal=legal)
                try:
                    outputs = tried.run(tried.feeds(self.shapes(sizes), steps=steps))
                except TrialFailed as error:
                    refused = refused or error
                    continue
                if all(is_finite(value) for value in outputs.values()):
                    return tried
                works = works or tried
        if works is None:
            raise refused or TrialFailed("it was not run")
        return works


def slot(port: Port, axis: int) -> Slot:
    """The size that varies along an axis of an input."""
    return str(port.shape[axis] or f"{port.name}[{axis}]")


def slots(ports: tuple[Port, ...]) -> list[Slot]:
    """All sizes that vary, each once."""
    found = (
        slot(port, axis)
        for port in ports
        for axis, size in enumerate(port.shape)
        if not isinstance(size, int)
    )
    return list(dict.fromkeys(found))


def is_finite(value: NDArray[Any]) -> bool:
    """Whether all numbers are."""
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())


def largest_difference(left: NDArray[Any], right: NDArray[Any]) -> float:
    """The largest difference of two arrays [*], relative to their numbers where those exceed 1.

    Infinite where they cannot be compared.
    """
    if left.shape != right.shape or left.dtype != right.dtype:
        return float("inf")
    if left.size == 0:
        return 0.0
    if left.dtype.kind != "f":
        return 0.0 if np.array_equal(left, right) else float("inf")
    if same(left, right):
        return 0.0
    wide, other = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(wide - other) / max(1.0, float(np.abs(wide).max()))
    return float(np.where(np.isfinite(apart), apart, np.inf).max())


def same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Whether two arrays are the same bit for bit; NaN equals NaN."""
    return left.shape == right.shape and np.array_equal(
        left, right, equal_nan=left.dtype.kind == "f"
    )


def shortened(error: Exception) -> str:
    """What ONNX Runtime says, less its error codes and the places in its own source."""
    return refusal_of(error) or " ".join(str(error).split())[:160]
