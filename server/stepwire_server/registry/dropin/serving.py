"""From a file that dropped in to models that answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.engine.outbox import Outbox, Post
from stepwire_server.engine.tensor_batcher import TensorBatcher
from stepwire_server.engine.tensor_graph import TensorGraph
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_server.registry.dropin.controls import ControlledModel
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.model import Terms, faces, make_batcher
from stepwire_server.registry.dropin.opening import Proved, Said, open_graph, said_of
from stepwire_server.registry.signature import Kind, TensorModel
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.index import NAME, Location


@dataclass(frozen=True, kw_only=True)
class DropIn:
    """A model without a manifest: what it is, and what answers for it."""

    name: str
    version: str
    proved: Proved
    said: Said
    batcher: TensorBatcher
    models: Mapping[str, TensorModel]  # by the name of each


def open_dropin(place: Location, runtime: RuntimeConfig, most: int) -> tuple[Proved, Said]:
    """Finds out what a file is, and proves it.

    Args:
        place: where it lies.
        runtime: provider and threads.
        most: rows that will share a run.

    Raises:
        BundleError: why it is refused.
    """
    assert place.graph is not None
    if not NAME.fullmatch(place.name):
        allowed = "begin with a letter or a digit and hold letters, digits, '.', '_' and '-'"
        raise ManifestInvalid(f"a model's name must {allowed}, got {place.name[:64]!r}")
    files = Files.of(place.graph)
    said = said_of(files)
    return open_graph(files, said, runtime, most), said


def make_dropin(
    place: Location,
    opened: tuple[Proved, Said],
    limits: BatchingConfig,
    metrics: Metrics,
    post: Post,
) -> DropIn:
    """Puts the models of a file together; its batcher needs a thread that runs it."""
    proved, said = opened
    config, settings = said.config, said.settings
    terms = Terms(
        name=place.name,
        version=str(place.version),
        max_rows=settings.max_batch_size or limits.max_rows,
        batching=config.batching if config else None,
        labels=settings.labels,
        max_idle_s=settings.sequence_idle_s,
        config=config.text if config else "",
    )
    batcher = make_batcher(
        TensorGraph(proved.graph, proved.wiring),
        terms,
        limits,
        ModelMetrics(metrics, terms.name, terms.version),
        Outbox(post, max_delay_s=0),
    )
    return DropIn(
        name=terms.name,
        version=terms.version,
        proved=proved,
        said=said,
        batcher=batcher,
        models={model.signature.name: model for model in _controlled(batcher, terms, said)},
    )


def _controlled(batcher: TensorBatcher, terms: Terms, said: Said) -> list[TensorModel]:
    """All models of a file; those that keep states fill its control inputs in."""
    controls = said.config.controls if said.config else {}
    return [
        ControlledModel(model, controls)
        if controls and model.signature.kind is Kind.SEQUENCE
        else model
        for model in faces(batcher, terms)
    ]
