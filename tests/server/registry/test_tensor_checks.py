import numpy as np
import pytest

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec
from stepwire_server.registry.tensor_checks import check

OUTPUT = TensorSpec(name="y", dtype="float32", shape=(-1, 2))


def signature(*inputs, max_rows=4):
    return Signature(
        name="m", version="1", kind=Kind.PLAIN, inputs=inputs, outputs=(OUTPUT,), max_rows=max_rows
    )


X = TensorSpec(name="x", dtype="float32", shape=(-1, -1, 3))
H = TensorSpec(name="h", dtype="float32", shape=(2, -1, 5), batch_axis=1, optional=True)
SCALE = TensorSpec(name="scale", dtype="float64", shape=(1,), batch_axis=None, optional=True)
WORDS = TensorSpec(name="words", dtype=TEXT, shape=(-1, 1))
MODEL = signature(X, H, SCALE)


def floats(*shape):
    return np.zeros(shape, np.float32)


def test_rows_are_counted_on_the_batch_axis_of_every_input():
    assert check(MODEL, {"x": floats(3, 7, 3), "h": floats(2, 3, 5)}) == 3


def test_what_is_optional_may_be_left_out():
    assert check(MODEL, {"x": floats(1, 7, 3), "scale": np.ones(1)}) == 1


def test_a_model_without_a_batch_axis_has_one_row():
    plain = TensorSpec(name="x", dtype="float32", shape=(-1, 3), batch_axis=None)
    assert check(signature(plain, max_rows=0), {"x": floats(7, 3)}) == 1


def test_texts_are_arrays_of_objects():
    assert check(signature(WORDS), {"words": np.array([[b"a"], [b"b"]], object)}) == 2


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "x must be among the inputs, got none"),
        ({"x": floats(1, 1, 3), "z": floats(1)}, "input must be one of x, h, scale, got z"),
        ({"x": np.zeros((1, 1, 3))}, "x must be of type float32, got float64"),
        ({"x": np.array([[[b""] * 3]], object)}, "x must be of type float32, got bytes"),
        ({"x": floats(1, 1, 4)}, r"x must have the shape \[-1, -1, 3\], .* got \[1, 1, 4\]"),
        ({"x": floats(1, 3)}, r"x must have the shape \[-1, -1, 3\], .* got \[1, 3\]"),
        ({"x": floats(0, 1, 3)}, "x must have between 1 and 4 rows on axis 0, got 0"),
        ({"x": floats(5, 1, 3)}, "x must have between 1 and 4 rows on axis 0, got 5"),
        (
            {"x": floats(3, 1, 3), "h": floats(2, 2, 5)},
            r"h must have the 3 rows of x on axis 1, got \[2, 2, 5\]",
        ),
        (
            {"x": floats(3, 1, 3), "h": floats(1, 3, 5)},
            r"h must have the shape \[2, -1, 5\], .* got \[1, 3, 5\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(tensors, message):
    with pytest.raises(InvalidRequest, match=message):
        check(MODEL, tensors)


def test_foreign_byte_order_is_another_type():
    with pytest.raises(InvalidRequest, match="x must be of type float32, got >f4"):
        check(MODEL, {"x": floats(1, 1, 3).astype(">f4")})
