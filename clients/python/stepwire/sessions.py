"""A session: a state on a server that belongs to this caller, stepped input by input."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import grpc

from stepwire import stepping
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

Begin = Callable[[Iterator[streaming_pb2.StepRequest]], Any]
Unary = Callable[[Any, float | None], Any]  # a request, and what is left of the time


@dataclass(frozen=True, kw_only=True)
class Calls:
    """The calls that a session makes, as its client offers them."""

    step: Begin
    open: Unary
    export: Unary
    roll_back: Unary
    close: Unary
    attempts: Callable[[float | None], Attempts]
    wait: Callable[[float], Any]


class Session:
    """A sequence that goes on between calls. For one thread at a time.

    What a lost connection, a restarted server or another replica would take away is given
    again by itself: the server answers a step that it has taken without taking it twice, and
    where the session is gone, it is opened anew from the last state token and given the inputs
    since. Resuming elsewhere needs servers that share keys (`--key-file`).

    Example:
        with client.session("shakespeare-lstm") as session:
            step = session.step("RO")
            print(step.last.tokens[0].text)
    """

    def __init__(self, calls: Calls, script: Script, timeout_s: float | None) -> None:
        self._calls = calls
        self._script = script
        self._stream: _Stream | None = None
        self._closed = False
        self._is_ahead = False  # `steps` has sent what is not answered yet
        self._reach(self._calls.attempts(timeout_s))

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

    def step(
        self,
        inputs: Prompt | Features,
        *,
        outputs: Outputs | None = None,
        snapshot: bool = False,
        export: bool = False,
        timeout_s: float | None = None,
    ) -> Stepped:
        """Takes one or several steps.

        Args:
            inputs: a text, tokens, or rows of features.
            outputs: what to tell; None is what the model is about, of the last step.
            snapshot: keep the state before them, for `roll_back`.
            export: give a state token of what comes after them.
            timeout_s: for all attempts together; None is the client's own.

        Raises:
            StepwireError: they were not taken, and nothing of the session has changed.
        """
        self._check_open()
        given = self._script.inputs(inputs, outputs, snapshot=snapshot, export=export)
        attempts = self._calls.attempts(timeout_s)
        while True:
            self._reach(attempts)
            try:
                return self._script.answered(given, self._ask(given, attempts))
            except StepwireError as error:
                self._recover(error, attempts)

    def steps(
        self,
        inputs: Iterable[Prompt | Features],
        *,
        outputs: Outputs | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Stepped]:
        """Takes steps one after the other, and gives what each message of them gave.

        Up to `SessionOptions.window` messages are sent before their answers come, so that
        the way there and back is not waited for each time. Only a text is waited for: how many
        steps it is, only its answer tells. What was sent is taken, also if nobody reads on.

        Args:
            inputs: as `step` takes them.
            outputs: what to tell of each message.
            timeout_s: for each answer.
        """
        self._check_open()
        ahead = Ahead(self._script, inputs, outputs)
        attempts = self._calls.attempts(timeout_s)
        self._is_ahead = True
        try:
            while (stepped := self._next_of(ahead, attempts)) is not None:
                yield stepped
                attempts = self._calls.attempts(timeout_s)
        finally:
            with suppress(StepwireError):
                while ahead.waits and self._stream is not None:
                    ahead.check()
                    ahead.hear(self._stream.receive(_FAREWELL_S))
            if ahead.waits:
                self._drop_stream()
            self._is_ahead = False

    def _next_of(self, ahead: Ahead, attempts: Attempts) -> Stepped | None:
        """Sends what may be sent, and gives the next answer; None once all is answered."""
        while True:
            try:
                self._reach(attempts)
                assert self._stream is not None, "reached before"
                while (message := ahead.more()) is not None:
                    self._stream.send(self._script.request(message))
                ahead.check()
                if not ahead.waits:
                    return None
                if stepped := ahead.hear(self._stream.receive(attempts.remaining_s())):
                    return stepped
            except StepwireError as error:
                self._drop_stream()  # answers to what was sent behind it may still come
                ahead.again()
                self._recover(error, attempts)

    def export(self, *, half_precision: bool = False, timeout_s: float | None = None) -> bytes:
        """A token from which this server, or another with its keys, goes on."""
        request = sessions_pb2.ExportSessionRequest(half_precision=half_precision)
        answer = self._on_session(self._calls.export, request, timeout_s)
        token: bytes = answer.state_token
        # The server may have taken a step for which nobody here waited long enough.
        if not half_precision and answer.next_step == self.next_step:
            self._script.continued_from(token)
        return token

    def roll_back(self, step: int, *, timeout_s: float | None = None) -> None:
        """Goes back to a snapshot: that step is the next one again."""
        request = sessions_pb2.RollBackSessionRequest(step=step)
        try:
            session = self._on_session(self._calls.roll_back, request, timeout_s).session
        except RollbackUnavailable:
            # A server that has the session from a token has none of its snapshots.
            if not self._script.remembers(step):
                raise
            self._end()
            session = None
        self._drop_stream()
        self._script.rolled_back(step, session)

    def fork(self, *, timeout_s: float | None = None) -> "Session":
        """Another session that goes on from here."""
        attempts = self._calls.attempts(timeout_s)
        # Not a copy on the server: what that began from would be gone with it.
        token = self.export(timeout_s=attempts.remaining_s())
        return Session(self._calls, self._script.forked(token), attempts.remaining_s())

    def close(self) -> None:
        """Ends the session on the server; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_session(self, call: Unary, request: Any, timeout_s: float | None) -> Any:
        """Makes a call about the session, wherever it lives by then."""
        self._check_open()
        attempts = self._calls.attempts(timeout_s)
        while True:
            self._reach(attempts)
            request.session_id = self.id
            try:
                return _unary(call, request, attempts)
            except StepwireError as error:
                self._recover(error, attempts)

    def _reach(self, attempts: Attempts) -> None:
        """Sees to it that a stream has the session."""
        while self._stream is None:
            try:
                if not self.id:
                    self._open(attempts)
                else:
                    self._attach(attempts)
            except StepwireError as error:
                self._drop_stream()  # it has the session, but not the steps given again
                self._recover(error, attempts)

    def _open(self, attempts: Attempts) -> None:
        opened = _unary(self._calls.open, self._script.opening(), attempts)
        self._script.opened(opened.session)

    def _attach(self, attempts: Attempts) -> None:
        self._stream = _Stream(self._calls.step)
        self._stream.send(self._script.attaching())
        session = stepping.attached(self._stream.receive(attempts.remaining_s()))
        for inputs in self._script.attached(session):
            self._ask(inputs, attempts)

    def _ask(self, inputs: streaming_pb2.Inputs, attempts: Attempts) -> streaming_pb2.StepsTaken:
        assert self._stream is not None, "reached before"
        self._stream.send(self._script.request(inputs))
        return stepping.taken(self._stream.receive(attempts.remaining_s()))

    def _recover(self, error: StepwireError, attempts: Attempts) -> None:
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
        self._calls.wait(attempts.pause_after(error))

    def _end(self) -> None:
        """Gives up what a server has of it."""
        self._drop_stream()
        if self.id:
            request = sessions_pb2.CloseSessionRequest(session_id=self.id)
            with suppress(grpc.RpcError):  # it expires by itself
                self._calls.close(request, _FAREWELL_S)

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _check_open(self) -> None:
        if self._closed:
            raise cancelled("the session is closed")
        if self._is_ahead:
            raise RuntimeError("`steps` is not at its end: read on, or close it")


