"""Fits values into messages, and says which one the wire cannot carry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from stepwire.errors import InvalidRequest
from stepwire.messages import ResumeToken, Start
from stepwire.v1 import generation_pb2

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT")

_WANTED = {
    FieldDescriptor.TYPE_UINT32: "a whole number in [0, 4294967295]",
    FieldDescriptor.TYPE_UINT64: "a whole number in [0, 18446744073709551615]",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_STRING: "text that UTF-8 can carry",
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_MESSAGE: "a mapping from token to number",
}


def several(one_or_many: str | Sequence[ItemT]) -> list[str] | list[ItemT]:
    """A list; a text alone, itself a sequence of texts, is taken as a list of one."""
    return [one_or_many] if isinstance(one_or_many, str) else list(one_or_many)


def build(kind: type[MessageT], path: str = "", /, **values: object) -> MessageT:
    """A message of these fields, None left unset.

    Raises:
        InvalidRequest: naming the first field whose value the wire cannot carry.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise _refusal(kind, path, given) from error


def prompt_message(path: str, prompt: Start) -> generation_pb2.Prompt:
    """A text, tokens or a resume token; `path` is what an error names it by."""
    if isinstance(prompt, str):
        return build(generation_pb2.Prompt, path, text=prompt)
    if isinstance(prompt, ResumeToken):
        return build(generation_pb2.Prompt, path, resume_token=prompt.value)
    tokens = build(generation_pb2.TokenIds, f"{path}tokens.", ids=list(prompt))
    return generation_pb2.Prompt(tokens=tokens)


def refused(field: str, allowed: str, got: object) -> InvalidRequest:
    """An error that names a field, what it must do and what came."""
    shown = repr(got) if len(repr(got)) <= 80 else repr(got)[:77] + "..."
    return InvalidRequest(
        f"{field} must {allowed}, got {shown}",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="INVALID_REQUEST",
        details={"field": field, "allowed": allowed, "got": shown},
    )


def mismatch(field: str, wanted: int, got: int) -> InvalidRequest:
    """The error where a list has not one entry for each text."""
    return refused(field, f"have one entry for each text, {wanted}", got)


def _refusal(kind: type[Message], path: str, given: Mapping[str, object]) -> InvalidRequest:
    name, label, value = next(
        (name, label, value)
        for name, whole in given.items()
        for label, part, value in _parts(name, whole)
        if not _fits(kind, name, part)
    )
    wanted = _WANTED[kind.DESCRIPTOR.fields_by_name[name].type]
    return refused(path + label, f"be {wanted}", value)


def _parts(name: str, whole: object) -> Iterator[tuple[str, object, object]]:
    """Each part of a field that can be wrong: what to call it, what to set, what to show."""
    if isinstance(whole, (list, tuple)):
        yield from ((f"{name}[{index}]", [item], item) for index, item in enumerate(whole))
    else:
        yield name, whole, whole


def _fits(kind: type[Message], name: str, value: object) -> bool:
    try:
        kind(**{name: value})
    except (TypeError, ValueError):
        return False
    return True
