"""What a model takes and gives as named tensors, and how its requests are put together."""

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from stepwire_server.engine.queueing import DynamicBatching as DynamicBatching
from stepwire_server.engine.queueing import QueuePolicy as QueuePolicy
from stepwire_server.engine.tensors import Asked, Cancel, Done, Failed, Tensors

TEXT = "bytes"  # the dtype of texts


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input or output."""

    name: str
    dtype: str  # as NumPy names it, or TEXT
    shape: tuple[int, ...]  # whole, the batch axis with it; -1 varies
    batch_axis: int | None = 0  # -1 in the shape; None: the tensor has none
    optional: bool = False  # of an input: it may be left out
    labels: tuple[str, ...] = ()  # of the places of its last axis


class Kind(enum.Enum):
    """What one request leads to."""

    PLAIN = "plain"  # one answer, nothing is remembered
    SEQUENCE = "sequence"  # one answer; the state is kept under the caller's sequence id
    DECOUPLED = "decoupled"  # any number of answers


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One model as the Open Inference Protocol sees it."""

    name: str
    version: str
    kind: Kind
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_rows: int  # of one request and of a run; 0: there is no batch axis
    batching: DynamicBatching | None = None  # None: requests are run as they come
    states: tuple[tuple[TensorSpec, TensorSpec], ...] = ()  # kept here: input and output
    platform: str = "onnxruntime_onnx"
    max_idle_s: float | None = None  # of a sequence; None: the server's own
    config: str = ""  # the config.pbtxt that came with it


class TensorModel(Protocol):
    """A model of named tensors. Lives on the event loop's thread."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        ...


class AnsweringModel(TensorModel, Protocol):
    """A model, plain or of sequences, that answers a request once."""

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues a request; exactly one of `done` and `failed` is called later, on this thread.

        A request of a sequence that goes on brings its states, one that begins brings none;
        the answer has those that follow.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was begun, nothing will be called.
        """
        ...


class StreamingModel(TensorModel, Protocol):
    """A model that answers a request any number of times."""

    def stream(self, asked: Asked) -> AsyncIterator[Tensors]:
        """Gives the answers as they come; leaving early takes back what was not done.

        Raises:
            StepwireError: before or between answers.
        """
        ...
