"""Requests of the Open Inference Protocol as bytes: what repeats is read once.

The requests of a caller differ in their id and in their elements, and hardly in anything else.
Both are cut out, and what is left is looked up before it is read.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.rpc.inference_messages import Plan, RequestReader
from stepwire_server.rpc.inference_parameters import Said, read_parameters

_ID, _RAW = 0x1A, 0x3A  # tags of fields: number and form
_BYTES = 2  # the form of all fields of a request: a length, and as many bytes
_MOST_HEADS = 8192
_LARGEST_HEAD = 2048  # in bytes; what is larger has elements in it


class Head:
    """A request without its id and its elements."""

    def __init__(self, content: bytes) -> None:
        """Reads it; raises DecodeError."""
        self._message = pb.ModelInferRequest.FromString(content)
        self.model: str = self._message.model_name
        self.version: str = self._message.model_version
        self._reader: RequestReader | None = None
        self._plan: Plan | None = None

    @cached_property
    def said(self) -> Said:
        """What its parameters say; raises InvalidRequest."""
        return read_parameters(self._message.parameters)

    def plan(self, reader: RequestReader) -> Plan:
        """How the elements are to be read; raises InvalidRequest and Unsupported."""
        if self._plan is None or self._reader is not reader:
            self._plan, self._reader = reader.plan(self._message, self.said), reader
        return self._plan


class WireRequest(NamedTuple):
    """One request."""

    head: Head
    id: str
    raw: Sequence[bytes]  # the elements of each input; empty where they are in the head


class RequestCutter:
    """Reads requests, and keeps their heads."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def read(self, data: bytes) -> WireRequest:
        """Reads a ModelInferRequest.

        Raises:
            DecodeError, UnicodeDecodeError: it is none.
        """
        content, request_id, raw = _cut(data)
        head = self._heads.get(content)
        if head is None:
            head = Head(content)
            if len(content) <= _LARGEST_HEAD:
                if len(self._heads) >= _MOST_HEADS:
                    self._heads.clear()
                self._heads[content] = head
        return WireRequest(head, request_id.decode(), raw)


def _cut(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Takes id and elements out of a message; its other fields stay as they are."""
    kept, raw, request_id = list[bytes](), list[bytes](), b""
    place = begin = 0
    while place < len(data):
        tag = data[place]
        if tag & 0x87 != _BYTES:  # a number of more than 15, or another form: none of ours
            return _by_the_book(data)
        content = place + 2
        end = content + data[place + 1] if content <= len(data) else len(data) + 1
        if end > len(data) or data[place + 1] >= 0x80:
            content, end = _bounds(data, place + 1)
        if tag in (_ID, _RAW):
            kept.append(data[begin:place])
            begin = end
            if tag == _RAW:
                raw.append(data[content:end])
            else:
                request_id = data[content:end]
        place = end
    kept.append(data[begin:])
    return b"".join(kept), request_id, raw


def _bounds(data: bytes, place: int) -> tuple[int, int]:
    """Where the content of a field begins and ends whose length begins at a place."""
    length = shift = 0
    while True:
        if place >= len(data) or shift > 28:
            raise DecodeError("a field has no length")
        byte = data[place]
        place += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    if place + length > len(data):
        raise DecodeError("a field is cut short")
    return place, place + length


def _by_the_book(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """The same for a message that has fields of another kind: a newer client may send them."""
    message: Any = pb.ModelInferRequest.FromString(data)
    raw, request_id = list(message.raw_input_contents), message.id.encode()
    message.ClearField("raw_input_contents")
    message.ClearField("id")
    return message.SerializeToString(deterministic=True), request_id, raw
