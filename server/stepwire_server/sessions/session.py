"""One session: its state, and which steps it takes, repeats or refuses.

Plain bookkeeping: no clock, no engine, no network.
"""

from dataclasses import dataclass
from typing import NamedTuple

from stepwire_server.errors import (
    InvalidRequest,
    Overloaded,
    RollbackUnavailable,
    StaleEpoch,
    StepSkipped,
    StepTaken,
)
from stepwire_server.registry.loaded import Lease

_TOKEN_BYTES = 8  # of a source: a reference; most tokens are small numbers that are shared


class Answer(NamedTuple):
    """What was answered to one message, kept for a caller that asks again."""

    first_step: int
    steps: int
    digest: bytes  # of the inputs
    content: bytes  # the answer as it goes over the wire


@dataclass(eq=False)
class Pending:
    """A message that is being worked on."""

    first_step: int
    steps: int
    digest: bytes
    snapshot: bool = False


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What a session begins with."""

    model: str
    version: str
    packed: bytes  # the state after `next_step` steps
    # It goes on with what new callers get of this version, empty for the latest, if its
    # state fits there; None: it stays with its model.
    follows: str | None = None
    source: tuple[int, ...] = ()  # what a translator looks at
    next_step: int = 0
    window: int = 1  # messages that may be sent ahead of their answers
    max_snapshots: int = 0
    inexact: bool = False  # the state is not exactly what this server would have computed


@dataclass(eq=False, slots=True, kw_only=True)
class Session:
    """The state of one sequence, between two calls a string of bytes."""

    id: str
    owner: str
    model: str
    version: str
    packed: bytes  # the state after `next_step` steps
    next_step: int
    opened_at: float
    used_at: float
    lease: Lease | None = None  # on its model, until it ends
    follows: str | None = None
    source: tuple[int, ...] = ()
    window: int = 1
    max_snapshots: int = 0
    inexact: bool = False
    epoch: int = 0
    # Most sessions have none of these: an empty tuple costs nothing.
    answers: tuple[Answer, ...] = ()
    pending: tuple[Pending, ...] = ()
    snapshots: tuple[tuple[int, bytes], ...] = ()  # by step, oldest first
    attached: bool = False  # a stream has it
    counted_bytes: int = 0  # its size as the table last counted it

    @property
    def size_bytes(self) -> int:
        """What its state, snapshots and answers take; bytes that two of them share count twice."""
        kept = sum(len(packed) for _, packed in self.snapshots)
        answers = sum(len(answer.content) for answer in self.answers)
        return len(self.packed) + kept + answers + _TOKEN_BYTES * len(self.source)

    def attach(self) -> None:
        """Gives the session to another stream: steps of earlier ones are stale from now on."""
        self.epoch += 1
        self.attached = True

    def offer(self, epoch: int, message: Pending) -> Pending | Answer:
        """Takes in a message of inputs, unless it was taken before.

        Returns:
            The message, now pending; or the one that it repeats, if that is not done; or
            the answer that it got.

        Raises:
            StaleEpoch, StepTaken, StepSkipped, Overloaded: nothing was taken in.
        """
        if epoch != self.epoch:
            raise StaleEpoch(
                f"epoch {epoch} of the session is over, it is {self.epoch}: another stream has "
                "attached to it, or it was rolled back",
                epoch=str(self.epoch),
            )
        expected = self.next_step + sum(pending.steps for pending in self.pending)
        if message.first_step > expected:
            raise StepSkipped(
                f"the next step is {expected}, got {message.first_step}", next_step=str(expected)
            )
        if message.first_step < expected:
            return self._earlier(message)
        if len(self.pending) >= self.window:
            raise Overloaded(
                f"{len(self.pending)} messages of this session wait, its window", retry_after_s=0.05
            )
        self.pending = (*self.pending, message)
        return message

    def _earlier(self, message: Pending) -> Pending | Answer:
        """Finds what a message repeats."""
        known: tuple[Pending | Answer, ...] = (*self.answers, *self.pending)
        for earlier in known:
            if earlier.first_step == message.first_step:
                if earlier.digest == message.digest:
                    return earlier
                break
        else:
            raise StepTaken(f"step {message.first_step} was taken, and its answer is not kept")
        raise StepTaken(f"step {message.first_step} was taken with other inputs")

    def commit(self, message: Pending, packed: bytes, content: bytes) -> None:
        """Takes the steps of the oldest pending message.

        Args:
            message: the first of those pending.
            packed: the state after it.
            content: what is answered.
        """
        if message.snapshot and self.max_snapshots:
            others = [kept for kept in self.snapshots if kept[0] != message.first_step]
            kept = [*others, (message.first_step, self.packed)]
            self.snapshots = tuple(kept[-self.max_snapshots :])
        self.pending = self.pending[1:]
        self.packed = packed
        self.next_step = message.first_step + message.steps
        answer = Answer(message.first_step, message.steps, message.digest, content)
        self.answers = (*self.answers, answer)[-self.window :]

    def give_up(self, message: Pending) -> tuple[Pending, ...]:
        """Drops a message that failed, and those sent behind it; returns the latter."""
        if message not in self.pending:
            return ()
        place = self.pending.index(message)
        behind = self.pending[place + 1 :]
        self.pending = self.pending[:place]
        return behind

    def roll_back(self, step: int) -> tuple[Pending, ...]:
        """Goes back to a snapshot: that step is the next one again.

        Returns:
            The messages that were pending, and are not any more.

        Raises:
            RollbackUnavailable: no snapshot of that step is kept.
        """
        kept = dict(self.snapshots)
        if step not in kept:
            there = ", ".join(str(number) for number in kept) or "none"
            raise RollbackUnavailable(
                f"no snapshot of step {step} is kept; there are: {there}", snapshots=there
            )
        self.packed, self.next_step = kept[step], step
        self.epoch += 1
        self.answers = tuple(a for a in self.answers if a.first_step + a.steps <= step)
        self.snapshots = tuple(one for one in self.snapshots if one[0] <= step)
        dropped, self.pending = self.pending, ()
        return dropped


def check_window(window: int, most: int) -> int:
    """The window that a caller asked for; 0 means 1."""
    if not 0 <= window <= most:
        raise InvalidRequest.of("window", f"be in [0, {most}]", window)
    return window or 1
