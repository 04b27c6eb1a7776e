"""stepwire.json: what someone says of an ONNX file that has no manifest.

docs/add_a_model.md explains it for people who write one.
"""

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_zoo import schema
from stepwire_zoo.errors import ManifestInvalid

SETTINGS = "stepwire.json"
MAX_SETTINGS_BYTES = 1 << 20
MERGES = ("exact", "always", "never")
_PLAIN_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.(npy|npz)")


@dataclass(frozen=True, kw_only=True)
class StateSettings:
    """One state."""

    input: str
    output: str
    batch_axis: int | None = None  # found out where it is not given
    start: str | float = "zeros"  # or a number, or a file .npy beside this one: of one row

    def __post_init__(self) -> None:
        if isinstance(self.start, str) and self.start != "zeros":
            _plain_file("start", self.start, ".npy", "zeros, a number or a file .npy beside it")
        _axis("batch_axis", self.batch_axis)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is said; what is not is found out."""

    states: tuple[StateSettings, ...] | None = None  # an empty list: it has none
    batch_axis: dict[str, int | None] = field(default_factory=dict)  # by input; null: it has none
    time_axis: dict[str, int | None] = field(default_factory=dict)  # by input; null: it has none
    lengths: str | None = None  # the input that says how many steps of each row count
    max_batch_size: int | None = None  # rows of one run
    merge: str = "exact"  # one of MERGES: which rows of different callers may share a run
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by output: of its last axis
    sequence_idle_s: float | None = None  # a sequence that is not used for as long is forgotten
    golden: str | None = None  # a file .npz beside this one, replayed when the model is loaded
    golden_tolerance: float = 1e-5  # relative to numbers above 1

    def __post_init__(self) -> None:
        if self.merge not in MERGES:
            raise ValueError(f"merge must be one of {', '.join(MERGES)}, got {self.merge!r}")
        if self.max_batch_size is not None and not 0 <= self.max_batch_size <= 4096:
            raise ValueError(f"max_batch_size must be in [0, 4096], got {self.max_batch_size}")
        if self.sequence_idle_s is not None and not self.sequence_idle_s > 0:
            raise ValueError(f"sequence_idle_s must be above 0, got {self.sequence_idle_s:g}")
        if not self.golden_tolerance >= 0:
            raise ValueError(f"golden_tolerance must be at least 0, got {self.golden_tolerance:g}")
        for name, axis in self.batch_axis.items():
            _axis(f"batch_axis.{name}", axis)
        if self.golden is not None:
            _plain_file("golden", self.golden, ".npz", "a file .npz beside it")
        self._check_states()

    def _check_states(self) -> None:
        for side in ("input", "output"):
            names = [getattr(state, side) for state in self.states or ()]
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"states must name each {side} once, got {min(twice)!r} twice")

    def check_names(self, inputs: set[str], outputs: set[str]) -> None:
        """Raises ManifestInvalid if it speaks of tensors that the graph has not."""
        for number, state in enumerate(self.states or ()):
            _known(f"states[{number}].input", state.input, inputs)
            _known(f"states[{number}].output", state.output, outputs)
        for key in ("batch_axis", "time_axis"):
            for name in getattr(self, key):
                _known(key, name, inputs)
        for name in self.labels:
            _known("labels", name, outputs)
        if self.lengths is not None:
            _known("lengths", self.lengths, inputs)

    @property
    def batch_axes(self) -> dict[str, int | None]:
        """Every batch axis that is said, states' too."""
        states = {s.input: s.batch_axis for s in self.states or () if s.batch_axis is not None}
        return {**self.batch_axis, **states}


def read_settings(data: bytes, file: str = SETTINGS) -> Settings:
    """Reads the file.

    Raises:
        ManifestInvalid: it cannot be read, or a field is wrong; the message names it.
    """
    if len(data) > MAX_SETTINGS_BYTES:
        raise ManifestInvalid(f"{file} is larger than {MAX_SETTINGS_BYTES} bytes")
    try:
        value = json.loads(data, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"{file} is not JSON: {error}") from error
    try:
        return schema.read(Settings, value)
    except ManifestInvalid as error:
        raise ManifestInvalid(f"{file}: {error}") from error


def write_settings(settings: dict[str, Any]) -> str:
    """Writes the file; what it says can be read."""
    text = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
    read_settings(text.encode())
    return text


def read_start(data: bytes, file: str) -> NDArray[Any]:
    """Reads a start, [*] of one row, from a file .npy.

    Raises:
        ManifestInvalid: it is no such file.
    """
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise ManifestInvalid(f"{file} is not a NumPy file .npy: {error}") from error


def read_golden(data: bytes, file: str) -> dict[str, NDArray[Any]]:
    """Reads inputs and outputs by name from a file .npz.

    Raises:
        ManifestInvalid: it is no such file.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: np.ascontiguousarray(arrays[name]) for name in arrays.files}
    except (ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise ManifestInvalid(f"{file} is not a NumPy file .npz: {error}") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _axis(name: str, axis: int | None) -> None:
    if axis not in (None, 0, 1):
        raise ValueError(f"{name} must be 0 or 1, got {axis}")


def _plain_file(name: str, value: str, ending: str, allowed: str) -> None:
    if not value.endswith(ending) or not _PLAIN_FILE_NAME.fullmatch(value):
        raise ValueError(f"{name} must be {allowed}, got {value[:64]!r}")


def _known(field_name: str, name: str, names: set[str]) -> None:
    if name not in names:
        known = ", ".join(sorted(names))
        raise ManifestInvalid(f"{SETTINGS}: {field_name} must be one of {known}, got {name[:64]!r}")
