import numpy as np
import pytest

from stepwire_zoo.errors import FileMismatch, GoldenMismatch
from stepwire_zoo.golden import GoldenCase, check, pack, unpack
from stepwire_zoo.manifest import Golden

GOLDEN = Golden(file="golden.npz", absolute_tolerance=0.001, relative_tolerance=0.001)


def test_what_was_packed_is_unpacked():
    case = GoldenCase({"token": np.array([[1, 2]])}, {"logits": np.ones((1, 2, 3), np.float32)})
    [(role, read)] = unpack(pack({"step": case})).items()
    assert role == "step"
    np.testing.assert_array_equal(read.inputs["token"], case.inputs["token"])
    np.testing.assert_array_equal(read.outputs["logits"], case.outputs["logits"])


@pytest.mark.parametrize("data", [b"", b"PK", pack({})[:-3], b"\x80\x04pickle"])
def test_what_is_no_golden_case_is_refused(data):
    with pytest.raises(FileMismatch, match="the golden case cannot be read"):
        unpack(data)


def test_a_case_that_unpacks_beyond_measure_is_refused():
    bomb = GoldenCase({"token": np.zeros((1 << 28) // 8 + 1, np.int64)})
    with pytest.raises(FileMismatch, match="unpacks to"):
        unpack(pack({"step": bomb}))


def test_an_object_array_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "evil.npz", **{"step/in/token": np.array([print], object)})
    with pytest.raises(FileMismatch):
        unpack((tmp_path / "evil.npz").read_bytes())


def test_a_difference_within_the_tolerance_passes():
    check("logits", np.array([100.05]), np.array([100.0]), GOLDEN)


@pytest.mark.parametrize(
    ("got", "message"),
    [
        ([1.0, 2.1], r"logits\[1\] is 2.1, published as 2"),
        ([1.0, np.nan], "logits is not finite"),
        ([1.0], r"logits has shape \(1,\), not \(2,\)"),
    ],
)
def test_anything_else_is_refused_with_what_differs(got, message):
    with pytest.raises(GoldenMismatch, match=message):
        check("logits", np.array(got), np.array([1.0, 2.0]), GOLDEN)
