"""Translation without a network: the bare graphs in a loop, and our engine around the same graph.

Shapes: J sentences at once, W beam width, N = JW rows, S padded source length, T tokens.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import numpy as np
import onnxruntime
import tokenizers
from prometheus_client import CollectorRegistry

from benchmarks.stepping import TIMEOUT_S, Rate, Watch
from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.decoding.options import Options
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.graph import EncodeGraph, Graph, StepGraph
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.sources import PLACES, Source
from stepwire_server.errors import StepwireError
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_zoo.bundle import Bundle

WIDTH = 5
MAX_TOKENS = 60
MAX_ROWS = 160  # 32 sentences of five hypotheses


class Encoder:
    """The encoder's graph, and the sources of some sentences."""

    def __init__(self, bundle: Bundle, sentences: Sequence[str]) -> None:
        spec = bundle.manifest
        described, read = spec.graphs["encode"], spec.source_tokenizer or spec.tokenizer
        graph = Graph(bundle.read(described.file), described, RuntimeConfig())
        self._graph = EncodeGraph(graph, described, spec.graphs["step"])
        self._buckets = described.buckets
        tokenizer = tokenizers.Tokenizer.from_str(bundle.read(read.file).decode())
        self._tokens = [tokenizer.encode(sentence).ids for sentence in sentences]

    @property
    def padding(self) -> float:
        """How many times the tokens of the sentences a batch by length reads."""
        read = sum(self._bucket(len(tokens)) for tokens in self._tokens)
        return read / sum(map(len, self._tokens))

    def sources(self) -> list[Source]:
        """Every sentence, encoded."""
        sizes = [self._bucket(len(tokens)) for tokens in self._tokens]
        return [self._run([t], size)[0] for t, size in zip(self._tokens, sizes, strict=True)]

    def per_s(self, rows: int, *, by_length: bool) -> float:
        """Sentences encoded in a second, so many at once.

        Args:
            rows: in a batch.
            by_length: as the server batches them; False: as they come, padded to the longest.
        """
        tokens = sorted(self._tokens, key=len) if by_length else self._tokens
        batches = [tokens[first : first + rows] for first in range(0, len(tokens), rows)]
        began = time.perf_counter()
        for batch in batches:
            self._run(batch, self._bucket(max(map(len, batch))))
        return len(tokens) / (time.perf_counter() - began)

    def _bucket(self, length: int) -> int:
        return next(size for size in self._buckets if size >= length)

    def _run(self, batch: list[list[int]], size: int) -> list[Source]:
        padded = np.zeros((len(batch), size), np.int64)
        for row, tokens in enumerate(batch):
            padded[row, : len(tokens)] = tokens
        return self._graph.run(padded, np.array([len(tokens) for tokens in batch]))


class RawSearch:
    """The least that a step of J beams can cost: run, take the largest, feed the states back."""

    def __init__(self, bundle: Bundle, sources: Sequence[Source]) -> None:
        self._spec = bundle.manifest.graphs["step"]
        self._names = {tensor.role: tensor.name for tensor in self._spec.inputs}
        self._sources = list(sources)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            bundle.read(self._spec.file), options, providers=["CPUExecutionProvider"]
        )

    def rows_per_s(self, sentences: int, steps: int) -> Rate:
        """Steps the rows of J sentences together, and counts each row's step."""
        rows, chosen = sentences * WIDTH, list(islice(cycle(self._sources), sentences))
        bucket = max(source.bucket for source in chosen)
        chosen = [source.padded(bucket) for source in chosen]
        contexts = {
            name: np.stack([s.contexts[name] for s in chosen]) for name in chosen[0].contexts
        }
        looking = {
            **contexts,
            self._names["lengths"]: np.array([source.length for source in chosen]),
            self._names["rows"]: np.arange(rows).reshape(sentences, PLACES),
            self._names["places"]: np.arange(rows),
        }
        states = self._spec.states
        outputs = ["logits", *(state.output for state in states)]
        feeds = {s.input: np.repeat([c.start[s.input] for c in chosen], WIDTH, 0) for s in states}
        tokens = np.zeros(rows, np.int64)
        watch = Watch(threading.get_ident())
        for _ in range(steps):
            feeds |= {self._names["token"]: tokens}
            logits, *following = self._session.run(outputs, feeds | looking)
            feeds = {s.input: v for s, v in zip(states, following, strict=True)}
            tokens = logits.argmax(axis=-1)
        return watch.rate(rows * steps)


