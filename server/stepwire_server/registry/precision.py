"""In which precision a bundle is served, of those that it was published in."""

from typing import NamedTuple

from stepwire_server.config import AUTO, RuntimeConfig
from stepwire_server.engine.saturation import multiplies_exactly
from stepwire_zoo.manifest import FLOAT32, INT8, Manifest


class Precision(NamedTuple):
    """What graphs compute in, and why in nothing faster."""

    name: str
    reason: str = ""


def choose(spec: Manifest, runtime: RuntimeConfig) -> Precision:
    """The precision that is asked for, if bundle and machine have it; else float32."""
    wanted = runtime.precision
    if wanted == AUTO:
        wanted = spec.precision or (INT8 if INT8 in spec.variants else FLOAT32)
    if wanted == FLOAT32:
        return Precision(FLOAT32)
    if wanted not in spec.variants:
        return Precision(FLOAT32, f"it was not published in {wanted}")
    if runtime.provider != "cpu":
        return Precision(FLOAT32, f"{wanted} is for the CPU")
    if not multiplies_exactly(runtime):
        return Precision(FLOAT32, "this CPU rounds products of 8-bit integers: they saturate")
    return Precision(wanted)
