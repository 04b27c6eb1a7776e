"""Tensors as the Open Inference Protocol writes them: as they lie in memory, or element by element.

Shapes: * a tensor's own shape.
"""

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.signature import TEXT

# The protocol's names by NumPy's.
DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    TEXT: "BYTES",
}
# Fields of InferTensorContents; half precision has none.
_FIELDS = {
    "bool": "bool_contents",
    "uint8": "uint_contents",
    "uint16": "uint_contents",
    "uint32": "uint_contents",
    "uint64": "uint64_contents",
    "int8": "int_contents",
    "int16": "int_contents",
    "int32": "int_contents",
    "int64": "int64_contents",
    "float32": "fp32_contents",
    "float64": "fp64_contents",
    TEXT: "bytes_contents",
}
_LENGTH = struct.Struct("<I")  # before each text


def read_raw(name: str, dtype: str, shape: Sequence[int], data: bytes) -> NDArray[Any]:
    """Reads a tensor as it lies in memory, little-endian.

    Args:
        name: of the input, for errors.
        dtype: as NumPy names it, or TEXT.
        shape: that came; nothing in it is negative.
        data: the elements.

    Returns:
        [*], read-only where the elements are numbers.

    Raises:
        InvalidRequest: they are more or fewer than the shape says.
    """
    if dtype == TEXT:
        return _texts(_read_texts(name, data, math.prod(shape)), shape)
    kind = np.dtype(dtype)
    wanted = math.prod(shape) * kind.itemsize
    if len(data) != wanted:
        allowed = f"have {wanted} bytes for shape {list(shape)}"
        raise InvalidRequest.of(f"raw content of {name}", allowed, len(data))
    if dtype == "bool":  # any byte may come, and only 0 and 1 are ones
        return (np.frombuffer(data, np.uint8) != 0).reshape(shape)
    return np.frombuffer(data, kind.newbyteorder("<")).reshape(shape)


def _read_texts(name: str, data: bytes, count: int) -> list[bytes]:
    field, texts, place = f"raw content of {name}", list[bytes](), 0
    while place < len(data):
        if len(texts) == count:
            raise InvalidRequest.of(field, f"hold {count} texts", "more")
        if len(data) - place < _LENGTH.size:
            allowed = "have a length of 4 bytes before each text"
            raise InvalidRequest.of(field, allowed, f"{len(data) - place} bytes at its end")
        [length] = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if length > len(data) - place:
            allowed = "hold as many bytes as its lengths say"
            got = f"{len(data) - place} of {length} for text {len(texts)}"
            raise InvalidRequest.of(field, allowed, got)
        texts.append(data[place : place + length])
        place += length
    if len(texts) != count:
        raise InvalidRequest.of(field, f"hold {count} texts", len(texts))
    return texts


def read_typed(name: str, dtype: str, shape: Sequence[int], contents: Any) -> NDArray[Any]:
    """Reads a tensor from an InferTensorContents; otherwise as `read_raw`."""
    field = _FIELDS.get(dtype)
    if field is None:
        allowed = f"come in raw_input_contents, since {DATATYPES[dtype]} has no typed form"
        raise InvalidRequest.of(name, allowed, "contents")
    for other, _ in contents.ListFields():
        if other.name != field:
            raise InvalidRequest.of(f"contents of {name}", f"come in {field}", other.name)
    elements, count = getattr(contents, field), math.prod(shape)
    if len(elements) != count:
        allowed = f"have {count} elements for shape {list(shape)}"
        raise InvalidRequest.of(f"contents of {name}", allowed, len(elements))
    if dtype == TEXT:
        return _texts(list(elements), shape)
    # Small integers travel as larger ones.
    wide = np.array(elements, np.int64 if field in ("int_contents", "uint_contents") else dtype)
    if wide.dtype != dtype:
        _check_fits(name, dtype, wide)
    return wide.astype(dtype, copy=False).reshape(shape)


def _check_fits(name: str, dtype: str, wide: NDArray[np.int64]) -> None:
    limits = np.iinfo(dtype)
    outside = (wide < limits.min) | (wide > limits.max)
    if outside.any():
        allowed = f"have elements in [{limits.min}, {limits.max}]"
        raise InvalidRequest.of(f"contents of {name}", allowed, int(wide[outside][0]))


def _texts(texts: list[bytes], shape: Sequence[int]) -> NDArray[Any]:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def write_raw(tensor: NDArray[Any]) -> bytes:
    """Writes a tensor [*] as it lies in memory, row by row."""
    if tensor.dtype != object:
        return tensor.tobytes()
    return b"".join(
        part for text in tensor.ravel().tolist() for part in (_LENGTH.pack(len(text)), text)
    )


def best_of(scores: NDArray[Any], labels: Sequence[str], count: int) -> NDArray[Any]:
    """The best places of the last axis as texts, "score:place" or "score:place:label".

    Args:
        scores: [*, L].
        labels: [L] or none.
        count: how many; no more than L are told.

    Returns:
        [*, min(count, L)] of texts, the best first; of equal ones the one that stands first.
    """
    count = min(count, scores.shape[-1])
    places = np.argsort(-scores.astype(np.float64), axis=-1, kind="stable")[..., :count]
    best = np.take_along_axis(scores, places, axis=-1)
    told = [
        f"{score!s}:{place}:{labels[place]}" if labels else f"{score!s}:{place}"
        for score, place in zip(best.ravel(), places.ravel().tolist(), strict=True)
    ]
    return _texts([text.encode() for text in told], best.shape)
