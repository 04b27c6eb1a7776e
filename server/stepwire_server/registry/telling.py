"""What is told of a session's steps: the likeliest tokens, labels, predictions, what is inside.

Shapes: V vocabulary or labels, H horizon, C target columns, S tokens of the source.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.given import Given
from stepwire_server.engine.sources import Arrays, Source
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.text import Tokenizer
from stepwire_zoo.manifest import Manifest

_HIDDEN = "h"  # the state whose numbers are the hidden units, where no output tells them


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to tell of each step."""

    every_step: bool = False  # and not only of the last
    top_k: int = 0
    logits: bool = False
    entropy: bool = False
    labels: bool = False
    values: bool = False
    hidden_units: tuple[int, ...] = ()
    attention: bool = False


class Told(NamedTuple):
    """What is told of one step, as far as it was wanted."""

    tokens: Sequence[tuple[int, str, float]] = ()  # id, text and log-probability, likeliest first
    labels: Sequence[tuple[str, float]] = ()  # with probabilities, likeliest first
    logits: NDArray[np.float32] | None = None  # [V]
    entropy: float = 0.0
    values: NDArray[np.float32] | None = None  # [H, C]
    spread: NDArray[np.float32] | None = None  # [H, C]
    surprise: float = 0.0
    hidden: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None  # [S]


# Outputs that the model must have for what is wanted.
_NEEDED = {
    "logits": "logits",
    "entropy": "logits",
    "top_k": "logits",
    "values": "values",
    "attention": "attention",
}


class Teller:
    """Says of the steps of one model what is wanted of them."""

    def __init__(self, spec: Manifest, tokenizer: Tokenizer | None) -> None:
        graph = spec.graphs["step"]
        self._labels = spec.labels
        self._tokenizer = tokenizer
        self._roles = {tensor.role: tensor for tensor in graph.outputs}
        hidden = self._roles["hidden"].shape if "hidden" in self._roles else None
        states = {state.input: state.shape for state in graph.states}
        self._units = math.prod(hidden or states.get(_HIDDEN, (0,)))
        self._texts: dict[int, str] = {}

    def check(self, wanted: Wanted) -> None:
        """Raises InvalidRequest where the model cannot tell what is wanted."""
        for field, role in _NEEDED.items():
            if getattr(wanted, field) and role not in self._roles:
                allowed = f"be of a model that has {role}"
                raise InvalidRequest.of(f"outputs.{field}", allowed, getattr(wanted, field))
        if wanted.labels and not self._labels:
            raise InvalidRequest.of("outputs.labels", "be of a model that labels", True)
        if wanted.top_k > self._choices:
            allowed = f"be in [0, {self._choices}]"
            raise InvalidRequest.of("outputs.top_k", allowed, wanted.top_k)
        for place, unit in enumerate(wanted.hidden_units):
            if unit >= self._units:
                allowed = f"be below {self._units}, the hidden units of the model"
                raise InvalidRequest.of(f"outputs.hidden_units[{place}]", allowed, unit)

    @cached_property
    def usual(self) -> Wanted:
        """What is told if nothing else is asked for: what the model is about."""
        if self._labels:
            return Wanted(labels=True)
        return Wanted(top_k=1) if "logits" in self._roles else Wanted(values=True)

    def roles(self, wanted: Wanted) -> frozenset[str]:
        """The outputs that the graph must give beside its first."""
        if wanted is self.usual:  # as most messages want
            return self._usual_roles
        return self._roles_of(wanted)

    @cached_property
    def _usual_roles(self) -> frozenset[str]:
        return self._roles_of(self.usual)

    def _roles_of(self, wanted: Wanted) -> frozenset[str]:
        roles = {"values", "spread", "score"} if wanted.values else set()
        roles |= {"hidden"} if wanted.hidden_units else set()
        return frozenset(roles | ({"attention"} if wanted.attention else set()))

    @property
    def _choices(self) -> int:
        return self._roles["logits"].shape[-1] if "logits" in self._roles else 0

    def tell(self, given: Given, place: int, wanted: Wanted, source: Source | None = None) -> Told:
        """Says of one step what is wanted of it.

        Args:
            given: by the run.
            place: of the step's row in it.
            wanted: what to tell.
            source: what the row looks at.
        """
        told: dict[str, Any] = {}
        outputs = given.outputs
        if wanted.labels or (wanted.top_k and self._labels):
            told["labels"] = self._judged(given.logprobs[place])[: wanted.top_k or None]
        elif wanted.top_k:
            told["tokens"] = self._likeliest(given, place, wanted.top_k)
        if wanted.entropy:
            told["entropy"] = given.entropies[place]
        if wanted.logits:
            told["logits"] = outputs["logits"][place]
        if wanted.values:
            told |= self._predicted(outputs, place)
        if wanted.hidden_units or wanted.attention:
            told |= _inside(given, place, wanted, source)
        return Told(**told)

    def _judged(self, logprobs: NDArray[np.float64]) -> list[tuple[str, float]]:
        best = np.argsort(-logprobs, kind="stable").tolist()
        shares = np.exp(logprobs[best]).tolist()
        return [(self._labels[n], share) for n, share in zip(best, shares, strict=True)]

    def _predicted(self, outputs: Arrays, place: int) -> dict[str, Any]:
        predicted: dict[str, Any] = {"values": outputs["values"][place]}
        if "spread" in outputs:
            predicted["spread"] = outputs["spread"][place]
        if "score" in outputs:
            predicted["surprise"] = float(outputs["score"][place].ravel()[0])
        return predicted

    def _likeliest(self, given: Given, place: int, count: int) -> list[tuple[int, str, float]]:
        if count == 1:
            token, logprob = given.likeliest[place]
            return [(token, self._text(token), logprob)]
        logprobs = given.logprobs[place]
        best = np.argsort(-logprobs, kind="stable")[:count].tolist()
        return [(token, self._text(token), float(logprobs[token])) for token in best]

    def _text(self, token: int) -> str:
        if token not in self._texts and self._tokenizer is not None:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts.get(token, "")


def _inside(given: Given, place: int, wanted: Wanted, source: Source | None) -> dict[str, Any]:
    """What can be seen of the model itself."""
    told: dict[str, Any] = {}
    if wanted.hidden_units:
        hidden = given.outputs.get("hidden")
        shown = given.states[_HIDDEN] if hidden is None else hidden
        told["hidden"] = shown[place].ravel()[list(wanted.hidden_units)]
    if wanted.attention:
        told["attention"] = given.outputs["attention"][place, : source.length if source else None]
    return told
