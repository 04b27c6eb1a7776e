"""A graph that dropped in, as models of named tensors.

A plain graph is one model. A graph with states is two: one whose states are kept here under
the caller's sequence id, and one, NAME.explicit, for callers who send them along and take
them back. Both share one queue, so their requests share runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.queueing import DynamicBatching
from stepwire_server.engine.tensor_batcher import TensorBatcher
from stepwire_server.engine.tensor_graph import TensorGraph
from stepwire_server.engine.tensor_queue import TensorQueue
from stepwire_server.engine.tensors import Asked, Cancel, Done, Failed
from stepwire_server.engine.wiring import Wire
from stepwire_server.errors import InvalidRequest
from stepwire_server.metrics import ModelMetrics
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a model is called, and how it may be used."""

    name: str
    version: str
    max_rows: int  # of one request and of a run; no matter where a graph takes no rows
    batching: DynamicBatching | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by output
    max_idle_s: float | None = None  # of a sequence; None: the server's own
    config: str = ""  # the config.pbtxt that came with it


class DropInModel:
    """One face of a graph."""

    def __init__(self, batcher: TensorBatcher, signature: Signature) -> None:
        """Makes a face.

        Args:
            batcher: runs the graph for all its faces.
            signature: of this one. A sequence's states are packed, others' are tensors.
        """
        self._batcher = batcher
        self._keeps = signature.kind is Kind.SEQUENCE
        self._texts = [spec.name for spec in signature.inputs if spec.dtype == TEXT]
        self.layout = batcher.graph.layout  # of a row's packed state
        self.signature = signature

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues a request; raises as `AnsweringModel.begin`."""
        if self._texts:
            read = {name: _read_texts(name, asked.tensors[name]) for name in self._texts}
            asked = replace(asked, tensors={**asked.tensors, **read})
        return self._batcher.submit(asked, done, failed, keeps=self._keeps)


def make_batcher(
    graph: TensorGraph,
    terms: Terms,
    limits: BatchingConfig,
    metrics: ModelMetrics,
    outbox: Outbox,
) -> TensorBatcher:
    """What runs a graph under its terms; it needs a thread that calls `run`."""
    queue = TensorQueue[Any](terms.batching, max(1, terms.max_rows), limits.max_waiting)
    return TensorBatcher(graph, queue, metrics, outbox)


def faces(batcher: TensorBatcher, terms: Terms) -> tuple[DropInModel, ...]:
    """All models that a graph is there as; the first has its own name."""
    graph = batcher.graph
    own = _own_signature(graph, terms)
    if not graph.wiring.states:
        return (DropInModel(batcher, own),)
    return (DropInModel(batcher, own), DropInModel(batcher, _explicit_signature(own)))


def _own_signature(graph: TensorGraph, terms: Terms) -> Signature:
    wiring = graph.wiring
    may_miss = wiring.lengths if graph.takes_lengths else None
    # A sequence whose graph gives nothing but its state would have no answers at all.
    outputs = wiring.outputs or tuple(pair.output for pair in wiring.states)
    return Signature(
        name=terms.name,
        version=terms.version,
        kind=Kind.SEQUENCE if wiring.states else Kind.PLAIN,
        inputs=tuple(_spec(wire, optional=wire.name == may_miss) for wire in wiring.inputs),
        outputs=tuple(
            _spec(wire, labels=tuple(terms.labels.get(wire.name, ()))) for wire in outputs
        ),
        max_rows=terms.max_rows if wiring.batched else 0,
        batching=terms.batching,
        states=tuple((_spec(pair.input), _spec(pair.output)) for pair in wiring.states),
        max_idle_s=terms.max_idle_s,
        config=terms.config,
    )


def _explicit_signature(own: Signature) -> Signature:
    """The states are ordinary tensors; one that is left out is the start."""
    starts = tuple(
        TensorSpec(
            name=state.name,
            dtype=state.dtype,
            shape=state.shape,
            batch_axis=state.batch_axis,
            optional=True,
        )
        for state, _ in own.states
    )
    return Signature(
        name=f"{own.name}.explicit",
        version=own.version,
        kind=Kind.PLAIN,
        inputs=(*own.inputs, *starts),
        outputs=tuple(dict.fromkeys((*own.outputs, *(following for _, following in own.states)))),
        max_rows=own.max_rows,
        batching=own.batching,
    )


def _spec(wire: Wire, *, optional: bool = False, labels: tuple[str, ...] = ()) -> TensorSpec:
    return TensorSpec(
        name=wire.name,
        dtype=wire.dtype,
        shape=wire.shape,
        batch_axis=wire.batch_axis,
        optional=optional,
        labels=labels,
    )


def _read_texts(name: str, value: NDArray[Any]) -> NDArray[Any]:
    """Texts as ONNX Runtime takes them; raises InvalidRequest if one is not UTF-8."""
    read = np.empty(value.size, object)
    for place, text in enumerate(value.ravel().tolist()):
        try:
            read[place] = text.decode()
        except UnicodeDecodeError as error:
            got = f"byte {error.start} that is not"
            raise InvalidRequest.of(f"{name}[{place}]", "be UTF-8", got) from error
    return read.reshape(value.shape)
