"""Between messages of the Open Inference Protocol and requests of named tensors.

Shapes: N rows of one request, * a tensor's own shape.
"""

import time
from collections.abc import Mapping, Sequence
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


class _Given(NamedTuple):
    """One input of a request, checked but for its elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    contents: Any  # typed elements, or None


class Plan(NamedTuple):
    """How requests that differ in their elements alone are read."""

    inputs: tuple[_Given, ...]
    rows: int
    wanted: Wanted
    said: Said
    typed: str  # an input whose elements are typed, if there is one
    strict: bool  # the request's timeout is a deadline

    def read(self, raw: Sequence[bytes], deadline: float | None) -> Asked:
        """Reads the elements.

        Args:
            raw: as they lie in memory, of each input; empty where they are typed.
            deadline: of the request's call, on the monotonic clock.

        Raises:
            InvalidRequest: they do not fit.
        """
        said = self.said
        timeout_s = said.timeout_s
        if timeout_s is not None and self.strict:
            until = time.monotonic() + timeout_s
            deadline = until if deadline is None else min(deadline, until)
        return Asked(
            tensors=self._raw(raw) if raw else self._typed(),
            rows=self.rows,
            wanted=self.wanted.names,
            deadline=deadline,
            timeout_s=timeout_s,
            priority=said.priority,
            parameters=said.others,
        )

    def _raw(self, raw: Sequence[bytes]) -> Tensors:
        if len(raw) != len(self.inputs):
            allowed = f"have one entry for each of the {len(self.inputs)} inputs, or none at all"
            raise InvalidRequest.of("raw_input_contents", allowed, len(raw))
        if self.typed:
            allowed = "be empty where raw_input_contents are given"
            raise InvalidRequest.of(f"contents of {self.typed}", allowed, "some")
        return {
            given.name: read_raw(given.name, given.dtype, given.shape, data)
            for given, data in zip(self.inputs, raw, strict=True)
        }

    def _typed(self) -> Tensors:
        nothing = pb.InferTensorContents()
        return {
            given.name: read_typed(given.name, given.dtype, given.shape, given.contents or nothing)
            for given in self.inputs
        }


class RequestReader:
    """Reads requests to one model."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._needed = frozenset(s.name for s in signature.inputs if not s.optional)
        self._outputs = {spec.name: spec for spec in signature.outputs}
        self._all = Wanted(tuple(self._outputs), (0,) * len(self._outputs))

    def read(self, message: Any, said: Said, deadline: float | None) -> Asked:
        """Reads a whole ModelInferRequest; see `plan` and `Plan.read`."""
        return self.plan(message, said).read(message.raw_input_contents, deadline)

    def plan(self, message: Any, said: Said) -> "Plan":
        """Checks everything of a ModelInferRequest but its elements.

        Args:
            message: the request.
            said: what its parameters say.

        Raises:
            InvalidRequest: it does not fit the signature.
            Unsupported: it wants shared memory.
        """
        inputs: dict[str, _Given] = {}
        for given in message.inputs:
            spec = self._inputs.get(given.name)
            if spec is None or spec.name in inputs:
                raise self._not_wanted(given.name, inputs)
            shape = tuple(given.shape)
            _check_head(spec, given, shape)
            contents = given.contents if given.HasField("contents") else None
            inputs[spec.name] = _Given(spec.name, spec.dtype, shape, contents)
        if not self._needed <= inputs.keys():
            missing = ", ".join(sorted(self._needed - inputs.keys()))
            raise InvalidRequest.of("inputs", f"hold {missing}", ", ".join(inputs) or "none")
        return Plan(
            inputs=tuple(inputs.values()),
            rows=self._rows(inputs) if self._signature.max_rows else 1,
            wanted=self._read_outputs(message.outputs) if message.outputs else self._all,
            said=said,
            typed=next((g.name for g in inputs.values() if g.contents is not None), ""),
            # Its queue has no policy of its own: what is said is meant.
            strict=self._signature.batching is None,
        )

    def _not_wanted(self, name: str, read: Mapping[str, Any]) -> InvalidRequest:
        if name in read:
            return InvalidRequest.of("inputs", "name each input once", f"{name} twice")
        return InvalidRequest.of("inputs", f"be among {', '.join(self._inputs)}", name or "no name")

    def _rows(self, inputs: Mapping[str, "_Given"]) -> int:
        """How many rows all inputs have; raises InvalidRequest."""
        rows, first = 0, ""
        for name, given in inputs.items():
            axis = self._inputs[name].batch_axis
            if axis is None:
                continue
            if not first:
                rows, first = given.shape[axis], name
                if not 0 < rows <= self._signature.max_rows:
                    allowed = f"have between 1 and {self._signature.max_rows} rows on axis {axis}"
                    raise InvalidRequest.of(name, allowed, list(given.shape))
            elif given.shape[axis] != rows:
                allowed = f"have the {rows} rows of {first} on axis {axis}"
                raise InvalidRequest.of(name, allowed, list(given.shape))
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
