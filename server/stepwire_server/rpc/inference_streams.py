"""One stream of the Open Inference Protocol: requests as they come, answers as they are ready."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from stepwire_server.engine.tensors import Cancel
from stepwire_server.errors import ShuttingDown, StepwireError
from stepwire_server.rpc.inference_messages import error_in_stream, in_stream
from stepwire_server.rpc.inference_requests import Inference
from stepwire_server.rpc.inference_wire import WireRequest

# Requests under way and answers that wait for a slow reader, before no more requests are read.
_MOST_OPEN = 1024
# And what those may take, in bytes; answers to come are taken to be as large as those that came.
_MOST_BYTES = 16 << 20
# Requests under way before anything is known of their answers, and with each answer some more.
_FIRST_OPEN, _MORE_OPEN = 64, 2
_FORGETS = 0.9  # of how large answers were, with each one that is smaller
# Answers that wait for a slow reader before a model that gives any number of them waits too.
_MOST_WAITING = 256


class InferenceStream:
    """Its requests are begun as they come; a task for each message would cost more than a step."""

    def __init__(self, inference: Inference, caller: str, *, strict: bool) -> None:
        """Makes a stream.

        Args:
            inference: begins requests.
            caller: whose sequences they mean.
            strict: the first error ends the stream with its status.
        """
        self._inference = inference
        self._caller = lambda: caller
        self._strict = strict
        self._open: set[_StreamReply] = set()
        self._answers: deque[bytes] = deque()
        self._waiting_bytes = 0  # of the answers
        self._asked_bytes = 0  # of the requests under way
        self._expected_bytes = 0.0  # of an answer
        self._may_be_open = _FIRST_OPEN
        self._changed = asyncio.Event()  # an answer came, or the stream may be over
        self._room = asyncio.Event()  # another request may be read
        self._reader_follows = asyncio.Event()  # few answers wait
        self._room.set()
        self._reader_follows.set()
        self._all_read = False
        self._error: Exception | None = None  # ends the stream at once
        self._last: Exception | None = None  # ends it when what is under way is answered

    async def read(self, requests: AsyncIterator[WireRequest]) -> None:
        """Begins what the caller sends."""
        try:
            async for request in requests:
                if not self._room.is_set():
                    await self._room.wait()
                if self._last is not None:
                    return
                await self._begin(request)
        except Exception as error:
            self._last = self._last or error
        finally:
            self._all_read = True
            self._changed.set()

    async def _begin(self, request: WireRequest) -> None:
        reply = _StreamReply(self, request.id, sum(map(len, request.raw)))
        self._open.add(reply)
        self._asked_bytes += reply.asked_bytes
        try:
            if self._inference.wakes:
                await self._inference.wake(request)
            reply.cancel = self._inference.begin(request, self._caller, None, reply)
        except StepwireError as error:
            reply.fail(error)
        if self._is_full:
            self._room.clear()

    async def answers(self) -> AsyncIterator[bytes]:
        """The answers, until all that was sent is answered; raises what ends the stream."""
        answers = self._answers
        while True:
            while answers:
                answer = answers.popleft()
                self._waiting_bytes -= len(answer)
                self._make_room()
                yield answer
            if self._error is not None:
                raise self._error
            if not self._open:
                if self._last is not None:
                    raise self._last
                if self._all_read:
                    return
            self._changed.clear()
            await self._changed.wait()

    def _make_room(self) -> None:
        if len(self._answers) < _MOST_WAITING:
            self._reader_follows.set()
        if not self._room.is_set() and not self._is_full:
            self._room.set()

    @property
    def _is_full(self) -> bool:
        under_way = len(self._open)
        size_bytes = self._asked_bytes + self._waiting_bytes + under_way * self._expected_bytes
        many = under_way + len(self._answers) >= _MOST_OPEN or under_way >= self._may_be_open
        return many or size_bytes >= _MOST_BYTES

    def leave(self) -> None:
        """Takes back everything that is under way: nobody listens any more."""
        for reply in list(self._open):
            if reply.cancel is not None:
                reply.cancel()
        self._open.clear()

    def drain(self) -> None:
        """Ends the stream once what is under way is answered."""
        self._last = self._last or ShuttingDown("the server is shutting down")
        self._changed.set()

    def take(self, answer: bytes) -> None:
        """Takes an answer that is to be sent."""
        self._answers.append(answer)
        self._expected_bytes = max(len(answer), _FORGETS * self._expected_bytes)
        self._may_be_open += _MORE_OPEN
        self._waiting_bytes += len(answer)
        if len(self._answers) >= _MOST_WAITING:
            self._reader_follows.clear()
        self._changed.set()

    def refuse(self, reply: "_StreamReply", error: StepwireError) -> None:
        """Takes the reason why a request has no answer."""
        if self._strict:
            if self._error is None:
                self._error = error
        else:
            self.take(error_in_stream(reply.id, str(error)))
        self.close(reply)

    def close(self, reply: "_StreamReply") -> None:
        """Learns that a request is answered."""
        if reply in self._open:
            self._open.discard(reply)
            self._asked_bytes -= reply.asked_bytes
        self._make_room()
        self._changed.set()

    async def room(self) -> None:
        """Waits until the reader has taken most of what waits for it."""
        await self._reader_follows.wait()


class _StreamReply:
    """One request of a stream."""

    __slots__ = ("_stream", "asked_bytes", "cancel", "id")

    whole = False

    def __init__(self, stream: InferenceStream, request_id: str, asked_bytes: int) -> None:
        self._stream = stream
        self.id = request_id
        self.asked_bytes = asked_bytes
        self.cancel: Cancel | None = None

    def answer(self, response: bytes) -> None:
        self._stream.take(in_stream(response))

    def fail(self, error: StepwireError) -> None:
        self._stream.refuse(self, error)

    def end(self) -> None:
        self._stream.close(self)

    async def room(self) -> None:
        await self._stream.room()


class LoneReply:
    """A request that is the whole of its call."""

    whole = True

    def __init__(self) -> None:
        self.found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def answer(self, response: bytes) -> None:
        """Takes the answer."""
        if not self.found.done():
            self.found.set_result(response)

    def fail(self, error: StepwireError) -> None:
        """Takes the reason why there is none."""
        if not self.found.done():
            self.found.set_exception(error)

    def end(self) -> None:
        """Nothing is left to do."""

    async def room(self) -> None:
        """There is one answer only."""
