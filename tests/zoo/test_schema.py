from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_zoo import schema
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import Manifest
from support.tiny import generation_manifest


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    named: dict[str, float] | None = None


inners = st.builds(Inner, size=st.integers(), note=st.none() | st.text())
outers = st.builds(
    Outer,
    inner=inners,
    many=st.lists(inners).map(tuple),
    named=st.none() | st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)


@given(outers)
def test_what_was_written_is_read_back(value):
    assert schema.read(Outer, schema.write(value)) == value


def test_a_manifest_survives_the_round_trip():
    manifest = generation_manifest()
    assert schema.read(Manifest, schema.write(manifest)) == manifest


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_read_or_refused_and_nothing_else(value):
    with suppress(ManifestInvalid):
        assert isinstance(schema.read(Outer, value), Outer)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_a_whole_number_is_a_whole_number(value):
    with pytest.raises(ManifestInvalid, match=r"inner\.size: must be of type int"):
        schema.read(Outer, {"inner": {"size": value}})
