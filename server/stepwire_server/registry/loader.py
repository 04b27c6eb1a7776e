"""From a proved bundle to a model that is running."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stepwire_server.config import AUTO, BatchingConfig, RuntimeConfig
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.batcher import Batcher, Judged, Placed, Tagged
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.graph import StepGraph
from stepwire_server.engine.layout import Layout
from stepwire_server.engine.outbox import Outbox, Post
from stepwire_server.engine.pool import AnyEngine, EnginePool
from stepwire_server.engine.prefix_cache import PrefixCache
from stepwire_server.engine.prefixes import PrefixTree
from stepwire_server.engine.sources import Source
from stepwire_server.metrics import EncoderMetrics, Metrics, ModelMetrics
from stepwire_server.registry.classification import ClassificationModel
from stepwire_server.registry.dropin.serving import make_dropin, open_dropin
from stepwire_server.registry.embedding import EmbeddingModel
from stepwire_server.registry.engines import engines_for
from stepwire_server.registry.forecasting import ForecastingModel
from stepwire_server.registry.gathering import Gathering
from stepwire_server.registry.generation import GenerationModel
from stepwire_server.registry.judging import TextReader
from stepwire_server.registry.loaded import AnyModel, LoadedModel
from stepwire_server.registry.numerics import fingerprint
from stepwire_server.registry.opening import Forecaster, Opened, Opener
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.precision import Precision, choose
from stepwire_server.registry.reading import SourceReader
from stepwire_server.registry.reading_along import AlongReader
from stepwire_server.registry.signature import TensorModel
from stepwire_server.registry.stepping import Sources, Stepper
from stepwire_server.registry.tagging import TaggingModel
from stepwire_server.registry.tensors.attending import AttendingTensors
from stepwire_server.registry.tensors.labels import LabelTensors, LabelTexts
from stepwire_server.registry.tensors.steps import ExplicitSteps, StepTensors, word_choices
from stepwire_server.registry.tensors.tags import TagTensors, TagTexts
from stepwire_server.registry.tensors.texts import Generating, TextTensors, Translating
from stepwire_server.registry.tensors.vectors import VectorTensors, VectorWords
from stepwire_server.registry.translation import TranslationModel, TranslationParts
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.errors import GoldenMismatch
from stepwire_zoo.index import Location
from stepwire_zoo.manifest import FLOAT32, Manifest


class Worker(Protocol):
    """Works on a thread of its own until it is told to stop."""

    def run(self) -> None:
        """Works until `stop`."""
        ...

    def stop(self) -> None:
        """Ends `run`; work that is left fails."""
        ...


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
        precision = choose(bundle.manifest, self.runtime)
        try:
            loaded = self._start_in(precision, bundle)
        except GoldenMismatch as error:
            # Of what nobody has asked for, another can be served, and both must be proved.
            if precision.name == FLOAT32 or self.runtime.precision != AUTO:
                raise
            precision = Precision(FLOAT32, f"{precision.name} is not what was published: {error}")
            loaded = self._start_in(precision, bundle)
        loaded.precision = precision
        loaded.load_seconds = time.monotonic() - began
        return loaded

    def _start_in(self, precision: Precision, bundle: Bundle) -> LoadedModel:
        opener = Opener(batching=self.batching, runtime=self.runtime, precision=precision.name)
        start: dict[str, Callable[[Bundle, Opener], LoadedModel]] = {
            "generation": self._start_generation,
            "classification": self._start_classification,
            "tagging": self._start_tagging,
            "translation": self._start_translation,
            "forecasting": self._start_forecasting,
            "embedding": self._start_embedding,
        }
        return start[bundle.manifest.task](bundle, opener)

    def load_graph(self, place: Location) -> LoadedModel:
        """Finds out, proves and starts a file that has no manifest.

        Raises:
            BundleError: why it is refused.
        """
        began = time.monotonic()
        opened = open_dropin(place, self.runtime, self.batching.max_rows)
        dropin = make_dropin(place, opened, self.batching, self.metrics, self.post)
        stop = _run(f"{dropin.name}-{dropin.version}", [dropin.batcher])
        return LoadedModel(
            dropin=dropin,
            tensors=dropin.models,
            provider=dropin.proved.graph.provider,
            load_seconds=time.monotonic() - began,
            stop=stop,
        )

    def _start_generation(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        opened = opener.open_step(bundle)
        spec, limits = opened.spec, opener.limits_of(opened.spec)
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = self._engine(spec, opened.graph, metrics, (0,), self._prefixes(metrics))
        gathering = Gathering(engine, self.batching.max_rows)
        buffer_tokens = self.batching.buffer_tokens
        model = GenerationModel(engine, opened.tokenizer, spec, metrics, limits, buffer_tokens)
        loaded = _start(bundle, model, opened, [engine] * engine.count, limits.max_beam_width)
        size = spec.tokenizer.vocabulary_size
        loaded.origin = model.origin = _origin(bundle, opened.graph, (size,), opened.provider)
        loaded.stepper = Stepper(gathering, spec, opened.tokenizer, loaded.origin)
        texts = opened.tokenizer.texts()
        steps = StepTensors(gathering, spec, loaded.origin.layout, self.batching.max_rows, texts)
        written = TextTensors(Generating(model), spec, "generate")
        loaded.tensors = _by_name(steps, ExplicitSteps(steps), written)
        return loaded

    def _start_translation(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        opened = opener.open_translator(bundle)
        spec, limits, graphs = opened.spec, opener.limits_of(opened.spec), opened.graph
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = self._engine(spec, graphs.step, metrics, spec.graphs["step"].buckets)
        gathering = Gathering(engine, self.batching.max_rows)
        batcher = Batcher[Source](
            graphs.encode,
            spec.graphs["encode"].buckets,
            self.batching,
            EncoderMetrics(self.metrics, spec.name, spec.version),
            Outbox(self.post, max_delay_s=0),
            (spec.source_tokenizer or spec.tokenizer).pad or 0,
        )
        parts = TranslationParts(
            engine=engine,
            reader=SourceReader(batcher, metrics, self.batching.source_cache_bytes),
            source_tokenizer=graphs.source_tokenizer,
            tokenizer=opened.tokenizer,
            metrics=metrics,
        )
        model = TranslationModel(parts, spec, limits, self.batching.buffer_tokens)
        workers = [*[engine] * engine.count, batcher]
        loaded = _start(bundle, model, opened, workers, limits.max_beam_width)
        bucket = spec.graphs["encode"].buckets[0]
        vocabulary = (spec.source_tokenizer or spec.tokenizer).vocabulary_size
        tokens = np.arange(bucket)[None] % vocabulary
        sources = graphs.encode.run(tokens, np.array([bucket]))
        size = spec.tokenizer.vocabulary_size
        origin = _origin(bundle, graphs.step, (size,), opened.provider, sources)
        loaded.origin = model.origin = origin
        read = Sources(reader=parts.reader, tokenizer=graphs.source_tokenizer)
        loaded.stepper = Stepper(gathering, spec, opened.tokenizer, loaded.origin, read)
        texts = opened.tokenizer.texts()
        steps = StepTensors(gathering, spec, loaded.origin.layout, self.batching.max_rows, texts)
        written = TextTensors(Translating(model), spec, "translate")
        loaded.tensors = _by_name(AttendingTensors(steps, read), written)
        return loaded

    def _prefixes(self, metrics: ModelMetrics) -> PrefixCache | None:
        batching = self.batching
        if not batching.prefix_cache_bytes:
            return None
        isolated = batching.prefix_cache_isolation == "caller"
        return PrefixCache(PrefixTree(batching.prefix_cache_bytes), metrics, isolated=isolated)

    def _engine(
        self,
        spec: Manifest,
        graph: StepGraph,
        metrics: ModelMetrics,
        buckets: tuple[int, ...],
        prefixes: PrefixCache | None = None,
    ) -> AnyEngine:
        rows, tokenizer = self.batching.max_rows, spec.tokenizer
        if graph.looks:  # its searches' ledgers are Python: the lock is what they wait for
            count = self.runtime.engines_per_model or 1
        else:
            count = engines_for(graph, self.runtime, rows)
        metrics.engines.set(count)

        def batch() -> RunningBatch:
            sampler = Sampler(
                rows,
                tokenizer.vocabulary_size,
                end=tokenizer.end,
                suppressed=tokenizer.suppressed,
                unknown=tokenizer.unknown,
            )
            return RunningBatch(graph, sampler, rows, tokenizer.end)

        def engine(metrics: ModelMetrics) -> Engine:
            return Engine(
                {bucket: batch() for bucket in buckets},
                self.batching,
                metrics,
                Outbox(self.post, self.batching.max_delay_s, peers=count),
                tokenizer.end,
                prefixes,
            )

        if count == 1:
            return engine(metrics)
        return EnginePool([engine(part) for part in metrics.split(count)], self.batching)

    def _start_forecasting(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        opened = opener.open_forecaster(bundle)
        spec, step = opened.spec, opened.step
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = self._engine(spec, step, metrics, buckets=(0,))
        gathering = Gathering(engine, self.batching.max_rows)
        model = ForecastingModel(engine, spec, self.batching)
        loaded = _start(bundle, model, opened, [engine] * engine.count)
        loaded.origin = _origin(bundle, step, (), opened.provider)
        loaded.stepper = Stepper(gathering, spec, None, loaded.origin)
        steps = StepTensors(gathering, spec, loaded.origin.layout, self.batching.max_rows)
        loaded.tensors = _by_name(steps, ExplicitSteps(steps))
        return loaded

    def _start_along(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        opened = opener.open_along(bundle)
        spec = opened.spec
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = self._engine(spec, opened.graph, metrics, buckets=(0,))
        gathering = Gathering(engine, self.batching.max_rows)
        reader = AlongReader(engine, lambda said: Judged(said[-1]))
        model = ClassificationModel(reader, opened.tokenizer, spec.labels)
        loaded = _start(bundle, model, opened, [engine] * engine.count)
        size = spec.tokenizer.vocabulary_size
        loaded.origin = _origin(bundle, opened.graph, (size,), opened.provider)
        loaded.stepper = Stepper(gathering, spec, opened.tokenizer, loaded.origin)
        rows = self.batching.max_rows
        steps = StepTensors(gathering, spec, loaded.origin.layout, rows, spec.labels)
        loaded.tensors = _by_name(steps, ExplicitSteps(steps), LabelTexts(model, spec, rows))
        return loaded

    def _start_classification(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        if "sequence" not in bundle.manifest.graphs and "step" in bundle.manifest.graphs:
            return self._start_along(bundle, opener)
        opened = opener.open_sequence(bundle)
        spec = opened.spec
        batcher = Batcher[Judged](
            opened.graph,
            spec.graphs["sequence"].buckets,
            self.batching,
            ModelMetrics(self.metrics, spec.name, spec.version),
            Outbox(self.post, max_delay_s=0),
            spec.tokenizer.pad or 0,
        )
        spans_of = opened.tokenizer.spans_of if opened.graph.attends else None
        model = ClassificationModel(batcher, opened.tokenizer, spec.labels, spans_of)
        workers = [batcher] * self.runtime.sequence_workers
        loaded = _start(bundle, model, opened, workers)
        rows = self.batching.max_batch
        loaded.tensors = _by_name(LabelTensors(batcher, spec, rows), LabelTexts(model, spec, rows))
        return loaded

    def _start_word_tagging(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        opened = opener.open_word_tagger(bundle)
        spec, (graph, words) = opened.spec, opened.graph
        metrics = ModelMetrics(self.metrics, spec.name, spec.version)
        engine = self._engine(spec, graph, metrics, buckets=(0,))
        gathering, rows = Gathering(engine, self.batching.max_rows), self.batching.max_rows
        reader = AlongReader(engine, lambda said: Tagged(np.stack(said)), every_step=True)
        model = TaggingModel(reader, words, spec)
        loaded = _start(bundle, model, opened, [engine] * engine.count)
        loaded.origin = _origin(bundle, graph, word_choices(spec), opened.provider)
        loaded.stepper = Stepper(gathering, spec, None, loaded.origin, words=words)
        steps = StepTensors(gathering, spec, loaded.origin.layout, rows, spec.labels)
        loaded.tensors = _by_name(steps, ExplicitSteps(steps), TagTexts(model, spec, rows))
        return loaded

    def _start_tagging(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        if "sequence" not in bundle.manifest.graphs and "step" in bundle.manifest.graphs:
            return self._start_word_tagging(bundle, opener)
        opened = opener.open_tagger(bundle)
        spec, (graph, words) = opened.spec, opened.graph
        batcher = Batcher[Tagged](
            graph,
            spec.graphs["sequence"].buckets,
            self.batching,
            ModelMetrics(self.metrics, spec.name, spec.version),
            Outbox(self.post, max_delay_s=0),
        )
        model = TaggingModel(batcher, words, spec)
        workers = [batcher] * self.runtime.sequence_workers
        loaded = _start(bundle, model, opened, workers)
        rows = self.batching.max_batch
        faces: list[TensorModel] = [
            TagTensors(batcher, spec, rows),
            TagTexts(model, spec, rows),
        ]
        if graph.judges:
            loaded.also = ClassificationModel(TextReader(batcher), words, spec.text_labels)
            faces.append(LabelTexts(loaded.also, spec, rows))
        loaded.tensors = _by_name(*faces)
        return loaded

    def _start_embedding(self, bundle: Bundle, opener: Opener) -> LoadedModel:
        opened = opener.open_embedding(bundle)
        spec, (graph, words) = opened.spec, opened.graph
        batcher = Batcher[Placed](
            graph,
            spec.graphs["sequence"].buckets,
            self.batching,
            ModelMetrics(self.metrics, spec.name, spec.version),
            Outbox(self.post, max_delay_s=0),
        )
        model = EmbeddingModel(batcher, words)
        workers = [batcher] * self.runtime.sequence_workers
        loaded = _start(bundle, model, opened, workers)
        rows = self.batching.max_batch
        faces = (VectorTensors(batcher, spec, rows), VectorWords(model, spec, rows))
        loaded.tensors = _by_name(*faces)
        return loaded


def _by_name(*models: TensorModel) -> dict[str, TensorModel]:
    return {model.signature.name: model for model in models}


def _origin(
    bundle: Bundle,
    graph: StepGraph,
    choices: Sequence[int],
    provider: str,
    sources: Sequence[Source] = (),
) -> Origin:
    """Where states come from that a model keeps between steps."""
    spec = bundle.manifest
    return Origin(
        model=spec.name,
        version=spec.version,
        digest=bundle.digest,
        numerics=fingerprint(graph, choices, provider, bundle.digest, sources),
        layout=Layout.like(graph.start),
    )


def _start(
    bundle: Bundle,
    model: AnyModel,
    opened: Opened[Any] | Forecaster,
    workers: Sequence[Worker],
    max_beam_width: int = 0,
) -> LoadedModel:
    """Starts a thread for each worker; one may be there several times."""
    stop = _run(f"{bundle.manifest.name}-{bundle.manifest.version}", workers)
    return LoadedModel(
        bundle=bundle,
        model=model,
        provider=opened.provider,
        load_seconds=0.0,
        threads=workers.count(workers[0]),
        stands_alone=opened.stands_alone,
        max_beam_width=max_beam_width,
        stop=stop,
    )


def _run(name: str, workers: Sequence[Worker]) -> Callable[[], None]:
    """Starts a thread for each worker; gives what ends them."""
    running = [threading.Thread(target=worker.run, name=name, daemon=True) for worker in workers]
    for thread in running:
        thread.start()

    def stop() -> None:
        for worker in workers:
            worker.stop()
        for thread in running:
            thread.join()

    return stop
