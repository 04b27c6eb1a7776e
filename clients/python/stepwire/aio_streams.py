"""What the streaming calls of `AsyncClient` give; `streams` with await."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Self

import grpc
import grpc.aio
from google.protobuf.message import Message

from stepwire.errors import cancelled, from_rpc
from stepwire.messages import Piece, TextScore, TranslationUpdate
from stepwire.receiving import Inbox, ItemT, ResponseT, Transcript
from stepwire.retry import Attempts
from stepwire.v1 import generation_pb2


class Stream(AsyncIterator[ItemT], Generic[ResponseT, ItemT]):
    """What one call brings, as the server sends it.

    Leaving its `async with` block, closing it or dropping it cancels the call, and the
    server frees its rows. For one reader; `close` may come from any task.
    """

    def __init__(
        self,
        start: Callable[[float | None], "grpc.aio.UnaryStreamCall[Any, ResponseT]"],
        attempts: Attempts,
        inbox: Inbox[ResponseT, ItemT],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._attempts = attempts
        self._inbox = inbox
        self._closed = asyncio.Event()
        self._begin()

    async def __anext__(self) -> ItemT:
        while (item := self._inbox.take()) is None:
            await self._receive()
        return item

    def close(self) -> None:
        """Cancels the call unless it has ended; a reader that waits gets Cancelled."""
        self._closed.set()
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # grpc's own tasks keep an abandoned call alive (grpc issue 43462), and the
        # collector may run in any thread.
        if hasattr(self, "_call") and not (self._call.done() or self._loop.is_closed()):
            self._loop.call_soon_threadsafe(self._call.cancel)

    def _begin(self) -> None:
        self._call = self._start(self._attempts.remaining_s())

    async def _receive(self) -> None:
        """Takes the next message in, or begins again if that repeats nothing.

        Raises:
            StopAsyncIteration: the stream has ended and is whole.
        """
        try:
            response = await self._call.read()
        except grpc.RpcError as cause:
            await self._begin_again(cause)
        except asyncio.CancelledError:
            raise_unless_task_is_cancelled()
            raise
        else:
            self._accept(response)

    def _accept(self, response: object) -> None:
        if isinstance(response, Message):
            self._inbox.add(response)  # type: ignore[arg-type]  # of this call's own kind
            self._attempts.renew()
        else:  # grpc's mark of the end
            self._inbox.end()
            raise StopAsyncIteration

    async def _begin_again(self, cause: grpc.RpcError) -> None:
        if self._inbox.is_whole:  # only the end of the call was lost
            raise StopAsyncIteration
        error = from_rpc(cause)
        if self._inbox.is_bound or await set_within(
            self._closed, self._attempts.pause_after(error)
        ):
            raise error
        self._begin()


PieceStream = Stream[generation_pb2.GenerateResponse, Piece]
TranslationStream = Stream[generation_pb2.TranslateResponse, TranslationUpdate]
ScoreStream = Stream[generation_pb2.ScoreResponse, TextScore]


class TextStream(Transcript, AsyncIterator[str]):
    """The text of one sequence, as the server sends it.

    Leaving its `async with` block, closing it or dropping it cancels the call.
    """

    def __init__(self, pieces: PieceStream) -> None:
        super().__init__()
        self._pieces = pieces

    async def __anext__(self) -> str:
        while not (text := self._hand_out(await anext(self._pieces))):
            pass  # a piece may bring tokens or the summary alone
        return text

    def close(self) -> None:
        """Cancels the call unless it has ended; a reader that waits gets Cancelled."""
        self._pieces.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def raise_unless_task_is_cancelled() -> None:
    """Tells a call that was given up from a task that was cancelled.

    grpc raises CancelledError for both, but only a cancelled task should end by it.

    Raises:
        Cancelled: the running task goes on.
    """
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        raise cancelled("the call was cancelled, here or by the server") from None


async def set_within(event: asyncio.Event, pause_s: float) -> bool:
    """Waits out the pause; whether the event ended it early."""
    try:
        async with asyncio.timeout(pause_s):
            return await event.wait()
    except TimeoutError:
        return False
