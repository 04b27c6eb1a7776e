"""A training run as one frozen value.

Everything that can change a run's result is here, so two runs of equal recipes on one
machine, with as many threads and processes, give the same weights bitwise.
"""

import hashlib
import math
from dataclasses import dataclass, fields
from typing import Protocol

from stepwire_training.data.batches import Dataset
from stepwire_training.models.network import Network
from stepwire_zoo.manifest import Dataset as DataSource
from stepwire_zoo.manifest import Limits

SECOND_HILL = 0.3  # its height, as a share of the first


class Data(Protocol):
    """Names a data set and how it is cut into batches."""

    def load(self) -> Dataset:
        """Reads it."""
        ...


class Model(Protocol):
    """Names an architecture and its sizes."""

    @property
    def architecture(self) -> str:
        """What it is built of, in words: layers, cells, sizes."""
        ...

    def build(self, vocabulary: int, labels: int, sources: int = 0) -> Network:
        """A model with fresh weights."""
        ...


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a bundle says about itself, besides what is measured."""

    summary: str  # one sentence for the model list
    about: str  # for the card: what it is and what it is for
    tokens: str  # for the card: what a token is, and why
    split: str  # for the card: what it learned from, what it was measured on
    caveats: str  # for the card: what not to expect of it
    published: str  # the figure of others to set beside ours, with its source
    languages: tuple[str, ...]  # BCP 47
    sources: tuple[DataSource, ...]
    limits: Limits
    buckets: tuple[int, ...] = ()  # padded lengths of what reads whole texts
    half: bool = False  # whether matrices are rounded to half precision, to halve the bundle
    eight_bits: bool = True  # whether graphs of 8-bit integers are added where they are as good
    int8_tables: bool = False  # whether tables are rounded to 8 bits a value and a scale a row
    int8_matrices: bool = False  # whether all matrices are, tables with them
    begin: str = ""  # the token read before every prompt of a generator
    comparison: str = ""  # a CSV file beside the recipes, shown in the card
    licence: str = "Apache-2.0"  # of the bundle
    measured_on: str = "validation"  # what a generator's figures are of; "test" if it has one
    version: str = "1"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a bundle is made."""

    bundle: str  # the name it is published under
    publication: Publication
    data: Data
    model: Model
    steps: int  # updates of the weights
    learning_rate: float  # at its highest
    warmup: float = 0.1  # share of the steps in which the rate rises
    final_rate: float = 0.01  # share of the highest rate left at the end
    again: int = 0  # last steps, in which the rate climbs a second, lower hill
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    clip_norm: float = 1.0  # longest gradient let through
    ema_decay: float = 0.999  # of the averaged weights, which are those published
    evaluate_every: int = 250  # steps between looks at the validation split
    bf16: bool = True  # matrix products in bfloat16; the weights stay float32
    threads: int = 1  # of one process
    seed: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ValueError(f"ema_decay must be in [0, 1), got {self.ema_decay}")

    def fingerprint(self) -> str:
        """Tells this run from every other; words for the card make no difference to it."""
        settings = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "publication"
        }
        return hashlib.sha256(repr(settings).encode()).hexdigest()

    def rate(self, step: int) -> float:
        """The learning rate of a step: up in a line, down along a cosine, perhaps twice."""
        first = self.steps - self.again
        if step < first:
            return self.learning_rate * self._hill(step, first)
        return SECOND_HILL * self.learning_rate * self._hill(step - first, self.again)

    def _hill(self, step: int, steps: int) -> float:
        """How high a hill of so many steps is at one of them, in (0, 1]."""
        rising = max(1, round(self.warmup * steps))
        if step < rising:
            return (step + 1) / rising
        progress = (step - rising) / max(1, steps - rising)
        falling = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final_rate + (1.0 - self.final_rate) * falling
