"""Reads what a server tells of its models; the rest of `wire`."""

from collections.abc import Iterable

from stepwire.descriptions import (
    Dataset,
    Graph,
    Metric,
    Model,
    ModelLimits,
    ModelState,
    ModelSummary,
    Provenance,
    Series,
    State,
    Task,
    Tensor,
)
from stepwire.v1 import models_pb2

TASKS = {
    models_pb2.TASK_GENERATION: Task.GENERATION,
    models_pb2.TASK_CLASSIFICATION: Task.CLASSIFICATION,
    models_pb2.TASK_TRANSLATION: Task.TRANSLATION,
    models_pb2.TASK_FORECASTING: Task.FORECASTING,
    models_pb2.TASK_TENSORS: Task.TENSORS,
    models_pb2.TASK_TAGGING: Task.TAGGING,
    models_pb2.TASK_EMBEDDING: Task.EMBEDDING,
}
MODEL_STATES = {
    models_pb2.MODEL_STATE_LOADING: ModelState.LOADING,
    models_pb2.MODEL_STATE_READY: ModelState.READY,
    models_pb2.MODEL_STATE_FAILED: ModelState.FAILED,
    models_pb2.MODEL_STATE_UNLOADED: ModelState.UNLOADED,
}


def summaries(told: Iterable[models_pb2.ModelSummary]) -> list[ModelSummary]:
    """A line for each version of each model."""
    return [_summary(summary) for summary in told]


def model(response: models_pb2.GetModelResponse) -> Model:
    """One model, described fully."""
    told = response.model
    return Model(
        summary=_summary(told.summary),
        languages=tuple(told.languages),
        licence=told.licence,
        limits=_limits(told.limits),
        labels=tuple(told.labels),
        text_labels=tuple(told.text_labels),
        graphs=tuple(_graph(graph) for graph in told.graphs),
        metrics=tuple(_metric(metric) for metric in told.metrics),
        decoding_defaults=dict(told.decoding_defaults),
        provenance=_provenance(told.provenance),
        provider=told.provider,
        size_bytes=told.size_bytes,
        load_seconds=told.load_seconds,
        digest=told.digest,
        series=_series(told.series) if told.HasField("series") else None,
        precision=told.precision,
        precision_reason=told.precision_reason,
        batch_independent=told.batch_independent,
    )


def _summary(summary: models_pb2.ModelSummary) -> ModelSummary:
    return ModelSummary(
        name=summary.name,
        version=summary.version,
        task=TASKS.get(summary.task, Task.UNKNOWN),
        state=MODEL_STATES.get(summary.state, ModelState.UNKNOWN),
        reason=summary.reason,
        summary=summary.summary,
    )


def _limits(limits: models_pb2.ModelLimits) -> ModelLimits:
    return ModelLimits(
        max_input_tokens=limits.max_input_tokens,
        max_new_tokens=limits.max_new_tokens,
        vocabulary_size=limits.vocabulary_size,
        max_inputs_per_call=limits.max_inputs_per_call,
        max_beam_width=limits.max_beam_width,
        begin_token=limits.begin_token if limits.HasField("begin_token") else None,
        end_token=limits.end_token if limits.HasField("end_token") else None,
        reach=limits.reach,
        subword_count=limits.subword_count,
    )


def _graph(graph: models_pb2.Graph) -> Graph:
    return Graph(
        role=graph.role,
        inputs=tuple(_tensor(tensor) for tensor in graph.inputs),
        outputs=tuple(_tensor(tensor) for tensor in graph.outputs),
        states=tuple(_state(state) for state in graph.states),
    )


def _tensor(tensor: models_pb2.Tensor) -> Tensor:
    return Tensor(name=tensor.name, dtype=tensor.dtype, shape=tuple(tensor.shape), role=tensor.role)


def _state(state: models_pb2.State) -> State:
    return State(
        input=state.input,
        output=state.output,
        dtype=state.dtype,
        shape=tuple(state.shape),
        start=state.start,
    )


def _metric(metric: models_pb2.Metric) -> Metric:
    return Metric(
        name=metric.name,
        value=metric.value,
        unit=metric.unit,
        split=metric.split,
        published=metric.published,
    )


def _series(series: models_pb2.SeriesColumns) -> Series:
    return Series(
        columns=tuple(series.columns), targets=tuple(series.targets), horizon=series.horizon
    )


def _provenance(provenance: models_pb2.Provenance) -> Provenance:
    return Provenance(
        recipe=provenance.recipe,
        command=provenance.command,
        seed=provenance.seed,
        parameters=provenance.parameters,
        data=tuple(
            Dataset(name=it.name, licence=it.licence, home=it.home) for it in provenance.data
        ),
    )
