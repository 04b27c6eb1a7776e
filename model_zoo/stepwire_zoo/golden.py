"""The golden case: inputs, and the outputs that PyTorch gave for them.

An .npz file with one array for each tensor: `<graph role>/in/<name>` and
`<graph role>/out/<name>`. A sequence graph's arrays are simply its tensors, [N, ...].
A step graph's have one more axis, time, behind the batch: inputs and outputs [N, T, ...];
its states begin at their start and are carried from step to step.
"""

import io
from dataclasses import dataclass, field
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from stepwire_zoo.errors import FileMismatch, GoldenMismatch
from stepwire_zoo.manifest import Golden

MOST_UNPACKED_BYTES = 256 << 20

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class GoldenCase:
    """What one graph is given and must answer."""

    inputs: Arrays = field(default_factory=dict)  # by tensor name
    outputs: Arrays = field(default_factory=dict)  # by tensor name


def pack(cases: dict[str, GoldenCase]) -> bytes:
    """Writes the cases of a bundle, by graph role, as an .npz file."""
    arrays: Arrays = {}
    for role, case in cases.items():
        arrays |= {f"{role}/in/{name}": array for name, array in case.inputs.items()}
        arrays |= {f"{role}/out/{name}": array for name, array in case.outputs.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # its stub wants bool here
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, GoldenCase]:
    """Reads what `pack` wrote.

    Raises:
        FileMismatch: it is no such file.
    """
    cases: dict[str, GoldenCase] = {}
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
        if unpacked_bytes > MOST_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to {unpacked_bytes} bytes, {MOST_UNPACKED_BYTES} may be")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            for key in arrays.files:
                role, direction, name = key.split("/", 2)
                case = cases.setdefault(role, GoldenCase())
                side = {"in": case.inputs, "out": case.outputs}[direction]
                side[name] = arrays[key]
    except (ValueError, KeyError, OSError, BadZipFile, EOFError) as error:
        raise FileMismatch(f"the golden case cannot be read: {error}") from error
    return cases


def check(where: str, got: NDArray[Any], wanted: NDArray[Any], golden: Golden) -> None:
    """Compares an answer with the published one.

    Raises:
        GoldenMismatch: of another shape, not finite, or further away than the
            tolerances allow; says by how much.
    """
    if got.shape != wanted.shape:
        raise GoldenMismatch(f"{where} has shape {got.shape}, not {wanted.shape}")
    if not np.isfinite(got).all():
        raise GoldenMismatch(f"{where} is not finite")
    if not np.isfinite(wanted).all():
        raise GoldenMismatch(f"{where} was published as something that is not finite")
    allowed = golden.absolute_tolerance + golden.relative_tolerance * np.abs(wanted)
    excess = np.abs(got - wanted) / np.maximum(allowed, np.finfo(np.float32).tiny)
    if excess.size and excess.max() > 1:
        worst = np.unravel_index(int(excess.argmax()), excess.shape)
        at = [int(i) for i in worst]
        raise GoldenMismatch(f"{where}{at} is {got[worst]:.6g}, published as {wanted[worst]:.6g}")
