"""Between messages of the Open Inference Protocol and requests of named tensors.

Shapes: N rows of one request, * a tensor's own shape.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from stepwire_server.engine.tensors import Asked, Tensors
from stepwire_server.errors import InvalidRequest, Unsupported
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.registry.signature import TEXT, Signature, TensorSpec
from stepwire_server.rpc.inference_parameters import FINAL_RESPONSE, Said
from stepwire_server.rpc.inference_tensors import (
    DATATYPES,
    best_of,
    read_raw,
    read_typed,
    write_raw,
)

_MOST_HEADS = 256  # shapes of answers that are kept written down
_ID, _ANSWER, _RAW = b"\x1a", b"\x12", b"\x32"  # tags of fields: number and form


class Wanted(NamedTuple):
    """The outputs that a request asks for."""

    names: tuple[str, ...]
    best: tuple[int, ...]  # of each: how many places are told as texts; 0: all as numbers


class RequestReader:
    """Reads requests to one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._needed = frozenset(s.name for s in signature.inputs if not s.optional)
        self._outputs = {spec.name: spec for spec in signature.outputs}
        self._all = Wanted(tuple(self._outputs), (0,) * len(self._outputs))

    def read(self, message: Any, said: Said, deadline: float | None) -> tuple[Asked, Wanted]:
        """Checks a ModelInferRequest against the signature.

        Args:
            message: the request.
            said: what its parameters say.
            deadline: of its call, on the monotonic clock.

        Raises:
            InvalidRequest: it does not fit.
            Unsupported: it wants shared memory.
        """
        signature = self._signature
        tensors = self._read_inputs(message)
        wanted = self._read_outputs(message.outputs) if message.outputs else self._all
        timeout_s = said.timeout_s
        if timeout_s is not None and signature.batching is None:
            # Its queue has no policy of its own: what is said is meant.
            until = time.monotonic() + timeout_s
            deadline = until if deadline is None else min(deadline, until)
        asked = Asked(
            tensors=tensors,
            rows=self._rows(tensors) if signature.max_rows else 1,
            wanted=wanted.names,
            deadline=deadline,
            timeout_s=timeout_s,
            priority=said.priority,
            parameters=said.others,
        )
        return asked, wanted

    def _read_inputs(self, message: Any) -> Tensors:
        inputs, raw = message.inputs, message.raw_input_contents
        if raw and len(raw) != len(inputs):
            allowed = f"have one entry for each of the {len(inputs)} inputs, or none at all"
            raise InvalidRequest.of("raw_input_contents", allowed, len(raw))
        tensors: Tensors = {}
        for place, given in enumerate(inputs):
            name = given.name
            spec = self._inputs.get(name)
            if spec is None or name in tensors:
                raise self._not_wanted(name, tensors)
            shape = tuple(given.shape)
            _check_head(spec, given, shape)
            if not raw:
                tensors[name] = read_typed(name, spec.dtype, shape, given.contents)
            elif given.HasField("contents"):
                allowed = "be empty where raw_input_contents are given"
                raise InvalidRequest.of(f"contents of {name}", allowed, "some")
            else:
                tensors[name] = read_raw(name, spec.dtype, shape, raw[place])
        if not self._needed <= tensors.keys():
            missing = ", ".join(sorted(self._needed - tensors.keys()))
            raise InvalidRequest.of("inputs", f"hold {missing}", ", ".join(tensors) or "none")
        return tensors

    def _not_wanted(self, name: str, read: Tensors) -> InvalidRequest:
        if name in read:
            return InvalidRequest.of("inputs", "name each input once", f"{name} twice")
        return InvalidRequest.of("inputs", f"be among {', '.join(self._inputs)}", name or "no name")

    def _rows(self, tensors: Tensors) -> int:
        """How many rows all inputs have; raises InvalidRequest."""
        rows, first = 0, ""
        for name, tensor in tensors.items():
            axis = self._inputs[name].batch_axis
            if axis is None:
                continue
            if not first:
                rows, first = tensor.shape[axis], name
                if not 0 < rows <= self._signature.max_rows:
                    allowed = f"have between 1 and {self._signature.max_rows} rows on axis {axis}"
                    raise InvalidRequest.of(name, allowed, list(tensor.shape))
            elif tensor.shape[axis] != rows:
                allowed = f"have the {rows} rows of {first} on axis {axis}"
                raise InvalidRequest.of(name, allowed, list(tensor.shape))
        return rows or 1

    def _read_outputs(self, outputs: Any) -> Wanted:
        names, best = list[str](), list[int]()
        for each in outputs:
            if each.name not in self._outputs or each.name in names:
                allowed = f"be among {', '.join(self._outputs)}, each once"
                raise InvalidRequest.of("requested outputs", allowed, each.name or "no name")
            names.append(each.name)
            best.append(self._best(each) if each.parameters else 0)
        return Wanted(tuple(names), tuple(best))

    def _best(self, output: Any) -> int:
        _refuse_shared_memory(output)
        if "classification" not in output.parameters:
            return 0
        field = f"classification of {output.name}"
        count: int = output.parameters["classification"].int64_param
        spec = self._outputs[output.name]
        if spec.dtype == TEXT or not spec.shape:
            raise InvalidRequest.of(field, "be of an output of numbers", DATATYPES[spec.dtype])
        if count < 1:
            raise InvalidRequest.of(field, "be at least 1", count)
        return count


