"""What callers step in the tests of sessions: served models, and the same models alone."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import stepwire
from support.alone import Alone
from support.tiny import CHARACTERS, write_generation
from support.tiny_streams import SERIES, write_forecaster, write_watcher

LOGITS = stepwire.Outputs(logits=True, every_step=True)
VALUES = stepwire.Outputs(values=True, every_step=True)


class Subject(NamedTuple):
    """A model that callers step, how they ask, and the same model alone."""

    name: str
    alone: Alone
    outputs: stepwire.Outputs
    draw: Callable[[random.Random], list[Any]]  # inputs of one message


def subjects_of(repository, bundles=()):
    """Publishes tiny models beside some of the zoo's; returns what is stepped there."""
    watched = write_watcher(repository)
    return [
        Subject("tiny", Alone(write_generation(repository)), LOGITS, _tokens(len(CHARACTERS))),
        Subject("watcher", Alone(watched), LOGITS, _tokens(len(CHARACTERS))),
        Subject("forecaster", Alone(write_forecaster(repository)), VALUES, _rows),
        *(_bundled(repository, bundle) for bundle in bundles),
    ]


def _bundled(repository, bundle):
    """One of the zoo's generators."""
    (repository / bundle.name).symlink_to(bundle)
    return Subject(bundle.name, Alone(bundle / "1"), LOGITS, _tokens(60))


def _tokens(below):
    return lambda rng: [rng.randrange(below) for _ in range(rng.choice((1, 1, 1, 2, 5, 20)))]


def _rows(rng):
    return [[rng.gauss(0, 1) for _ in SERIES.columns] for _ in range(rng.choice((1, 1, 2, 7)))]


def told_of(subject, outputs):
    """What the alone model says, in the fields in which a client says it."""
    fields = {"score": "surprise"}
    found = {fields.get(role, role): value for role, value in outputs.items()}
    return {k: v[0] if k == "surprise" else tuple(v) for k, v in found.items()}
