"""What a proof hands on to whoever publishes."""

from dataclasses import dataclass

from stepwire_zoo.golden import GoldenCase
from stepwire_zoo.manifest import Golden, Graph, Tensor

GOLDEN = Golden(file="golden.npz")


@dataclass(frozen=True, kw_only=True)
class Proved:
    """Graphs that were shown to compute what the model computes, by role."""

    graphs: dict[str, Graph]
    contents: dict[str, bytes]  # of their files
    cases: dict[str, GoldenCase]
    # The largest between PyTorch and ONNX Runtime, in any logit; in any value of a
    # forecaster, as a share of 1 + the value.
    difference: float


def logits_of(size: int) -> Tensor:
    """The output that every kind of model has."""
    return Tensor(name="logits", dtype="float32", shape=(size,), role="logits")