class _Stream:
    """One call of Step. A thread of its own reads, so that waiting can be bounded."""

    def __init__(self, begin: Begin) -> None:
        self._requests: queue.SimpleQueue[streaming_pb2.StepRequest | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[streaming_pb2.StepResponse | StepwireError] = (
            queue.SimpleQueue()
        )
        self._call = begin(iter(self._requests.get, None))
        threading.Thread(target=self._read, name="stepwire-session", daemon=True).start()

    def send(self, request: streaming_pb2.StepRequest) -> None:
        """Sends a message."""
        self._requests.put(request)

    def receive(self, timeout_s: float | None) -> streaming_pb2.StepResponse:
        """The next answer.

        Raises:
            StepwireError: the call ended, or no answer came in time.
        """
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise DeadlineExceeded(
                "no answer came in time", code=grpc.StatusCode.DEADLINE_EXCEEDED
            ) from None
        if isinstance(answer, StepwireError):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the call."""
        self._requests.put(None)
        self._call.cancel()

    def _read(self) -> None:
        try:
            for answer in self._call:
                self._answers.put(answer)
            self._answers.put(_over())
        except grpc.RpcError as error:
            self._answers.put(stepping.of_connection(from_rpc(error)))


def _over() -> StepwireError:
    return Unavailable("the server ended the stream", code=grpc.StatusCode.UNAVAILABLE)


def _unary(call: Unary, request: Any, attempts: Attempts) -> Any:
    try:
        return call(request, attempts.remaining_s())
    except grpc.RpcError as error:
        raise stepping.of_connection(from_rpc(error)) from error
