"""What a client keeps of a session, so that no server is needed to go on with it.

A token of the state, taken every so many steps, and the inputs since; for each snapshot the
token before it, and the inputs from there. Plain decisions: the sessions of `sessions` and
`aio_sessions` call, wait and read.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import grpc

from stepwire import wire
from stepwire.errors import (
    Cancelled,
    InternalError,
    SessionLost,
    StepwireError,
    Unavailable,
    from_step_error,
)
from stepwire.messages import Features, Outputs, Prompt, Stepped
from stepwire.v1 import sessions_pb2, streaming_pb2


@dataclass(kw_only=True)
class _Stretch:
    """The inputs behind a state token."""

    step: int = 0  # the next one of the token's state
    token: bytes = b""  # empty: where the session began
    inputs: list[streaming_pb2.Inputs] = field(default_factory=list)


@dataclass(kw_only=True)
class Script:
    """How a session began, and what it was given since its last token."""

    origin: sessions_pb2.OpenSessionRequest
    checkpoint_steps: int  # a token every so many; 0: none
    session: sessions_pb2.Session = field(default_factory=sessions_pb2.Session)
    next_step: int = 0
    _began: bool = False
    # The last is whole; the others lead to the snapshots, and no further.
    _stretches: list[_Stretch] = field(default_factory=lambda: [_Stretch()])
    _snapshots: list[int] = field(default_factory=list)  # steps, in the order of their making

    @property
    def id(self) -> str:
        """Of the session as it lives on a server now; empty while it does not."""
        return self.session.id

    def opening(self) -> sessions_pb2.OpenSessionRequest:
        """How to open it, again or for the first time."""
        token = self._stretches[-1].token
        if not token:
            return self.origin
        request = sessions_pb2.OpenSessionRequest()
        request.CopyFrom(self.origin)
        request.ClearField("source")  # the token has it
        request.state_token = token
        return request

    def opened(self, session: sessions_pb2.Session) -> None:
        """Learns that it lives on a server."""
        if not self._began:
            self._began = True
            self.next_step = self._stretches[-1].step = session.next_step
        self.session = session

    def attached(self, session: sessions_pb2.Session) -> list[streaming_pb2.Inputs]:
        """Learns that a stream has it; returns what it must be given again.

        Raises:
            SessionLost: it was rolled back, and nobody here was told; begin again.
        """
        self.session = session
        last = self._stretches[-1]
        if session.next_step < last.step:
            raise SessionLost(f"the server has the session at step {session.next_step}")
        return [one for one in last.inputs if one.first_step >= session.next_step]

    def lost(self) -> None:
        """Learns that no server has it any more."""
        self.session.id = ""

    def attaching(self) -> streaming_pb2.StepRequest:
        """The first message of a stream."""
        return streaming_pb2.StepRequest(session_id=self.id, attach=streaming_pb2.Attach())

    def inputs(
        self,
        values: Prompt | Features,
        wanted: Outputs | None,
        *,
        snapshot: bool = False,
        export: bool = False,
        behind: int = 0,
    ) -> streaming_pb2.Inputs:
        """The next steps, behind so many that are not answered.

        Raises:
            InvalidRequest: the wire cannot carry them.
        """
        first = self.next_step + behind
        due = 0 < self.checkpoint_steps <= first - self._stretches[-1].step
        return wire.step_inputs(first, values, wanted, snapshot=snapshot, export=export or due)

    def request(self, inputs: streaming_pb2.Inputs) -> streaming_pb2.StepRequest:
        """Inputs as a message of the stream that has the session now."""
        inputs.epoch = self.session.epoch
        return streaming_pb2.StepRequest(session_id=self.id, inputs=inputs)

    def answered(self, inputs: streaming_pb2.Inputs, answer: streaming_pb2.StepsTaken) -> Stepped:
        """Takes the answer to inputs that were new."""
        self.next_step = answer.first_step + answer.count
        self._stretches[-1].inputs.append(inputs)
        if inputs.snapshot and self.origin.max_snapshots:
            others = [step for step in self._snapshots if step != inputs.first_step]
            self._snapshots = [*others, inputs.first_step][-self.origin.max_snapshots :]
            self._forget()
        if answer.state_token:
            self.continued_from(answer.state_token)
        return wire.stepped(answer)

    def remembers(self, step: int) -> bool:
        """Whether it can be brought to a snapshot on a server that has none."""
        return step in self._snapshots

    def rolled_back(self, step: int, session: sessions_pb2.Session | None) -> None:
        """What was given from that step on never was.

        Args:
            step: of a snapshot.
            session: as the server has it now; None: it must be opened again.
        """
        while self._stretches[-1].step > step:
            self._stretches.pop()
        last = self._stretches[-1]
        last.inputs = [one for one in last.inputs if one.first_step < step]
        self._snapshots = [one for one in self._snapshots if one <= step]
        self.next_step = step
        if session is None:
            self.lost()
        else:
            self.session = session

    def forked(self, token: bytes) -> "Script":
        """That of another session, which begins with a token of this one."""
        origin = sessions_pb2.OpenSessionRequest(
            state_token=token,
            accept_inexact=self.origin.accept_inexact,
            max_snapshots=self.origin.max_snapshots,
            follow_reloads=self.origin.follow_reloads,
        )
        return Script(origin=origin, checkpoint_steps=self.checkpoint_steps)

    def continued_from(self, token: bytes) -> None:
        """Goes on from a token of the next step, and needs little of what was before."""
        self._stretches.append(_Stretch(step=self.next_step, token=token))
        self._forget()

    def _forget(self) -> None:
        """Keeps of earlier stretches what leads to a snapshot."""
        kept = []
        for stretch, following in pairwise(self._stretches):
            within = [n for n in self._snapshots if stretch.step <= n < following.step]
            if within:
                stretch.inputs = [one for one in stretch.inputs if one.first_step < max(within)]
                kept.append(stretch)
        self._stretches = [*kept, self._stretches[-1]]


class Ahead:
    """Steps that are sent before those in front of them are answered."""

    def __init__(
        self, script: Script, values: Iterable[Prompt | Features], wanted: Outputs | None
    ) -> None:
        self._script = script
        self._values = iter(values)
        self._wanted = wanted
        self._waiting: deque[tuple[streaming_pb2.Inputs, int]] = deque()  # and their steps
        self._sent = 0  # of these
        self._refused: dict[int, StepwireError] = {}  # by first step

    @property
    def waits(self) -> bool:
        """Whether an answer is to come."""
        return self._sent > 0

    def more(self) -> streaming_pb2.Inputs | None:
        """What to send now; None while answers must come first, or there is nothing more."""
        if self._sent == len(self._waiting) and not self._prepare():
            return None
        self._sent += 1
        return self._waiting[self._sent - 1][0]

    def hear(self, answer: streaming_pb2.StepResponse) -> Stepped | None:
        """Takes an answer; None if it is not the oldest message's.

        A refusal may come before the answers to what was sent before it; it waits its turn.

        Raises:
            StepwireError: the oldest message was refused, or the session ends.
        """
        oldest, _ = self._waiting[0]
        if answer.error.first_step > oldest.first_step:
            self._refused[answer.error.first_step] = from_step_error(answer.error)
            return None
        told = self._script.answered(oldest, taken(answer))
        self._waiting.popleft()
        self._sent -= 1
        return told

    def check(self) -> None:
        """Raises what the oldest message was refused for, if that is known."""
        if self._waiting and self._waiting[0][0].first_step in self._refused:
            raise self._refused[self._waiting[0][0].first_step]

    def again(self) -> None:
        """Begins to send anew what was not answered."""
        self._sent = 0
        self._refused = {}

    def _prepare(self) -> bool:
        """Takes the next inputs in, if they may be sent ahead and there are any."""
        if len(self._waiting) >= max(1, self._script.session.window):
            return False
        if any(not steps for _, steps in self._waiting):
            return False
        for values in self._values:
            behind = sum(steps for _, steps in self._waiting)
            inputs = self._script.inputs(values, self._wanted, behind=behind)
            # How many steps a text is, only its answer tells.
            self._waiting.append((inputs, 0 if isinstance(values, str) else len(values)))
            return True
        return False


def taken(answer: streaming_pb2.StepResponse) -> streaming_pb2.StepsTaken:
    """What an answer says of steps; raises what it says instead."""
    kind = answer.WhichOneof("result")
    if kind == "taken":
        return answer.taken
    if kind == "error":
        raise from_step_error(answer.error)
    raise ended(answer)


def attached(answer: streaming_pb2.StepResponse) -> sessions_pb2.Session:
    """The session that an answer gives to a stream; raises what it says instead."""
    kind = answer.WhichOneof("result")
    if kind == "attached":
        return answer.attached
    if kind == "error":
        raise from_step_error(answer.error)
    raise ended(answer)


def ended(answer: streaming_pb2.StepResponse) -> StepwireError:
    """The error of a session that a server gives up."""
    reason = answer.ending.reason
    kind = Unavailable if reason == "SHUTTING_DOWN" else SessionLost
    code = grpc.StatusCode.UNAVAILABLE if kind is Unavailable else grpc.StatusCode.ABORTED
    return kind(f"the server gave up the session: {reason}", code=code, reason=reason)


def of_connection(error: StepwireError) -> StepwireError:
    """What a failed call means to a session, which can repeat whatever it asked.

    INTERNAL and CANCELLED without a reason are gRPC's own: of a connection that breaks, and of a
    server that shuts its door.
    """
    if isinstance(error, Cancelled | InternalError) and not error.reason:
        return Unavailable(str(error), code=grpc.StatusCode.UNAVAILABLE)
    return error
