"""Sequences between two tokens: all that it takes to go on with one elsewhere, as bytes.

The bytes are a head in JSON, and behind it the states and arrays that the head mentions, in
that order. L tokens generated, S tokens of the source.
"""

import enum
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.beam import Hypothesis, Ledger
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import LengthNormalization, Options
from stepwire_server.engine.job import Ended, FinishReason, SavedRow, SavedSearch
from stepwire_server.registry.text import SavedText

_HEAD = struct.Struct("<I")  # bytes of JSON


@dataclass(frozen=True, kw_only=True)
class SavedDrawn:
    """A sequence whose tokens are drawn, or greedy."""

    row: SavedRow
    text: SavedText
    # Where the answer is wanted as a whole, what there is of it so far.
    written: str = ""
    logprob: float = 0.0
    steps: int = 0
    logprobs: tuple[TokenLogprobs, ...] = ()
    attention: NDArray[np.float32] | None = None  # [L, S]
    ended: Ended | None = None


@dataclass(frozen=True, kw_only=True)
class Saved:
    """One prompt or one source, and what has come of it."""

    tokens: tuple[int, ...]  # of the prompt, its beginning included; or of the source
    prefix: tuple[int, ...] = ()  # how a translation must or should begin
    options: Options
    drawn: tuple[SavedDrawn, ...] = ()
    search: SavedSearch | None = None
    sent: str = ""  # what was sent of the text that a search agrees on

    @property
    def rows(self) -> tuple[SavedRow, ...]:
        """The rows that go on."""
        if self.search:
            return self.search.rows
        return tuple(drawn.row for drawn in self.drawn if drawn.ended is None)

    @property
    def length(self) -> int:
        """Tokens that were generated."""
        return max(len(row.generated) for row in self.rows)


def write(saved: Saved) -> bytes:
    """Writes a saved sequence down."""
    blobs: list[bytes] = []

    def put(value: Any) -> Any:
        if isinstance(value, bytes):
            blobs.append(value)
            return {"bytes": len(value)}
        if isinstance(value, np.ndarray):
            return {"array": put(value.tobytes()), "shape": value.shape}
        if isinstance(value, enum.Enum):
            return value.value
        return vars(value)

    head = json.dumps(vars(saved), default=put, separators=(",", ":"), ensure_ascii=False).encode()
    return b"".join([_HEAD.pack(len(head)), head, *blobs])


def read(data: bytes) -> Saved:
    """Reads what `write` wrote."""
    (length,) = _HEAD.unpack_from(data)
    behind = _HEAD.size + length

    def take(value: dict[str, Any]) -> Any:
        nonlocal behind
        if "bytes" in value:
            start, behind = behind, behind + value["bytes"]
            return data[start:behind]
        if "array" in value:
            return np.frombuffer(value["array"], np.float32).reshape(value["shape"])
        return value

    head = json.loads(data[_HEAD.size : behind], object_hook=take)
    return Saved(
        tokens=tuple(head["tokens"]),
        prefix=tuple(head["prefix"]),
        options=_options(head["options"]),
        drawn=tuple(_drawn(drawn) for drawn in head["drawn"]),
        search=head["search"] and _search(*head["search"]),
        sent=head["sent"],
    )


def _options(values: dict[str, Any]) -> Options:
    normalization = LengthNormalization(values.pop("length_normalization"))
    bias = {int(token): weight for token, weight in values.pop("logit_bias").items()}
    plain: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
    }
    return Options(**plain, length_normalization=normalization, logit_bias=bias)


def _drawn(values: dict[str, Any]) -> SavedDrawn:
    ended = values.pop("ended")
    return SavedDrawn(
        **values
        | {
            "row": _row(values["row"]),
            "text": SavedText(*values["text"]),
            "logprobs": _logprobs(values["logprobs"]),
        },
        ended=ended and Ended(FinishReason(ended[0]), *ended[1:]),
    )


def _search(ledger: list[Any], rows: list[Any]) -> SavedSearch:
    length, live, scores, logprobs, attention, finished, count = ledger
    return SavedSearch(
        Ledger(
            length=length,
            live=[tuple(tokens) for tokens in live],
            scores=scores,
            logprobs=[_logprobs(each) for each in logprobs],
            attention=attention,
            finished=tuple(_hypothesis(*each) for each in finished),
            finished_count=count,
        ),
        tuple(_row(row) for row in rows),
    )


def _hypothesis(
    tokens: list[int],
    logprob: float,
    score: float,
    by_end: int | None,
    logprobs: list[Any],
    attention: NDArray[np.float32] | None,
) -> Hypothesis:
    return Hypothesis(tuple(tokens), logprob, score, by_end, _logprobs(logprobs), attention)


def _row(values: list[Any]) -> SavedRow:
    sample, generated, packed = values
    return SavedRow(sample, tuple(generated), packed)


def _logprobs(values: list[Any]) -> tuple[TokenLogprobs, ...]:
    return tuple(
        TokenLogprobs(logprob, tuple((token, each) for token, each in top))
        for logprob, top in values
    )
