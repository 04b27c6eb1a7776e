"""What the streaming calls of `Client` give."""

import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, Self, TypeVar

import grpc

from stepwire.errors import from_rpc
from stepwire.messages import Piece, TextScore, TranslationUpdate
from stepwire.receiving import Inbox, ItemT, ResponseT, Transcript
from stepwire.retry import Attempts
from stepwire.v1 import generation_pb2

MessageT = TypeVar("MessageT", covariant=True)


class Call(Protocol[MessageT]):
    """What is needed of a call under way."""

    def __iter__(self) -> Iterator[MessageT]: ...

    def cancel(self) -> object: ...


class Stream(Iterator[ItemT], Generic[ResponseT, ItemT]):
    """What one call brings, as the server sends it.

    Leaving its `with` block, closing it or dropping it cancels the call, and the server
    frees its rows. For one reader; `close` may come from any thread.
    """

    def __init__(
        self,
        start: Callable[[float | None], Call[ResponseT]],
        attempts: Attempts,
        inbox: Inbox[ResponseT, ItemT],
    ) -> None:
        self._start = start
        self._attempts = attempts
        self._inbox = inbox
        self._closed = threading.Event()
        self._begin()

    def __next__(self) -> ItemT:
        while (item := self._inbox.take()) is None:
            self._receive()
        return item

    def close(self) -> None:
        """Cancels the call unless it has ended; a reader that waits gets Cancelled."""
        self._closed.set()
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_call"):  # it could not be begun
            self.close()

    def _begin(self) -> None:
        self._call = self._start(self._attempts.remaining_s())
        self._responses = iter(self._call)

    def _receive(self) -> None:
        """Takes the next message in, or begins again if that repeats nothing.

        Raises:
            StopIteration: the stream has ended and is whole.
        """
        try:
            self._inbox.add(next(self._responses))
            self._attempts.renew()
        except StopIteration:
            self._inbox.end()
            raise
        except grpc.RpcError as cause:
            self._begin_again(cause)

    def _begin_again(self, cause: grpc.RpcError) -> None:
        if self._inbox.is_whole:  # only the end of the call was lost
            raise StopIteration
        error = from_rpc(cause)
        if self._inbox.is_bound or self._closed.wait(self._attempts.pause_after(error)):
            raise error
        self._begin()
        if self._closed.is_set():  # while the new call began, so that it was not cancelled
            self._call.cancel()


PieceStream = Stream[generation_pb2.GenerateResponse, Piece]
TranslationStream = Stream[generation_pb2.TranslateResponse, TranslationUpdate]
ScoreStream = Stream[generation_pb2.ScoreResponse, TextScore]


class TextStream(Transcript, Iterator[str]):
    """The text of one sequence, as the server sends it.

    Leaving its `with` block, closing it or dropping it cancels the call.
    """

    def __init__(self, pieces: PieceStream) -> None:
        super().__init__()
        self._pieces = pieces

    def __next__(self) -> str:
        while not (text := self._hand_out(next(self._pieces))):
            pass  # a piece may bring tokens or the summary alone
        return text

    def close(self) -> None:
        """Cancels the call unless it has ended; a reader that waits gets Cancelled."""
        self._pieces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
