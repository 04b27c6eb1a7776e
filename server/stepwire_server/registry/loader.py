"""From a proved bundle to a model that is running."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.batcher import Batcher
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.graph import SequenceGraph, StepGraph
from stepwire_server.engine.outbox import Outbox, Post
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_server.registry.classification import ClassificationModel
from stepwire_server.registry.generation import GenerationModel
from stepwire_server.registry.opening import Opened, Opener
from stepwire_zoo.bundle import Bundle


@dataclass(kw_only=True)
class LoadedModel:
    """A model that answers, its threads running."""

    bundle: Bundle
    model: GenerationModel | ClassificationModel
    provider: str
    load_seconds: float
    stop: Callable[[], None]  # ends its threads; work that is left fails


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Loads bundles under one set of settings."""

    batching: BatchingConfig
    runtime: RuntimeConfig
    metrics: Metrics
    post: Post  # to the event loop

    def load(self, bundle: Bundle) -> LoadedModel:
        """Checks, loads, proves and starts a model.

        Raises:
            BundleError: why the bundle is refused.
        """
        began = time.monotonic()
        opener = Opener(batching=self.batching, runtime=self.runtime)
        if bundle.manifest.task == "generation":
            loaded = self._start_generation(bundle, opener.open_step(bundle))
        else:
            loaded = self._start_classification(bundle, opener.open_sequence(bundle))
        loaded.load_seconds = time.monotonic() - began
        return loaded

    def _start_generation(self, bundle: Bundle, opened: Opened[StepGraph]) -> LoadedModel:
        spec, rows = opened.spec, self.batching.max_rows
        sampler = Sampler(
            rows,
            spec.tokenizer.vocabulary_size,
            end=spec.tokenizer.end,
            suppressed=spec.tokenizer.suppressed,
        )
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = Engine(
            RunningBatch(opened.graph, sampler, rows),
            self.batching,
            metrics,
            Outbox(self.post, self.batching.max_delay_s),
            spec.tokenizer.end,
        )
        buffer_tokens = self.batching.buffer_tokens
        model = GenerationModel(engine, opened.tokenizer, spec, metrics, buffer_tokens)
        return _start(bundle, model, opened.provider, engine, threads=1)

    def _start_classification(self, bundle: Bundle, opened: Opened[SequenceGraph]) -> LoadedModel:
        spec = opened.spec
        batcher = Batcher(
            opened.graph,
            spec.graphs["sequence"].buckets,
            self.batching,
            ModelMetrics(self.metrics, spec.name, spec.version),
            Outbox(self.post, max_delay_s=0),
            spec.tokenizer.pad or 0,
        )
        model = ClassificationModel(batcher, opened.tokenizer, spec)
        return _start(bundle, model, opened.provider, batcher, self.runtime.sequence_workers)


def _start(
    bundle: Bundle,
    model: GenerationModel | ClassificationModel,
    provider: str,
    worker: Engine | Batcher,
    threads: int,
) -> LoadedModel:
    name = f"{bundle.manifest.name}-{bundle.manifest.version}"
    running = [threading.Thread(target=worker.run, name=name, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()

    def stop() -> None:
        worker.stop()
        for thread in running:
            thread.join()

    return LoadedModel(bundle=bundle, model=model, provider=provider, load_seconds=0.0, stop=stop)
