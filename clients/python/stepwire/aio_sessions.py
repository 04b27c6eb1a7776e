"""A session for asyncio: `sessions` with await, under the same names."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import grpc
import grpc.aio

from stepwire import stepping
from stepwire.aio_streams import raise_unless_task_is_cancelled
from stepwire.errors import (
    DeadlineExceeded,
    RollbackUnavailable,
    SessionLost,
    StepwireError,
    Unavailable,
    cancelled,
    from_rpc,
)
from stepwire.messages import Features, Outputs, Prompt, Stepped
from stepwire.retry import Attempts, may_pass
from stepwire.stepping import Ahead, Script
from stepwire.v1 import sessions_pb2, streaming_pb2

_FAREWELL_S = 5.0

Unary = Callable[[Any, float | None], Awaitable[Any]]  # a request, and what is left of the time


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The calls that a session makes, as its client offers them."""

    step: Callable[[], Any]
    open: Unary
    export: Unary
    roll_back: Unary
    close: Unary
    attempts: Callable[[float | None], Attempts]
    wait: Callable[[float], Awaitable[Any]]


class Session:
    """A sequence that goes on between calls. For one task at a time.

    What a lost connection, a restarted server or another replica would take away is given
    again by itself, see the synchronous `sessions.Session`.

    Example:
        async with client.session("shakespeare-lstm") as session:
            step = await session.step("RO")
            print(step.last.tokens[0].text)
    """

    def __init__(self, calls: Calls, script: Script, timeout_s: float | None) -> None:
        self._calls = calls
        self._script = script
        self._opening_timeout_s = timeout_s
        self._stream: Any = None
        self._closed = False
        self._is_ahead = False  # `steps` has sent what is not answered yet

    @property
    def id(self) -> str:
        """On the server that has it now; changes when it is resumed elsewhere."""
        return self._script.id

    @property
    def model(self) -> str:
        """Whose state it is."""
        return self._script.session.model

    @property
    def next_step(self) -> int:
        """Number of the next step, from 0."""
        return self._script.next_step

    async def step(
        self,
        inputs: Prompt | Features,
        *,
        outputs: Outputs | None = None,
        snapshot: bool = False,
        export: bool = False,
        timeout_s: float | None = None,
    ) -> Stepped:
        """Takes one or several steps, as the synchronous session does.

        Raises:
            StepwireError: they were not taken, and nothing of the session has changed.
        """
        self._check_open()
        attempts = self._calls.attempts(timeout_s)
        await self._reach(attempts)
        given = self._script.inputs(inputs, outputs, snapshot=snapshot, export=export)
        while True:
            await self._reach(attempts)
            try:
                return self._script.answered(given, await self._ask(given, attempts))
            except StepwireError as error:
                await self._recover(error, attempts)

    async def steps(
        self,
        inputs: Iterable[Prompt | Features],
        *,
        outputs: Outputs | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Stepped, None]:
        """Takes steps with some sent ahead, as the synchronous session does."""
        self._check_open()
        ahead = Ahead(self._script, inputs, outputs)
        attempts = self._calls.attempts(timeout_s)
        self._is_ahead = True
        try:
            while (stepped := await self._next_of(ahead, attempts)) is not None:
                yield stepped
                attempts = self._calls.attempts(timeout_s)
        finally:
            with suppress(StepwireError):
                last = self._calls.attempts(_FAREWELL_S)
                while ahead.waits and self._stream is not None:
                    ahead.check()
                    ahead.hear(await self._receive(last))
            if ahead.waits:
                self._drop_stream()
            self._is_ahead = False

    async def _next_of(self, ahead: Ahead, attempts: Attempts) -> Stepped | None:
        """Sends what may be sent, and gives the next answer; None once all is answered."""
        while True:
            try:
                await self._reach(attempts)
                while (message := ahead.more()) is not None:
                    await self._send(self._script.request(message), attempts)
                ahead.check()
                if not ahead.waits:
                    return None
                if stepped := ahead.hear(await self._receive(attempts)):
                    return stepped
            except StepwireError as error:
                self._drop_stream()  # answers to what was sent behind it may still come
                ahead.again()
                await self._recover(error, attempts)

    async def export(
        self, *, half_precision: bool = False, timeout_s: float | None = None
    ) -> bytes:
        """A token from which this server, or another with its keys, goes on."""
        request = sessions_pb2.ExportSessionRequest(half_precision=half_precision)
        answer = await self._on_session(self._calls.export, request, timeout_s)
        token: bytes = answer.state_token
        # The server may have taken a step for which nobody here waited long enough.
        if not half_precision and answer.next_step == self.next_step:
            self._script.continued_from(token)
        return token

    async def roll_back(self, step: int, *, timeout_s: float | None = None) -> None:
        """Goes back to a snapshot: that step is the next one again."""
        request = sessions_pb2.RollBackSessionRequest(step=step)
        try:
            answer = await self._on_session(self._calls.roll_back, request, timeout_s)
            session = answer.session
        except RollbackUnavailable:
            # A server that has the session from a token has none of its snapshots.
            if not self._script.remembers(step):
                raise
            await self._end()
            session = None
        self._drop_stream()
        self._script.rolled_back(step, session)

    async def fork(self, *, timeout_s: float | None = None) -> "Session":
        """Another session that goes on from here."""
        attempts = self._calls.attempts(timeout_s)
        # Not a copy on the server: what that began from would be gone with it.
        token = await self.export(timeout_s=attempts.remaining_s())
        forked = Session(self._calls, self._script.forked(token), attempts.remaining_s())
        return await forked.__aenter__()

    async def close(self) -> None:
        """Ends the session on the server; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        await self._end()

    async def __aenter__(self) -> Self:
        await self._reach(self._calls.attempts(self._opening_timeout_s))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _on_session(self, call: Unary, request: Any, timeout_s: float | None) -> Any:
        """Makes a call about the session, wherever it lives by then."""
        self._check_open()
        attempts = self._calls.attempts(timeout_s)
        while True:
            await self._reach(attempts)
            request.session_id = self.id
            try:
                return await _unary(call, request, attempts)
            except StepwireError as error:
                await self._recover(error, attempts)

    async def _reach(self, attempts: Attempts) -> None:
        """Sees to it that a stream has the session."""
        while self._stream is None:
            try:
                if self.id:
                    await self._attach(attempts)
                else:
                    opened = await _unary(self._calls.open, self._script.opening(), attempts)
                    self._script.opened(opened.session)
            except StepwireError as error:
                self._drop_stream()  # it has the session, but not the steps given again
                await self._recover(error, attempts)

    async def _attach(self, attempts: Attempts) -> None:
        self._stream = self._calls.step()
        answer = await self._exchange(self._script.attaching(), attempts)
        for inputs in self._script.attached(stepping.attached(answer)):
            await self._ask(inputs, attempts)

    async def _ask(
        self, inputs: streaming_pb2.Inputs, attempts: Attempts
    ) -> streaming_pb2.StepsTaken:
        return stepping.taken(await self._exchange(self._script.request(inputs), attempts))

    async def _exchange(
        self, request: streaming_pb2.StepRequest, attempts: Attempts
    ) -> streaming_pb2.StepResponse:
        """Sends a message, and reads the next answer."""
        await self._send(request, attempts)
        return await self._receive(attempts)

    async def _send(self, request: streaming_pb2.StepRequest, attempts: Attempts) -> None:
        await self._bounded(self._stream.write(request), attempts)

    async def _receive(self, attempts: Attempts) -> streaming_pb2.StepResponse:
        answer = await self._bounded(self._stream.read(), attempts)
        if not isinstance(answer, streaming_pb2.StepResponse):  # the end of the stream
            raise Unavailable("the server ended the stream", code=grpc.StatusCode.UNAVAILABLE)
        return answer

    async def _bounded(self, operation: Awaitable[Any], attempts: Attempts) -> Any:
        """Waits for an operation of the stream; raises what it means that it fails."""
        try:
            async with asyncio.timeout(attempts.remaining_s()):
                return await operation
        except TimeoutError:
            raise DeadlineExceeded(
                "no answer came in time", code=grpc.StatusCode.DEADLINE_EXCEEDED
            ) from None
        except grpc.RpcError as error:
            raise stepping.of_connection(from_rpc(error)) from error
        except asyncio.InvalidStateError:  # the call is over, and nothing can be written
            raise Unavailable("the stream is over", code=grpc.StatusCode.UNAVAILABLE) from None
        except asyncio.CancelledError:
            self._drop_stream()  # an answer may still come, and would be taken for the next
            raise_unless_task_is_cancelled()
            raise

    async def _recover(self, error: StepwireError, attempts: Attempts) -> None:
        """Prepares another attempt; raises the error if there is to be none."""
        if isinstance(error, SessionLost) and self.id:
            self._drop_stream()
            self._script.lost()
            return
        if not may_pass(error):
            if isinstance(error, DeadlineExceeded):
                self._drop_stream()  # an answer may still come, and would be taken for the next
            raise error
        self._drop_stream()
        await self._calls.wait(attempts.pause_after(error))

    async def _end(self) -> None:
        """Gives up what a server has of it."""
        self._drop_stream()
        if self.id:
            request = sessions_pb2.CloseSessionRequest(session_id=self.id)
            with suppress(grpc.RpcError):  # it expires by itself
                await self._calls.close(request, _FAREWELL_S)

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None

    def _check_open(self) -> None:
        if self._closed:
            raise cancelled("the session is closed")
        if self._is_ahead:
            raise RuntimeError("`steps` is not at its end: read on, or close it")


async def _unary(call: Unary, request: Any, attempts: Attempts) -> Any:
    try:
        return await call(request, attempts.remaining_s())
    except grpc.RpcError as error:
        raise stepping.of_connection(from_rpc(error)) from error
