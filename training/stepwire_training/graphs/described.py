"""What the manifest says of the graphs of a translator."""

from stepwire_training.models.recurrent import STATES
from stepwire_training.models.translator import FEED, Translator
from stepwire_training.proved import logits_of
from stepwire_zoo.manifest import Graph, State, Tensor

CONTEXT_BUCKETS = (32, 128)  # few, because rows of one bucket step together


def describe_encode(model: Translator, buckets: tuple[int, ...]) -> Graph:
    """What the manifest says of the encode graph."""
    shape = (model.config.layers, model.config.hidden)
    starts = [
        Tensor(name=f"{name}_start", dtype="float32", shape=shape, role="start")
        for name in STATES[model.config.cell]
    ]
    return Graph(
        file="encode.onnx",
        inputs=(
            Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
        ),
        outputs=(*_contexts(model), *starts),
        buckets=buckets,
    )


def describe_decode(model: Translator) -> Graph:
    """What the manifest says of the step graph."""
    shape = (model.config.layers, model.config.hidden)
    states = [_state(name, shape, f"{name}_start") for name in STATES[model.config.cell]]
    if model.config.input_feeding:
        states.append(_state(FEED, (model.combine.out_features,), "zeros"))
    return Graph(
        file="step.onnx",
        inputs=(
            Tensor(name="token", dtype="int64", shape=(), role="token"),
            Tensor(name="rows", dtype="int64", shape=(-1,), role="rows"),
            Tensor(name="places", dtype="int64", shape=(), role="places"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
            *_contexts(model),
        ),
        outputs=(
            logits_of(model.output.out_features),
            Tensor(name="attention", dtype="float32", shape=(-1,), role="attention"),
        ),
        states=tuple(states),
        buckets=CONTEXT_BUCKETS,
    )


def _contexts(model: Translator) -> list[Tensor]:
    sizes = {"memory": 2 * model.config.encoder.hidden}
    if model.attention.of_memory is not None:
        sizes["keys"] = model.config.hidden
    return [
        Tensor(name=name, dtype="float32", shape=(-1, size), role="context")
        for name, size in sizes.items()
    ]


def _state(name: str, shape: tuple[int, ...], start: str) -> State:
    return State(input=name, output=f"{name}_next", dtype="float32", shape=shape, start=start)
