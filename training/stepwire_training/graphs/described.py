"""What the manifest says of the graphs of translators, and of states."""

from collections.abc import Sequence

from stepwire_training.models.recurrent import STATES
from stepwire_training.models.translator import FEED, Translator
from stepwire_training.proved import logits_of
from stepwire_zoo.manifest import Graph, State, Tensor

CONTEXT_BUCKETS = (32, 128)  # few, because rows of one bucket step together


def encoding(outputs: Sequence[Tensor], buckets: tuple[int, ...]) -> Graph:
    """An encode graph of padded sources; its outputs are contexts and starts of states."""
    return Graph(
        file="encode.onnx",
        inputs=(
            Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
        ),
        outputs=tuple(outputs),
        buckets=buckets,
    )


def writing(contexts: Sequence[Tensor], scores: int, states: Sequence[State]) -> Graph:
    """A step graph that looks at contexts and scores so many tokens."""
    return Graph(
        file="step.onnx",
        inputs=(
            Tensor(name="token", dtype="int64", shape=(), role="token"),
            Tensor(name="rows", dtype="int64", shape=(-1,), role="rows"),
            Tensor(name="places", dtype="int64", shape=(), role="places"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
            *contexts,
        ),
        outputs=(
            logits_of(scores),
            Tensor(name="attention", dtype="float32", shape=(-1,), role="attention"),
        ),
        states=tuple(states),
        buckets=CONTEXT_BUCKETS,
    )


def carried(
    name: str, shape: tuple[int, ...], *, dtype: str = "float32", start: str = "zeros"
) -> State:
    """A state of a step graph, under the names that its tensors have here."""
    return State(input=name, output=f"{name}_next", dtype=dtype, shape=shape, start=start)


def describe_encode(model: Translator, buckets: tuple[int, ...]) -> Graph:
    """What the manifest says of the encode graph."""
    shape = (model.config.layers, model.config.hidden)
    starts = [
        Tensor(name=f"{name}_start", dtype="float32", shape=shape, role="start")
        for name in STATES[model.config.cell]
    ]
    return encoding((*_contexts(model), *starts), buckets)


def describe_decode(model: Translator) -> Graph:
    """What the manifest says of the step graph."""
    shape = (model.config.layers, model.config.hidden)
    states = [carried(name, shape, start=f"{name}_start") for name in STATES[model.config.cell]]
    if model.config.input_feeding:
        states.append(carried(FEED, (model.combine.out_features,)))
    return writing(_contexts(model), model.output.out_features, states)


def _contexts(model: Translator) -> list[Tensor]:
    sizes = {"memory": 2 * model.config.encoder.hidden}
    if model.attention.of_memory is not None:
        sizes["keys"] = model.config.hidden
    return [
        Tensor(name=name, dtype="float32", shape=(-1, size), role="context")
        for name, size in sizes.items()
    ]
