"""One sequence, and one request of it."""

from collections import deque
from collections.abc import Sequence as Several
from dataclasses import dataclass
from typing import NamedTuple

from stepwire_server.engine.tensors import Asked, Cancel, Done, Failed
from stepwire_server.registry.loaded import Lease
from stepwire_server.registry.signature import AnsweringModel

SequenceId = int | str


class Key(NamedTuple):
    """What a sequence is found by; 1 and "1" are different ids."""

    owner: str
    model: str
    id: SequenceId


class Start(NamedTuple):
    """What a sequence begins with."""

    lease: Lease
    model: AnsweringModel


@dataclass(eq=False, slots=True, kw_only=True)
class Request:
    """One request of a sequence."""

    asked: Asked
    done: Done
    failed: Failed
    start: Start | None = None  # it begins the sequence, or begins it anew
    ends: bool = False
    cancel: Cancel | None = None  # once the model has it
    left: bool = False  # its caller has gone

    def drop(self) -> None:
        """Lets go of the model that it would have begun with."""
        if self.start is not None:
            self.start.lease.release()


class Sequence:
    """One sequence, live or about to begin."""

    __slots__ = (
        *("key", "states", "model", "lease", "reader", "size_bytes"),
        *("waiting", "running", "opened_at", "used_at", "idle_s"),
    )

    def __init__(self, key: Key, start: Start, now: float, idle_s: float) -> None:
        self.key = key
        self.states: Several[bytes] | None = None  # [N]; None: it has not begun
        self.model = start.model
        self.lease: Lease | None = None
        self.reader = start.model  # takes the next request that comes
        self.size_bytes = 0
        self.waiting: deque[Request] = deque()
        self.running: Request | None = None
        self.opened_at = self.used_at = now
        self.idle_s = idle_s
