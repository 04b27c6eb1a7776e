"""What has arrived on a stream: the half of both clients' streams that does no I/O."""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from stepwire.errors import InternalError
from stepwire.messages import GenerationSummary, Piece, Translation, TranslationUpdate
from stepwire.resuming import Journal


class Item(Protocol):
    """Something that a stream brings."""

    @property
    def is_last(self) -> bool:
        """Whether nothing more comes of the same sequence."""
        ...


ItemT = TypeVar("ItemT", bound=Item)
ResponseT = TypeVar("ResponseT", bound=Message)


class Inbox(Generic[ResponseT, ItemT]):
    """Items between arriving and being handed out."""

    def __init__(
        self,
        unpack: Callable[[ResponseT], list[ItemT]],
        sequences: int,
        journal: Journal[ItemT] | None = None,
    ) -> None:
        """Starts empty.

        Args:
            unpack: turns a message into items.
            sequences: how many were asked for.
            journal: of a stream that another attempt may go on with.
        """
        self._unpack = unpack
        self._journal = journal
        self._waiting: deque[ItemT] = deque()
        self._unfinished = sequences
        self._started = False

    @property
    def is_bound(self) -> bool:
        """Whether another attempt would repeat text."""
        return self._started and not (self._journal and self._journal.outlives)

    @property
    def is_whole(self) -> bool:
        """Whether every sequence has come to its end."""
        return self._unfinished <= 0

    def add(self, response: ResponseT) -> None:
        """Takes a message in."""
        self._started = True
        for item in self._unpack(response):
            new = self._journal.hear(item) if self._journal else item
            if new is not None:
                self._waiting.append(new)
                self._unfinished -= new.is_last

    def take(self) -> ItemT | None:
        """The next item, None if the next message must come first."""
        return self._waiting.popleft() if self._waiting else None

    def end(self) -> None:
        """Checks that the stream that has ended is whole.

        Raises:
            InternalError: a sequence did not come to its end, so it may be cut short.
        """
        if self._unfinished > 0:
            raise InternalError(
                f"the stream ended with {self._unfinished} sequences unfinished",
                code=grpc.StatusCode.INTERNAL,
            )


class Transcript:
    """One sequence as far as it has been handed out."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._summary: GenerationSummary | None = None

    def _hand_out(self, piece: Piece) -> str:
        self._texts.append(piece.text)
        self._summary = piece.summary
        return piece.text

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._texts)

    @property
    def summary(self) -> GenerationSummary:
        """Why the sequence ended and what it cost.

        Raises:
            RuntimeError: it has not ended yet.
        """
        if self._summary is None:
            raise RuntimeError("there is no summary before the stream has ended")
        return self._summary


def translation(update: TranslationUpdate) -> Translation:
    """The whole of what the last update of a source tells."""
    assert update.summary is not None
    return Translation(hypotheses=update.hypotheses, summary=update.summary)
