"""config.pbtxt, as far as it says something that a server of one ONNX file can do.

What would change results and is not understood is refused by name; what would not is
logged. docs/add_a_model.md has the table.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray

from stepwire_server.engine.queueing import DynamicBatching
from stepwire_server.engine.runtime import OnnxGraph, Port
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.settings import StateSettings
from stepwire_server.registry.dropin.triton_queues import dynamic_batching, sequence_queues
from stepwire_server.registry.policy import VersionPolicy
from stepwire_zoo.errors import FileMismatch, ManifestInvalid
from stepwire_zoo.index import Location

log = logging.getLogger(__name__)

# They say how fast, where or when to run, and nothing of what comes out.
_LEFT_ASIDE = (
    *("instance_group", "optimization", "parameters", "model_warmup", "metric_tags", "runtime"),
    *("response_cache", "model_metrics", "cc_model_filenames"),
)
_READ = (
    *("name", "platform", "backend", "version_policy", "max_batch_size", "input", "output"),
    *("dynamic_batching", "sequence_batching", "default_model_filename"),
    "model_transaction_policy",
)
DTYPES = {
    **{f"TYPE_FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"TYPE_INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"TYPE_UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{"TYPE_BOOL": "bool", "TYPE_STRING": "bytes"},
}
_MOST_ROWS = 4096
_START, _READY = (
    pb.ModelSequenceBatching.Control.CONTROL_SEQUENCE_START,
    pb.ModelSequenceBatching.Control.CONTROL_SEQUENCE_READY,
)


class Control(NamedTuple):
    """An input that the server fills in."""

    starts: bool  # says whether a sequence starts; else whether there is a request, always so
    false: float
    true: float


@dataclass(frozen=True, kw_only=True)
class TritonConfig:
    """What config.pbtxt says."""

    text: str
    max_batch_size: int
    states: tuple[StateSettings, ...] | None  # None: it names none
    starts: dict[str, NDArray[Any]] = field(default_factory=dict)  # by input, [*] of one row
    controls: dict[str, Control] = field(default_factory=dict)  # by input
    batching: DynamicBatching | None = None
    max_idle_s: float | None = None
    version_policy: VersionPolicy | None = None  # None: it says nothing
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by output


def read_config(data: bytes, files: Files) -> TritonConfig:
    """Reads the file.

    Args:
        data: config.pbtxt.
        files: what lies beside it; named files are read.

    Raises:
        ManifestInvalid: it cannot be read, or says what this server cannot do.
        FileMismatch: a file that it names cannot be read.
    """
    said = parse(data)
    _check_top(said, files.model)
    sequences = said.sequence_batching
    batching = sequence_queues(sequences, said.max_batch_size)
    if said.HasField("dynamic_batching"):
        batching = dynamic_batching(said.dynamic_batching, said.max_batch_size)
    return TritonConfig(
        text=data.decode(),
        max_batch_size=said.max_batch_size,
        states=_states(sequences),
        starts=_starts(sequences, files),
        controls=_controls(sequences),
        batching=batching,
        max_idle_s=sequences.max_sequence_idle_microseconds / 1e6 or None,
        version_policy=version_policy(said),
        labels=_labels(said, files),
    )


def parse(data: bytes) -> pb.ModelConfig:
    """Reads the text as a message; raises ManifestInvalid with the line of the mistake."""
    try:
        return text_format.Parse(data.decode(), pb.ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"config.pbtxt cannot be read: {error}") from error


def version_policy(said: pb.ModelConfig) -> VersionPolicy | None:
    """Reads `version_policy`, if it is there."""
    choice = said.version_policy.WhichOneof("policy_choice")
    if choice is None:
        return None
    if choice == "all":
        return VersionPolicy()
    if choice == "specific":
        return VersionPolicy(specific=tuple(said.version_policy.specific.versions))
    return VersionPolicy(latest=max(1, said.version_policy.latest.num_versions))


def policy_beside(place: Location) -> VersionPolicy | None:
    """Which versions of a model are to be served, if its config.pbtxt can be read and says so.

    One that cannot be read is no reason to serve other versions: loading says what is wrong.
    """
    if place.graph is None:
        return None
    try:
        data = Files.of(place.graph).config()
        return version_policy(parse(data)) if data else None
    except (ManifestInvalid, FileMismatch):
        return None


def check_tensors(data: bytes, graph: OnnxGraph) -> None:
    """Compares what config.pbtxt says of tensors with the graph's own.

    Raises:
        ManifestInvalid: a name, a type or a size is another.
    """
    said = parse(data)
    states = said.sequence_batching.state
    fed = {entry.name for entry in said.sequence_batching.control_input}
    batched = said.max_batch_size > 0
    _check_list("input", said.input, graph.inputs, batched)
    _check_list("output", said.output, graph.outputs, batched)
    known = {entry.name for entry in said.input} | {entry.input_name for entry in states} | fed
    for port in graph.inputs if said.input else ():
        if port.name not in known:
            raise _refusal("input", f"list every input that is no state, lacks {port.name}")
    for name in sorted(fed - {port.name for port in graph.inputs}):
        raise _refusal("control_input.name", f"be an input of the graph, got {name!r}")
    for side, ports in (("input_name", graph.inputs), ("output_name", graph.outputs)):
        by_name = {port.name: port for port in ports}
        for state in states:
            port = _known(f"state.{side}", getattr(state, side), by_name)
            _check_form(f"state {port.name}", state.data_type, state.dims, port, batched)


def _check_top(said: pb.ModelConfig, name: str) -> None:
    for field_name, allowed in (
        ("name", ("", name)),
        ("backend", ("", "onnxruntime")),
        ("platform", ("", "onnxruntime_onnx")),
        ("default_model_filename", ("", "model.onnx")),
    ):
        got = getattr(said, field_name)
        if got not in allowed:
            raise _refusal(field_name, f"be {allowed[1]}, got {got!r}")
    if said.model_transaction_policy.decoupled:
        raise _refusal("model_transaction_policy.decoupled", "be false: a graph answers once")
    if not 0 <= said.max_batch_size <= _MOST_ROWS:
        raise _refusal("max_batch_size", f"be in [0, {_MOST_ROWS}], got {said.max_batch_size}")
    _check_supported(said, name)
    _check_sequences(said.sequence_batching)


def _check_supported(said: pb.ModelConfig, name: str) -> None:
    for given, _ in said.ListFields():
        if given.name in _LEFT_ASIDE:
            log.info("config.pbtxt field ignored", extra={"model": name, "field": given.name})
        elif given.name not in _READ:
            raise _refusal(given.name, "be left out: it is not supported")


def _check_sequences(said: pb.ModelSequenceBatching) -> None:
    if said.iterative_sequence:
        raise _refusal("sequence_batching.iterative_sequence", "be false: it is not supported")
    for entry in said.control_input:
        kinds = {control.kind for control in entry.control}
        if len(kinds) != 1 or not kinds <= {_START, _READY}:
            supported = "CONTROL_SEQUENCE_START or CONTROL_SEQUENCE_READY"
            names = [pb.ModelSequenceBatching.Control.Kind.Name(kind) for kind in sorted(kinds)]
            got = ", ".join(names) or "nothing"
            where = f"sequence_batching.control_input {entry.name}"
            raise _refusal(where, f"have one control, {supported}, got {got}")


def _check_list(side: str, said: Iterable[Any], ports: tuple[Port, ...], batched: bool) -> None:
    by_name = {port.name: port for port in ports}
    for entry in said:
        port = _known(f"{side}.name", entry.name, by_name)
        _check_form(f"{side} {port.name}", entry.data_type, entry.dims, port, batched)
        if entry.HasField("reshape"):
            raise _refusal(f"{side} {port.name}: reshape", "be left out: it is not supported")
        for name in ("is_shape_tensor", "allow_ragged_batch", "is_non_linear_format_io"):
            if getattr(entry, name, False):
                raise _refusal(f"{side} {port.name}: {name}", "be false: it is not supported")


def _check_form(where: str, data_type: int, dims: Iterable[int], port: Port, batched: bool) -> None:
    dtype = DTYPES.get(pb.DataType.Name(data_type), pb.DataType.Name(data_type))
    if dtype != port.dtype:
        raise _refusal(f"{where}: data_type", f"be {port.dtype}, as in the file, got {dtype}")
    sizes = [-1, *dims] if batched else [*dims]
    fits = len(sizes) == len(port.shape) and all(
        not isinstance(own, int) or size in (-1, own)
        for size, own in zip(sizes, port.shape, strict=True)
    )
    if not fits:
        shape = [size if isinstance(size, int) else -1 for size in port.shape]
        rule = "without the rows of axis 0 " if batched else ""
        raise _refusal(f"{where}: dims", f"fit {shape}, {rule}as in the file, got {[*dims]}")


def _known(where: str, name: str, ports: dict[str, Port]) -> Port:
    if name not in ports:
        raise _refusal(where, f"be one of {', '.join(sorted(ports))}, got {name!r}")
    return ports[name]


def _states(said: pb.ModelSequenceBatching) -> tuple[StateSettings, ...] | None:
    if not said.state:
        return None
    return tuple(StateSettings(input=s.input_name, output=s.output_name) for s in said.state)


def _starts(said: pb.ModelSequenceBatching, files: Files) -> dict[str, NDArray[Any]]:
    starts = {}
    for state in said.state:
        for initial in state.initial_state[:1]:
            if initial.WhichOneof("state_data") == "data_file":
                starts[state.input_name] = _start(initial, files)
    return starts


def _start(initial: pb.ModelSequenceBatching.InitialState, files: Files) -> NDArray[Any]:
    name = initial.data_file
    dtype = DTYPES.get(pb.DataType.Name(initial.data_type), "")
    if dtype in ("", "bytes"):
        raise _refusal("initial_state.data_type", "be one of numbers")
    data = files.initial_state(name)
    wanted = math.prod(initial.dims) * np.dtype(dtype).itemsize
    if len(data) != wanted or min(initial.dims, default=1) < 1:
        raise _refusal(
            f"initial_state {name}",
            f"hold {dtype} {[*initial.dims]}, {wanted} bytes, got {len(data)}",
        )
    return (
        np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(initial.dims).astype(dtype)
    )


def _controls(said: pb.ModelSequenceBatching) -> dict[str, Control]:
    found = {}
    for entry in said.control_input:
        [control] = entry.control
        pair: list[float] = [
            *control.int32_false_true,
            *control.fp32_false_true,
            *control.bool_false_true,
        ]
        if len(pair) != 2:
            where = f"sequence_batching.control_input {entry.name}"
            raise _refusal(where, "say what is false and what is true, two values")
        found[entry.name] = Control(control.kind == _START, float(pair[0]), float(pair[1]))
    return found


def _labels(said: pb.ModelConfig, files: Files) -> dict[str, tuple[str, ...]]:
    return {
        entry.name: tuple(files.beside(entry.label_filename).decode(errors="replace").splitlines())
        for entry in said.output
        if entry.label_filename
    }


def _refusal(where: str, allowed: str) -> ManifestInvalid:
    return ManifestInvalid(f"config.pbtxt: {where} must {allowed}")
