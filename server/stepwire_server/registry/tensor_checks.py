"""Whether the tensors of a request are what a model takes: names, types, shapes, rows.

What the numbers mean is the model's own business.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.tensors import Tensors
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.signature import TEXT, Signature, TensorSpec


def check(signature: Signature, tensors: Tensors) -> int:
    """Checks the inputs of a request.

    Args:
        signature: of the model.
        tensors: every input that came, by name.

    Returns:
        How many rows it has; 1 where the model has no batch axis.

    Raises:
        InvalidRequest: names the input, what it may be, and what came.
    """
    rows, first = 1, ""
    for spec in signature.inputs:
        value = tensors.get(spec.name)
        if value is None:
            _check_left_out(spec)
            continue
        _check_tensor(spec, value)
        if spec.batch_axis is None:
            continue
        count = value.shape[spec.batch_axis]
        if not first:
            rows, first = count, spec.name
            _check_rows(signature, spec, count)
        elif count != rows:
            allowed = f"have the {rows} rows of {first} on axis {spec.batch_axis}"
            raise InvalidRequest.of(spec.name, allowed, list(value.shape))
    _check_names(signature, tensors)
    return rows


def _check_names(signature: Signature, tensors: Tensors) -> None:
    known = [spec.name for spec in signature.inputs]
    for name in tensors:
        if name not in known:
            raise InvalidRequest.of("input", f"be one of {', '.join(known)}", name)


def _check_left_out(spec: TensorSpec) -> None:
    if not spec.optional:
        raise InvalidRequest.of(spec.name, "be among the inputs", "none")


def _check_tensor(spec: TensorSpec, value: NDArray[Any]) -> None:
    if value.dtype != _dtype(spec):
        came = TEXT if value.dtype == object else value.dtype
        raise InvalidRequest.of(spec.name, f"be of type {spec.dtype}", came)
    fits = value.ndim == len(spec.shape) and all(
        size in (-1, came) or axis == spec.batch_axis
        for axis, (size, came) in enumerate(zip(spec.shape, value.shape, strict=True))
    )
    if not fits:
        allowed = f"have the shape {list(spec.shape)}, where -1 varies"
        raise InvalidRequest.of(spec.name, allowed, list(value.shape))


def _dtype(spec: TensorSpec) -> np.dtype[Any]:
    return np.dtype(object) if spec.dtype == TEXT else np.dtype(spec.dtype)


def _check_rows(signature: Signature, spec: TensorSpec, count: int) -> None:
    if not 1 <= count <= signature.max_rows:
        allowed = f"have between 1 and {signature.max_rows} rows on axis {spec.batch_axis}"
        raise InvalidRequest.of(spec.name, allowed, count)
