"""From a bundle's folder to a model that is proved and running."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from stepwire_server.config import PROVIDERS, BatchingConfig, RuntimeConfig
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.batcher import Batcher
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.graph import Graph, SequenceGraph, StepGraph, check_provider
from stepwire_server.engine.outbox import Outbox, Post
from stepwire_server.errors import StartupError
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_server.registry.classification import ClassificationModel
from stepwire_server.registry.generation import GenerationModel
from stepwire_server.registry.proof import prove_sequence, prove_step
from stepwire_server.registry.text import Tokenizer
from stepwire_zoo import golden, manifest
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.errors import ManifestInvalid


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
        bundle.verify_files()
        if bundle.manifest.task == "generation":
            loaded = self._load_generation(bundle)
        else:
            loaded = self._load_classification(bundle)
        loaded.load_seconds = time.monotonic() - began
        return loaded

    def prove(self, bundle: Bundle) -> None:
        """Loads a bundle and replays its golden case; raises BundleError if that fails."""
        bundle.verify_files()
        self._tokenizer(bundle)
        if bundle.manifest.task == "generation":
            self._step_graph(bundle)
        else:
            self._sequence_graph(bundle)

    def _load_generation(self, bundle: Bundle) -> LoadedModel:
        spec = bundle.manifest
        graph, step = self._step_graph(bundle)
        sampler = Sampler(
            self.batching.max_rows,
            spec.tokenizer.vocabulary_size,
            end=spec.tokenizer.end,
            suppressed=spec.tokenizer.suppressed,
        )
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = Engine(
            RunningBatch(step, sampler, self.batching.max_rows),
            self.batching,
            metrics,
            Outbox(self.post, self.batching.max_delay_s),
            spec.tokenizer.end,
        )
        tokenizer = self._tokenizer(bundle)
        model = GenerationModel(engine, tokenizer, spec, metrics, self.batching.buffer_tokens)
        return _start(bundle, model, graph.provider, engine, threads=1)

    def _load_classification(self, bundle: Bundle) -> LoadedModel:
        spec = bundle.manifest
        graph, sequence = self._sequence_graph(bundle)
        batcher = Batcher(
            sequence,
            spec.graphs["sequence"].buckets,
            self.batching,
            ModelMetrics(self.metrics, spec.name, spec.version),
            Outbox(self.post, max_delay_s=0),
        )
        tokenizer = self._tokenizer(bundle)
        model = ClassificationModel(batcher, tokenizer, spec)
        return _start(bundle, model, graph.provider, batcher, self.runtime.sequence_workers)

    def _step_graph(self, bundle: Bundle) -> tuple[Graph, StepGraph]:
        spec, case = self._parts(bundle, "step")
        if bundle.manifest.limits.max_new_tokens < 1:
            raise ManifestInvalid("limits.max_new_tokens: must be at least 1 to generate")
        graph = Graph(bundle.read(spec.file), spec, self._runtime_for(bundle))
        step = StepGraph(graph, spec)
        prove_step(step, case, bundle.manifest.golden, self.batching.max_rows)
        return graph, step

    def _sequence_graph(self, bundle: Bundle) -> tuple[Graph, SequenceGraph]:
        spec, case = self._parts(bundle, "sequence")
        longest = spec.buckets[-1] if spec.buckets else 0
        if longest < bundle.manifest.limits.max_input_tokens:
            raise ManifestInvalid("graphs.sequence.buckets: must reach limits.max_input_tokens")
        graph = Graph(bundle.read(spec.file), spec, self._runtime_for(bundle))
        sequence = SequenceGraph(graph, spec)
        most = self.batching.max_batch
        prove_sequence(sequence, spec.buckets, case, bundle.manifest.golden, most)
        return graph, sequence

    def _parts(self, bundle: Bundle, role: str) -> tuple[manifest.Graph, golden.GoldenCase]:
        spec = bundle.manifest
        if role not in spec.graphs:
            raise ManifestInvalid(f"graphs: task {spec.task} needs a {role} graph")
        cases = golden.unpack(bundle.read(spec.golden.file))
        return spec.graphs[role], cases.get(role, golden.GoldenCase())

    def _runtime_for(self, bundle: Bundle) -> RuntimeConfig:
        """The manifest may name the providers that a model may run on."""
        allowed = bundle.manifest.providers
        if not allowed or self.runtime.provider in allowed:
            return self.runtime
        name = allowed[0]
        if name not in PROVIDERS:
            raise ManifestInvalid(f"providers: must be among {', '.join(PROVIDERS)}, got {name!r}")
        try:
            check_provider(name)
        except StartupError as error:
            raise ManifestInvalid(f"providers: {error}") from error
        return replace(self.runtime, provider=name)

    def _tokenizer(self, bundle: Bundle) -> Tokenizer:
        spec = bundle.manifest
        data = bundle.read(spec.tokenizer.file)
        return Tokenizer(data, spec.tokenizer, spec.limits.max_input_tokens)


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
