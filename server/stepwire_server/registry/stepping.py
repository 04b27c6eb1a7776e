"""Steps sessions of one model: inputs and a packed state in, outputs and the next one out.

Shapes: n inputs, F features, V vocabulary or labels, H horizon, C target columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.options import Options
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.given import Given
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.sources import Arrays
from stepwire_server.errors import InternalError, InvalidRequest, StepwireError
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.text import Tokenizer
from stepwire_zoo.manifest import Manifest

_READING = Options(max_tokens=1)  # nothing is chosen


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


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What some steps read: tokens, or features [n, F]."""

    tokens: Sequence[int] = ()
    features: NDArray[np.float32] | None = None

    @property
    def count(self) -> int:
        """How many steps they are."""
        return len(self.tokens) if self.features is None else len(self.features)


Done = Callable[[Sequence[Told], bytes], None]  # what is told, and the packed state after it
Failed = Callable[[StepwireError], None]


class Stepper:
    """Steps sessions of one model. Lives on the event loop's thread."""

    def __init__(
        self,
        engine: Engine,
        spec: Manifest,
        tokenizer: Tokenizer | None,
        origin: Origin,
    ) -> None:
        """Makes a stepper.

        Args:
            engine: of the model.
            spec: what the model is.
            tokenizer: of a model that reads tokens.
            origin: of the model's states.
        """
        graph = spec.graphs["step"]
        self._engine = engine
        self._spec = spec
        self._tokenizer = tokenizer
        self._roles = {tensor.role: tensor for tensor in graph.outputs}
        read = {tensor.role: tensor for tensor in graph.inputs}
        self._features = read["features"].shape[0] if "features" in read else 0
        self._texts: dict[int, str] = {}
        self.origin = origin

    @property
    def name(self) -> str:
        """Of the model."""
        return self._spec.name

    @property
    def version(self) -> str:
        """Of the model."""
        return self._spec.version

    @property
    def start(self) -> bytes:
        """The packed state before any step: all zeros."""
        return bytes(self.origin.layout.size_bytes)

    @property
    def most_inputs(self) -> int:
        """Of one message."""
        return self._spec.limits.max_input_tokens

    async def read_text(self, text: str) -> Inputs:
        """Turns text into inputs; raises InvalidRequest."""
        if self._tokenizer is None:
            raise InvalidRequest.of("inputs.text", "not be set: the model reads features", "text")
        [(tokens, _)] = await self._tokenizer.encode_all(["inputs.text"], [text])
        return self._checked(Inputs(tokens=tokens))

    def read_tokens(self, tokens: Sequence[int]) -> Inputs:
        """Checks tokens; raises InvalidRequest."""
        if self._tokenizer is None:
            raise InvalidRequest.of("inputs.tokens", "not be set: the model reads features", "some")
        return self._checked(Inputs(tokens=self._tokenizer.check("inputs.tokens.ids", tokens)))

    def read_features(self, values: Sequence[float]) -> Inputs:
        """Checks features, row by row; raises InvalidRequest."""
        name, width = "inputs.features.values", self._features
        if not width:
            raise InvalidRequest.of(name, "not be set: the model reads tokens", len(values))
        if len(values) % width:
            allowed = f"have a multiple of {width} numbers, the features of a step"
            raise InvalidRequest.of(name, allowed, len(values))
        numbers = np.array(values, np.float32)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            place = int(wrong[0])
            raise InvalidRequest.of(f"{name}[{place}]", "be finite", float(numbers[place]))
        return self._checked(Inputs(features=numbers.reshape(-1, width)))

    def _checked(self, inputs: Inputs) -> Inputs:
        if not 0 < inputs.count <= self.most_inputs:
            allowed = f"hold between 1 and {self.most_inputs} steps"
            raise InvalidRequest.of("inputs", allowed, inputs.count)
        return inputs

    def check(self, wanted: Wanted) -> None:
        """Raises InvalidRequest where the model cannot tell what is wanted."""
        for field, role in (("logits", "logits"), ("entropy", "logits"), ("values", "values")):
            if getattr(wanted, field) and role not in self._roles:
                raise InvalidRequest.of(f"outputs.{field}", f"be of a model that has {role}", True)
        if wanted.labels and not self._spec.labels:
            raise InvalidRequest.of("outputs.labels", "be of a model that labels", True)
        if wanted.top_k and "logits" not in self._roles:
            raise InvalidRequest.of("outputs.top_k", "be of a model that has logits", wanted.top_k)
        if wanted.top_k > self._choices:
            allowed = f"be in [0, {self._choices}]"
            raise InvalidRequest.of("outputs.top_k", allowed, wanted.top_k)
        units = self._roles["hidden"].shape[0] if "hidden" in self._roles else 0
        for place, unit in enumerate(wanted.hidden_units):
            if unit >= units:
                allowed = f"be below {units}, the units that the model shows"
                raise InvalidRequest.of(f"outputs.hidden_units[{place}]", allowed, unit)

    @cached_property
    def usual(self) -> Wanted:
        """What is told if nothing else is asked for: what the model is about."""
        if self._spec.labels:
            return Wanted(labels=True)
        return Wanted(top_k=1) if "logits" in self._roles else Wanted(values=True)

    @property
    def _choices(self) -> int:
        return self._roles["logits"].shape[-1] if "logits" in self._roles else 0

    def begin(
        self, inputs: Inputs, wanted: Wanted, packed: bytes, done: Done, failed: Failed
    ) -> Job:
        """Begins to take steps.

        Args:
            inputs: checked.
            wanted: checked.
            packed: the state before them.
            done: called once they are taken.
            failed: called once they cannot be.

        Raises:
            Overloaded, ShuttingDown: nothing was begun.
        """
        roles = {"values", "spread", "score"} if wanted.values else set()
        roles |= {"hidden"} if wanted.hidden_units else set()
        taking = _Taking(self, wanted, done, failed)
        job = Job(
            inputs.tokens or range(inputs.count),
            _READING,
            taking,
            kind=Kind.STEP,
            packed=packed,
            wanted=frozenset(roles),
            features=inputs.features,
        )
        self._engine.submit([job])
        return job

    def cancel(self, job: Job) -> None:
        """Takes no further steps of a job."""
        self._engine.cancel([job])

    def tell(self, given: Given, place: int, wanted: Wanted) -> Told:
        """Says of one step what is wanted of it."""
        told: dict[str, Any] = {}
        outputs = given.outputs
        if wanted.labels or (wanted.top_k and self._spec.labels):
            told["labels"] = self._judged(given.logprobs[place])[: wanted.top_k or None]
        elif wanted.top_k:
            told["tokens"] = self._likeliest(given, place, wanted.top_k)
        if wanted.entropy:
            told["entropy"] = given.entropies[place]
        if wanted.logits:
            told["logits"] = outputs["logits"][place]
        if wanted.values:
            told |= self._predicted(outputs, place)
        if wanted.hidden_units:
            told["hidden"] = outputs["hidden"][place, list(wanted.hidden_units)]
        return Told(**told)

    def _judged(self, logprobs: NDArray[np.float64]) -> list[tuple[str, float]]:
        best = np.argsort(-logprobs, kind="stable").tolist()
        shares = np.exp(logprobs[best]).tolist()
        return [(self._spec.labels[n], share) for n, share in zip(best, shares, strict=True)]

    def _predicted(self, outputs: Arrays, place: int) -> dict[str, Any]:
        predicted: dict[str, Any] = {"values": outputs["values"][place]}
        if "spread" in outputs:
            predicted["spread"] = outputs["spread"][place]
        if "score" in outputs:
            predicted["surprise"] = float(outputs["score"][place].ravel()[0])
        return predicted

    def _likeliest(self, given: Given, place: int, count: int) -> list[tuple[int, str, float]]:
        logprobs = given.logprobs[place]
        if count == 1:
            best = [given.likeliest[place]]
        else:
            best = np.argsort(-logprobs, kind="stable")[:count].tolist()
        return [(token, self._text(token), float(logprobs[token])) for token in best]

    def _text(self, token: int) -> str:
        if token not in self._texts and self._tokenizer is not None:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts.get(token, "")


class _Taking:
    """Collects what the steps of one message give."""

    def __init__(self, stepper: Stepper, wanted: Wanted, done: Done, failed: Failed) -> None:
        self._stepper = stepper
        self._wanted = wanted
        self._done = done
        self._failed = failed
        self._told: list[Told] = []

    def step(self, taken: StepTaken) -> None:
        """Takes what one step gave."""
        try:
            if self._wanted.every_step or taken.last:
                self._told.append(self._stepper.tell(taken.given, taken.place, self._wanted))
            packed = taken.packed if taken.last else None
        except Exception:
            self._failed(InternalError("the outputs of a step could not be told"))
            raise
        if packed is not None:
            self._done(self._told, packed)

    def fail(self, job: Job, error: StepwireError) -> None:
        """Learns that the steps cannot be taken."""
        del job
        self._failed(error)

    def deliver(self, delivery: Delivery) -> None:
        """Nothing is drawn here."""

    def update(self, update: SearchUpdate) -> None:
        """Nothing is searched for here."""
