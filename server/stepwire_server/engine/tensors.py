"""Requests of named tensors, as the Open Inference Protocol brings them, and their answers.

Shapes: N rows of one request, * a tensor's own shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from stepwire_server.errors import StepwireError

Tensors = dict[str, NDArray[Any]]  # by name; texts are arrays of `bytes` objects
Parameter = bool | int | float | str


@dataclass(eq=False, kw_only=True)
class Asked:
    """One request, its tensors checked against the model's signature."""

    tensors: Tensors  # every input that came, [N, *] each
    rows: int  # N; 1 where the model has no batch axis
    wanted: Sequence[str]  # names of the outputs to give, in their order; never empty
    states: Sequence[bytes] | None = None  # [N], packed, of a sequence that goes on
    deadline: float | None = None  # of the monotonic clock: the caller's own
    timeout_s: float | None = None  # how long it may wait in the queue
    caller: str | None = None  # who may share the work of its texts; None: nobody
    priority: int = 0  # 1 is the highest; 0: the model's default
    parameters: Mapping[str, Parameter] = field(default_factory=dict)  # those of no other field


class Timing(NamedTuple):
    """Where the time of one request went, in seconds."""

    queue_s: float = 0.0  # until its batch was taken
    input_s: float = 0.0  # to put the batch's inputs together
    infer_s: float = 0.0  # the run of the graph
    output_s: float = 0.0  # to take the batch's outputs apart
    batch: int = 1  # rows that shared the run


NO_TIMING = Timing()  # where it is not known


class Answer(NamedTuple):
    """What a request gave."""

    tensors: Tensors  # [N, *] each, those that were wanted
    states: Sequence[bytes] = ()  # [N], packed, those that follow; of a sequence
    timing: Timing = NO_TIMING


Done = Callable[[Answer], None]
Failed = Callable[[StepwireError], None]
Cancel = Callable[[], None]  # its caller has left: what was not begun is not done
