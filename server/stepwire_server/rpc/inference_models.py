"""What the Open Inference Protocol tells of models: inputs, outputs, settings, statistics."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format

from stepwire_server.config import SessionLimits
from stepwire_server.errors import StepwireError
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.registry.registry import Entry, ModelRegistry, ModelState
from stepwire_server.registry.signature import (
    TEXT,
    DynamicBatching,
    Kind,
    QueuePolicy,
    Signature,
    TensorSpec,
)
from stepwire_server.registry.statistics import Counters
from stepwire_server.rpc.inference_tensors import DATATYPES

_MOST_SEQUENCES = 2**31 - 1  # what its field holds
_STATES = {"READY": "READY", "LOADING": "LOADING", "UNLOADING": "UNLOADING"}


def metadata(signature: Signature, versions: list[str]) -> pb.ModelMetadataResponse:
    """What a model takes and gives."""
    return pb.ModelMetadataResponse(
        name=signature.name,
        versions=versions,
        platform=signature.platform,
        inputs=[_tensor(spec) for spec in signature.inputs],
        outputs=[_tensor(spec) for spec in signature.outputs],
    )


def _tensor(spec: TensorSpec) -> Any:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=spec.name, datatype=DATATYPES[spec.dtype], shape=spec.shape
    )


def config(signature: Signature, limits: SessionLimits, *, gpu: bool) -> pb.ModelConfig:
    """How a model is set: what came in its config.pbtxt, and what was found out beside it."""
    told = pb.ModelConfig()
    if signature.config:
        text_format.Parse(signature.config, told, allow_unknown_field=True)
    told.name, told.platform = signature.name, signature.platform
    told.backend = told.backend or "onnxruntime"
    told.max_batch_size = _max_batch_size(signature)
    _fill_in_tensors(told, signature)
    if not told.instance_group:
        kind = pb.ModelInstanceGroup.KIND_GPU if gpu else pb.ModelInstanceGroup.KIND_CPU
        told.instance_group.add(name=f"{signature.name}_0", kind=kind, count=1)
    told.model_transaction_policy.decoupled = signature.kind is Kind.DECOUPLED
    if signature.kind is Kind.SEQUENCE:
        _fill_in_sequences(told.sequence_batching, signature, limits)
    elif signature.batching is not None:
        told.dynamic_batching.CopyFrom(_batching(signature.batching))
    return told


def _max_batch_size(signature: Signature) -> int:
    """The protocol knows rows on the first axis of every tensor, or none at all."""
    specs = (*signature.inputs, *signature.outputs)
    return signature.max_rows if all(spec.batch_axis == 0 for spec in specs) else 0


def _fill_in_tensors(told: pb.ModelConfig, signature: Signature) -> None:
    batched = told.max_batch_size > 0
    inputs = {each.name: each for each in told.input}
    outputs = {each.name: each for each in told.output}
    for spec in signature.inputs:
        entry: Any = inputs.get(spec.name) or told.input.add(name=spec.name)
        entry.optional = spec.optional
        _fill_in_tensor(entry, spec, batched)
    for spec in signature.outputs:
        _fill_in_tensor(outputs.get(spec.name) or told.output.add(name=spec.name), spec, batched)


def _fill_in_tensor(entry: Any, spec: TensorSpec, batched: bool) -> None:
    entry.data_type = _data_type(spec)
    # Given dimensions may be reshaped ones, and say so.
    if not entry.dims:
        entry.dims.extend(spec.shape[1:] if batched else spec.shape)


def _data_type(spec: TensorSpec) -> Any:
    name = "STRING" if spec.dtype == TEXT else DATATYPES[spec.dtype]
    return pb.DataType.Value(f"TYPE_{name}")


def _fill_in_sequences(told: Any, signature: Signature, limits: SessionLimits) -> None:
    idle_s = signature.max_idle_s or limits.idle_s
    told.max_sequence_idle_microseconds = round(idle_s * 1e6)
    if told.WhichOneof("strategy_choice") is None:
        told.oldest.max_candidate_sequences = min(limits.max_sessions, _MOST_SEQUENCES)
    if not told.state:
        for given, following in signature.states:
            told.state.add(
                input_name=given.name,
                output_name=following.name,
                data_type=_data_type(given),
                dims=[n for axis, n in enumerate(given.shape) if axis != given.batch_axis],
            )


def _batching(batching: DynamicBatching) -> pb.ModelDynamicBatching:
    return pb.ModelDynamicBatching(
        preferred_batch_size=batching.preferred_batch_sizes,
        max_queue_delay_microseconds=round(batching.max_queue_delay_s * 1e6),
        priority_levels=batching.priority_levels,
        default_priority_level=batching.default_priority_level,
        default_queue_policy=_policy(batching.default_policy),
        priority_queue_policy={
            level: _policy(policy) for level, policy in batching.policies.items()
        },
    )


def _policy(policy: QueuePolicy) -> pb.ModelQueuePolicy:
    reject, delay = pb.ModelQueuePolicy.REJECT, pb.ModelQueuePolicy.DELAY
    return pb.ModelQueuePolicy(
        timeout_action=delay if policy.delays else reject,
        default_timeout_microseconds=round(policy.default_timeout_s * 1e6),
        allow_timeout_override=policy.allow_timeout_override,
        max_queue_size=policy.max_queue_size,
    )


def statistics(name: str, version: str, counters: Counters) -> pb.ModelStatistics:
    """What a model has done."""
    count = counters.succeeded
    told = pb.ModelStatistics(
        name=name,
        version=version,
        last_inference=round(counters.last_at * 1000),
        inference_count=counters.rows,
        execution_count=round(counters.runs),
        inference_stats=pb.InferStatistics(
            success=_duration(count, counters.succeeded_s),
            fail=_duration(counters.failed, counters.failed_s),
            queue=_duration(count, counters.queue_s),
            compute_input=_duration(count, counters.input_s),
            compute_infer=_duration(count, counters.infer_s),
            compute_output=_duration(count, counters.output_s),
        ),
    )
    for rows, share in sorted(counters.runs_by_rows.items()):
        runs = round(share.runs)
        told.batch_stats.add(
            batch_size=rows,
            compute_input=_duration(runs, share.input_s),
            compute_infer=_duration(runs, share.infer_s),
            compute_output=_duration(runs, share.output_s),
        )
    return told


def _duration(count: int, seconds: float) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=count, ns=round(max(seconds, 0.0) * 1e9))


def ready(models: ModelRegistry) -> Iterator[tuple[str, str]]:
    """Names and versions of all models of named tensors that answer requests."""
    for entry in models:
        if entry.loaded is not None:
            yield from ((name, entry.version) for name in sorted(entry.loaded.tensors))


def is_ready(models: ModelRegistry, name: str, version: str) -> bool:
    """Whether a model answers requests; one that does not exist does not."""
    try:
        lease, _ = models.lease_tensors(name, version)
    except StepwireError:
        return False
    lease.release()
    return True


def index(models: ModelRegistry, *, only_ready: bool) -> pb.RepositoryIndexResponse:
    """Every version of every model, under all of its names."""
    told = pb.RepositoryIndexResponse()
    for entry in models:
        state = _STATES.get(entry.state.name, "UNAVAILABLE")
        if only_ready and state != "READY":
            continue
        for name in _names(entry):
            told.models.add(name=name, version=entry.version, state=state, reason=_reason(entry))
    return told


def _reason(entry: Entry) -> str:
    return "unloaded" if entry.state is ModelState.UNLOADED else entry.reason


def _names(entry: Entry) -> list[str]:
    return sorted(entry.loaded.tensors) if entry.loaded is not None else [entry.name]
