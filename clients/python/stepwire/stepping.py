"""What a client keeps of a session, so that no server is needed to go on with it.

A token of the state, taken every so many steps, and the inputs since. Plain decisions: the
sessions of `sessions` and `aio_sessions` call, wait and read.
"""

from dataclasses import dataclass, field

import grpc

from stepwire import wire
from stepwire.errors import (
    SessionLost,
    StepwireError,
    Unavailable,
    from_step_error,
)
from stepwire.messages import Features, Outputs, Prompt, Stepped
from stepwire.v1 import sessions_pb2, streaming_pb2


@dataclass(kw_only=True)
class Script:
    """How a session began, and what it was given since its last token."""

    origin: sessions_pb2.OpenSessionRequest
    checkpoint_steps: int  # a token every so many; 0: none
    session: sessions_pb2.Session = field(default_factory=sessions_pb2.Session)
    next_step: int = 0
    _began: bool = False
    _token: bytes = b""
    _token_step: int = 0
    _since: list[streaming_pb2.Inputs] = field(default_factory=list)  # after that token

    @property
    def id(self) -> str:
        """Of the session as it lives on a server now; empty while it does not."""
        return self.session.id

    def opening(self) -> sessions_pb2.OpenSessionRequest:
        """How to open it, again or for the first time."""
        if not self._token:
            return self.origin
        request = sessions_pb2.OpenSessionRequest()
        request.CopyFrom(self.origin)
        request.state_token = self._token
        return request

    def opened(self, session: sessions_pb2.Session) -> None:
        """Learns that it lives on a server."""
        if not self._began:
            self._began = True
            self.next_step = self._token_step = session.next_step
        self.session = session

    def attached(self, session: sessions_pb2.Session) -> list[streaming_pb2.Inputs]:
        """Learns that a stream has it; returns what it must be given again."""
        self.session = session
        return [one for one in self._since if one.first_step >= session.next_step]

    def lost(self) -> None:
        """Learns that no server has it any more."""
        self.session.id = ""

    def attaching(self) -> streaming_pb2.StepRequest:
        """The first message of a stream."""
        return streaming_pb2.StepRequest(session_id=self.id, attach=streaming_pb2.Attach())

    def inputs(
        self, values: Prompt | Features, wanted: Outputs | None, *, snapshot: bool, export: bool
    ) -> streaming_pb2.Inputs:
        """The next steps; raises InvalidRequest for what the wire cannot carry."""
        steps = self.next_step - self._token_step
        due = 0 < self.checkpoint_steps <= steps
        return wire.step_inputs(
            self.next_step, values, wanted, snapshot=snapshot, export=export or due
        )

    def request(self, inputs: streaming_pb2.Inputs) -> streaming_pb2.StepRequest:
        """Inputs as a message of the stream that has the session now."""
        inputs.epoch = self.session.epoch
        return streaming_pb2.StepRequest(session_id=self.id, inputs=inputs)

    def answered(self, inputs: streaming_pb2.Inputs, answer: streaming_pb2.StepsTaken) -> Stepped:
        """Takes the answer to inputs that were new."""
        self.next_step = answer.first_step + answer.count
        if answer.state_token:
            self._token, self._token_step = answer.state_token, self.next_step
            self._since.clear()
        else:
            self._since.append(inputs)
        return wire.stepped(answer)

    def rolled_back(self, session: sessions_pb2.Session) -> None:
        """Learns that it was rolled back; what was given behind that step never was."""
        self.session = session
        self.next_step = session.next_step
        if self._token_step > self.next_step:
            # The token is of what no longer counts; the server's own copy is all there is.
            self._token, self._since = b"", []
            self._token_step = self.next_step
        else:
            self._since = [one for one in self._since if one.first_step < self.next_step]

    def forked(self) -> "Script":
        """That of another session, which begins as a copy of this one."""
        origin = sessions_pb2.OpenSessionRequest(
            session_id=self.id, max_snapshots=self.origin.max_snapshots
        )
        return Script(origin=origin, checkpoint_steps=self.checkpoint_steps)

    def continued_from(self, token: bytes) -> None:
        """Goes on from a token of the next step, and no longer needs what was before."""
        self._token, self._token_step = token, self.next_step
        self._since.clear()


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