class EngineSearch:
    """Our engine on its own thread, as the server builds it; its callers only count."""

    def __init__(self, bundle: Bundle, *, endless: bool) -> None:
        """Makes an engine.

        Args:
            bundle: a translator.
            endless: every search runs to its length, so that rows neither come nor go.
        """
        spec, graph = bundle.manifest, bundle.manifest.graphs["step"]
        batching = BatchingConfig(max_rows=MAX_ROWS)
        step = StepGraph(Graph(bundle.read(graph.file), graph, RuntimeConfig()), graph)
        end = None if endless else spec.tokenizer.end
        self._begin = spec.tokenizer.begin

        def batch() -> RunningBatch:
            sampler = Sampler(
                MAX_ROWS,
                spec.tokenizer.vocabulary_size,
                end=end,
                suppressed=spec.tokenizer.suppressed,
                unknown=spec.tokenizer.unknown,
            )
            return RunningBatch(step, sampler, MAX_ROWS)

        self._engine = Engine(
            {bucket: batch() for bucket in graph.buckets},
            batching,
            ModelMetrics(Metrics(CollectorRegistry()), spec.name, spec.version),
            # Deliveries are made on the engine's thread: all its work is in the figure.
            Outbox(lambda arrive: arrive(), batching.max_delay_s),
            end,
        )
        self._thread = threading.Thread(target=self._engine.run, daemon=True)

    def __enter__(self) -> "EngineSearch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.stop()
        self._thread.join()

    def rows_per_s(
        self, sources: Sequence[Source], sentences: int, searches: int, max_tokens: int = MAX_TOKENS
    ) -> Rate:
        """Keeps J sentences in flight until so many are done, and counts each row's step."""
        jobs = (self._job(source, max_tokens) for source in cycle(sources))
        feeder = _Feeder(self._engine, jobs, searches)
        assert self._thread.ident is not None, "used outside of its block"
        watch = Watch(self._thread.ident)
        feeder.begin(sentences)
        if not feeder.done.wait(TIMEOUT_S) or feeder.failed:
            raise RuntimeError(f"the engine made {feeder.ended} of {searches} translations")
        return watch.rate(feeder.rows)

    def _job(self, source: Source, max_tokens: int) -> Job:
        return Job(
            [self._begin or 0],
            Options(beam_width=WIDTH, max_tokens=max_tokens),
            sink=_Nobody(),
            samples=WIDTH,
            kind=Kind.SEARCH,
            source=source,
            scored=True,
        )


class _Nobody:
    """Takes nothing."""

    def deliver(self, delivery: Delivery) -> None:
        """Nothing here is drawn."""

    def update(self, update: SearchUpdate) -> None:
        """A feeder counts it."""

    def step(self, taken: StepTaken) -> None:
        """Nothing here is a session."""

    def fail(self, job: Job, error: StepwireError) -> None:
        """A feeder gives up."""


class _Feeder(_Nobody):
    """Counts what the searches do, and begins another one for each that ends."""

    def __init__(self, engine: Engine, jobs: Iterator[Job], searches: int) -> None:
        self._engine = engine
        self._jobs = jobs
        self._left = searches
        self._young: set[Job] = set()  # those that have not taken their first step
        self.rows = 0  # steps of a row
        self.ended = 0
        self.searches = searches
        self.failed = False
        self.done = threading.Event()

    def begin(self, count: int) -> None:
        """Begins some searches."""
        jobs = [next(self._jobs) for _ in range(min(count, self._left))]
        self._left -= len(jobs)
        for job in jobs:
            job.sink = self
        self._young |= set(jobs)
        self._engine.submit(jobs)

    def update(self, update: SearchUpdate) -> None:
        """Counts one step of a search: the first one is of one row."""
        self.rows += 1 if update.job in self._young else WIDTH
        self._young.discard(update.job)
        if update.ended:
            self.ended += 1
            if self.ended == self.searches:
                self.done.set()
            elif self._left:
                self.begin(1)

    def fail(self, job: Job, error: StepwireError) -> None:
        """Gives up."""
        self.failed = True
        self.done.set()
