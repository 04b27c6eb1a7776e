"""What has arrived on a stream: the half of both clients' streams that does no I/O."""

from collections import deque

import grpc

from stepwire import wire
from stepwire.errors import InternalError
from stepwire.messages import GenerationSummary, Piece
from stepwire.v1 import generation_pb2


class Inbox:
    """Pieces between arriving and being handed out."""

    def __init__(self, sequences: int) -> None:
        """Starts empty.

        Args:
            sequences: how many were asked for, prompts times samples.
        """
        self._waiting: deque[Piece] = deque()
        self._unfinished = sequences
        self.started = False  # from here on another attempt would repeat text

    def add(self, response: generation_pb2.GenerateResponse) -> None:
        """Takes a message in."""
        self.started = True
        for piece in wire.pieces(response):
            self._waiting.append(piece)
            self._unfinished -= piece.summary is not None

    def take(self) -> Piece | None:
        """The next piece, None if the next message must come first."""
        return self._waiting.popleft() if self._waiting else None

    def end(self) -> None:
        """Checks that the stream that has ended is whole.

        Raises:
            InternalError: a sequence has no summary, so its text may be cut short.
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
