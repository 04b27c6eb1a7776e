"""Between the messages about models and the domain's values."""

from stepwire.v1 import models_pb2
from stepwire_server.engine.wiring import Wire
from stepwire_server.registry.dropin.serving import DropIn
from stepwire_server.registry.loaded import TENSORS
from stepwire_server.registry.precision import Precision
from stepwire_server.registry.registry import Entry, ModelState
from stepwire_zoo import manifest

MODEL_STATES = {
    ModelState.LOADING: models_pb2.MODEL_STATE_LOADING,
    ModelState.READY: models_pb2.MODEL_STATE_READY,
    ModelState.FAILED: models_pb2.MODEL_STATE_FAILED,
    ModelState.UNLOADED: models_pb2.MODEL_STATE_UNLOADED,
}


TASKS = {
    "generation": models_pb2.TASK_GENERATION,
    "classification": models_pb2.TASK_CLASSIFICATION,
    "tagging": models_pb2.TASK_TAGGING,
    "translation": models_pb2.TASK_TRANSLATION,
    "forecasting": models_pb2.TASK_FORECASTING,
    "embedding": models_pb2.TASK_EMBEDDING,
    TENSORS: models_pb2.TASK_TENSORS,
}


def model_summary(entry: Entry) -> models_pb2.ModelSummary:
    """Describes a model in a line."""
    spec = entry.bundle.manifest if entry.bundle else None
    return models_pb2.ModelSummary(
        name=entry.name,
        version=entry.version,
        task=_task(entry),
        state=MODEL_STATES[entry.state],
        reason=entry.reason,
        summary=spec.summary if spec else "",
    )


def model(entry: Entry, max_inputs: int) -> models_pb2.Model:
    """Describes a model fully, as far as its manifest could be read."""
    if entry.loaded and entry.loaded.dropin:
        return _dropin(entry, entry.loaded.dropin)
    if entry.bundle is None:
        return models_pb2.Model(summary=model_summary(entry))
    spec, loaded = entry.bundle.manifest, entry.loaded
    precision = loaded.precision if loaded else Precision("")
    return models_pb2.Model(
        summary=model_summary(entry),
        languages=spec.languages,
        licence=spec.licence,
        limits=models_pb2.ModelLimits(
            max_input_tokens=spec.limits.max_input_tokens,
            max_new_tokens=spec.limits.max_new_tokens,
            vocabulary_size=spec.tokenizer.vocabulary_size,
            max_inputs_per_call=max_inputs,
            max_beam_width=loaded.max_beam_width if loaded else 0,
            begin_token=spec.tokenizer.begin,
            end_token=spec.tokenizer.end,
            reach=spec.limits.reach,
            subword_count=spec.subwords.tokenizer.vocabulary_size if spec.subwords else 0,
        ),
        labels=spec.labels,
        text_labels=spec.text_labels,
        graphs=[_graph(role, graph) for role, graph in spec.graphs.items()],
        metrics=[_metric(metric) for metric in spec.metrics_in(precision.name)],
        decoding_defaults=spec.decoding,
        provenance=_provenance(spec.provenance),
        provider=loaded.provider if loaded else "",
        size_bytes=spec.size_bytes,
        load_seconds=loaded.load_seconds if loaded else 0.0,
        digest=entry.bundle.digest,
        series=_series(spec.series) if spec.series else None,
        precision=precision.name,
        precision_reason=precision.reason,
        batch_independent=bool(loaded and loaded.stands_alone),
    )


def _task(entry: Entry) -> models_pb2.Task:
    if entry.location.graph is not None:
        return models_pb2.TASK_TENSORS
    return TASKS[entry.bundle.manifest.task] if entry.bundle else models_pb2.TASK_UNSPECIFIED


def _dropin(entry: Entry, dropin: DropIn) -> models_pb2.Model:
    wiring, found = dropin.proved.wiring, dropin.proved.inspected
    states = [
        models_pb2.State(
            input=pair.input.name,
            output=pair.output.name,
            dtype=pair.input.dtype,
            shape=_row_shape(pair.input),
            start="zeros" if pair.start is None else "given",
        )
        for pair in wiring.states
    ]
    return models_pb2.Model(
        summary=model_summary(entry),
        graphs=[
            models_pb2.Graph(
                role="tensors",
                inputs=[_wire(wire) for wire in wiring.inputs],
                outputs=[_wire(wire) for wire in wiring.outputs],
                states=states,
            )
        ],
        provider=entry.loaded.provider if entry.loaded else "",
        batch_independent=True,  # where rows would disturb each other they do not share runs
        size_bytes=found.size_bytes,
        load_seconds=entry.loaded.load_seconds if entry.loaded else 0.0,
        digest=found.digest,
    )


def _wire(wire: Wire) -> models_pb2.Tensor:
    return models_pb2.Tensor(name=wire.name, dtype=wire.dtype, shape=_row_shape(wire))


def _row_shape(wire: Wire) -> list[int]:
    return [size for axis, size in enumerate(wire.shape) if axis != wire.batch_axis]


def _graph(role: str, graph: manifest.Graph) -> models_pb2.Graph:
    return models_pb2.Graph(
        role=role,
        inputs=[models_pb2.Tensor(**vars(tensor)) for tensor in graph.inputs],
        outputs=[models_pb2.Tensor(**vars(tensor)) for tensor in graph.outputs],
        states=[models_pb2.State(**vars(state)) for state in graph.states],
    )


def _series(series: manifest.Series) -> models_pb2.SeriesColumns:
    return models_pb2.SeriesColumns(
        columns=series.columns, targets=series.targets, horizon=series.horizon
    )


def _metric(metric: manifest.Metric) -> models_pb2.Metric:
    """A figure; those of its other seeds are for the card."""
    told = {name: value for name, value in vars(metric).items() if name != "runs"}
    return models_pb2.Metric(**told)


def _provenance(provenance: manifest.Provenance) -> models_pb2.Provenance:
    return models_pb2.Provenance(
        recipe=provenance.recipe,
        command=provenance.command,
        seed=provenance.seed,
        parameters=provenance.parameters,
        data=[models_pb2.Dataset(**vars(dataset)) for dataset in provenance.data],
    )