def _check_head(spec: TensorSpec, given: Any, shape: tuple[int, ...]) -> None:
    """Raises InvalidRequest unless type and shape are those of an input."""
    if given.parameters:
        _refuse_shared_memory(given)
    if given.datatype != DATATYPES[spec.dtype]:
        allowed = f"be {DATATYPES[spec.dtype]}"
        raise InvalidRequest.of(f"datatype of {spec.name}", allowed, given.datatype or "nothing")
    fits = len(shape) == len(spec.shape) and all(
        size == wanted if wanted >= 0 else size >= 0
        for size, wanted in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        allowed = f"be {list(spec.shape)}, where -1 varies"
        raise InvalidRequest.of(f"shape of {spec.name}", allowed, list(shape))


def _refuse_shared_memory(tensor: Any) -> None:
    if "shared_memory_region" in tensor.parameters:
        raise Unsupported(f"{tensor.name} lies in shared memory: this server shares none")


class AnswerWriter:
    """Writes the answers of one model.

    What does not change between answers of one shape is written once: a protobuf message may be
    put together from the bytes of its fields, in any order.
    """

    def __init__(self, signature: Signature) -> None:
        self._name, self._version = signature.name, signature.version
        self._outputs = {spec.name: spec for spec in signature.outputs}
        self._heads: dict[tuple[Any, ...], _Head] = {}
        empty = pb.ModelInferResponse(model_name=self._name, model_version=self._version)
        self._not_final = _final(False)
        self._empty_final = empty.SerializeToString() + _final(True)

    def write(
        self, tensors: Tensors, wanted: Wanted, request_id: str, *, more: bool = False
    ) -> bytes:
        """Writes a ModelInferResponse; `more` marks one of any number of answers."""
        told = [tensors[name] for name in wanted.names]
        if any(wanted.best):
            told = [
                best_of(tensor, self._outputs[name].labels, best) if best else tensor
                for name, tensor, best in zip(wanted.names, told, wanted.best, strict=True)
            ]
        key = (wanted, *[tensor.shape for tensor in told])
        head = self._heads.get(key) or self._head(key, told)
        parts = [head.content]
        if more:
            parts.append(self._not_final)
        if request_id:
            parts += field(_ID, request_id.encode())
        for tag, tensor in zip(head.tags, told, strict=True):
            if tag:
                parts += (tag, tensor.tobytes())
            else:
                parts += field(_RAW, write_raw(tensor))
        return b"".join(parts)

    def write_end(self, request_id: str) -> bytes:
        """Writes an answer without outputs, which says that no more come."""
        return b"".join((self._empty_final, *field(_ID, request_id.encode())))

    def _head(self, key: tuple[Any, ...], told: Sequence[NDArray[Any]]) -> "_Head":
        wanted: Wanted = key[0]
        message = pb.ModelInferResponse(model_name=self._name, model_version=self._version)
        tags = []
        for name, best, tensor in zip(wanted.names, wanted.best, told, strict=True):
            dtype = TEXT if best else self._outputs[name].dtype
            message.outputs.add(name=name, datatype=DATATYPES[dtype], shape=tensor.shape)
            tags.append(b"" if dtype == TEXT else _RAW + varint(tensor.nbytes))
        if len(self._heads) >= _MOST_HEADS:  # shapes may vary without end
            self._heads.clear()
        head = self._heads[key] = _Head(message.SerializeToString(), tags)
        return head


class _Head(NamedTuple):
    """The part of an answer that its shapes decide."""

    content: bytes
    tags: Sequence[bytes]  # in front of each output's elements; empty: their size varies


def in_stream(response: bytes) -> bytes:
    """Writes a ModelStreamInferResponse with an answer in it."""
    return b"".join(field(_ANSWER, response))


def error_in_stream(request_id: str, message: str) -> bytes:
    """Writes a ModelStreamInferResponse that says why a request failed."""
    answer = pb.ModelInferResponse(id=request_id)
    told = pb.ModelStreamInferResponse(error_message=message, infer_response=answer)
    return told.SerializeToString()


def _final(value: bool) -> bytes:
    message = pb.ModelInferResponse()
    message.parameters[FINAL_RESPONSE].bool_param = value
    return message.SerializeToString()


def field(tag: bytes, content: bytes) -> tuple[bytes, bytes]:
    """A field of bytes, in two parts."""
    return tag + varint(len(content)), content


def varint(number: int) -> bytes:
    """Writes a number of at least 0 as protobuf does: 7 bits a byte, the lowest first."""
    if number < 0x80:
        return _SMALL[number]
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SMALL = [bytes([number]) for number in range(0x80)]
