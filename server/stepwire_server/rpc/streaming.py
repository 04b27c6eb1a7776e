"""StreamingService: sessions are stepped."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from stepwire.v1 import streaming_pb2 as pb
from stepwire.v1 import streaming_pb2_grpc as pb_grpc
from stepwire_server.errors import InvalidRequest, StepwireError
from stepwire_server.rpc.caller import owner
from stepwire_server.rpc.session_messages import (
    check_more,
    error_message,
    join,
    read_inputs,
    repeated_content,
    session_message,
    step_message,
)
from stepwire_server.sessions.desk import Desk
from stepwire_server.sessions.session import Session

# Answers that may wait for a slow reader before no more of its messages are read.
_MOST_WAITING = 256


class StreamingServicer(pb_grpc.StreamingServiceServicer):
    """Translates between the wire and the desk, and decides nothing itself."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Step(
        self, requests: AsyncIterator[pb.StepRequest], context: Any
    ) -> AsyncIterator[pb.StepResponse | bytes]:
        """Answers the messages of one stream; leaving early takes back no step."""
        stream = _Stream(self._desk, owner(context))
        reading = asyncio.create_task(stream.read(requests))
        try:
            async for answer in stream.answers():
                yield answer
        finally:
            self._desk.detach(stream)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


class _Stream:
    """One call: what it sends, and the answers that wait for it."""

    def __init__(self, desk: Desk, caller: str) -> None:
        self._desk = desk
        self._owner = caller
        self._answers: deque[pb.StepResponse | bytes] = deque()
        self._changed = asyncio.Event()  # an answer came, or the stream may be over
        self._room = asyncio.Event()  # few enough answers wait
        self._room.set()
        self._joins = False  # the caller takes answers together
        self._all_read = False
        self._ended = False
        self._error: Exception | None = None

    async def read(self, requests: AsyncIterator[pb.StepRequest]) -> None:
        """Carries out what the caller sends, one message after the other."""
        try:
            async for request in requests:
                await self._room.wait()
                if request.more:
                    await self._carry_out_all(request)
                else:
                    await self._carry_out(request)
        except Exception as error:
            self._error = error
        finally:
            self._all_read = True
            self._changed.set()

    async def answers(self) -> AsyncIterator[pb.StepResponse | bytes]:
        """The answers, until all that was sent is answered; raises what ended the reading."""
        while True:
            while self._answers:
                answer = join(self._answers) if self._joins else self._answers.popleft()
                if len(self._answers) < _MOST_WAITING:
                    self._room.set()
                yield answer
            if self._error is not None:
                raise self._error
            if self._ended or (self._all_read and not self._desk.is_busy(self)):
                return
            self._changed.clear()
            await self._changed.wait()

    async def _carry_out_all(self, request: pb.StepRequest) -> None:
        """Carries out messages that came together: their steps begin together."""
        self._joins = True
        check_more(request)
        self._desk.gather()
        try:
            for each in (request, *request.more):
                if each.inputs.text:  # takes a while, and nobody else must wait for it
                    self._desk.scatter()
                await self._carry_out(each)
        finally:
            self._desk.scatter()

    async def _carry_out(self, request: pb.StepRequest) -> None:
        if not request.session_id:
            raise InvalidRequest.of("session_id", "name a session", "nothing")
        action, inputs = request.WhichOneof("action"), request.inputs
        try:
            if action == "attach":
                session = self._desk.attach(self._owner, request.session_id, self)
                told = session_message(session, self._desk)
                self._send(pb.StepResponse(session_id=session.id, attached=told))
            elif action == "inputs":
                session = self._desk.find(self._owner, request.session_id)
                stepper = self._desk.stepper(session)
                if inputs.HasField("text"):
                    read = await stepper.read_text(inputs.text)
                    session = self._desk.find(self._owner, request.session_id)  # it may be over
                else:
                    read = read_inputs(inputs, stepper)
                self._desk.step(session, self, step_message(inputs, read, stepper))
            else:
                raise InvalidRequest.of("action", "be attach or inputs", "nothing")
        except StepwireError as error:
            self._send(error_message(request.session_id, inputs.first_step, error))

    def answer(self, session: Session, content: bytes, *, repeated: bool) -> None:
        """Sends what steps gave."""
        del session
        self._send(repeated_content(content) if repeated else content)

    def refuse(self, session: Session, first_step: int, error: StepwireError) -> None:
        """Sends why steps were not taken."""
        self._send(error_message(session.id, first_step, error))

    def ending(self, session: Session, reason: str, token: bytes) -> None:
        """Sends the last word on a session."""
        told = pb.SessionEnding(reason=reason, state_token=token)
        self._send(pb.StepResponse(session_id=session.id, ending=told))

    def end(self) -> None:
        """Ends the call once everything is sent."""
        self._ended = True
        self._changed.set()

    def _send(self, answer: pb.StepResponse | bytes) -> None:
        self._answers.append(answer)
        if len(self._answers) >= _MOST_WAITING:
            self._room.clear()
        self._changed.set()
