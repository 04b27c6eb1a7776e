"""Steps without a network: the bare graph in a loop, and our engine around the same graph.

Shapes: N rows, V vocabulary.
"""

import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnxruntime
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.decoding.options import Options
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.graph import Graph, StepGraph
from stepwire_server.engine.job import Delivery, Job, SearchUpdate, StepTaken
from stepwire_server.engine.outbox import Outbox
from stepwire_server.errors import StepwireError
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.manifest import FLOAT32

TIMEOUT_S = 120.0


class Rate(NamedTuple):
    """How fast rows were stepped."""

    rows_per_s: float
    rows_per_cpu_s: float  # of the stepping thread's own time: what others run moves it less


class RawLoop:
    """The least that greedy generation can cost: run, take the largest, feed the states back."""

    def __init__(self, bundle: Bundle, precision: str = FLOAT32) -> None:
        self._spec, _ = bundle.manifest.graph("step", precision)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            bundle.read(self._spec.file), options, providers=["CPUExecutionProvider"]
        )

    def rows_per_s(self, rows: int, steps: int) -> Rate:
        """Steps N rows together, and counts each row's step."""
        states = self._spec.states
        outputs = [self._spec.outputs[0].name, *(state.output for state in states)]
        feeds = {s.input: np.zeros((rows, *s.shape), s.dtype) for s in states}
        feeds[self._spec.inputs[0].name] = np.zeros(rows, np.int64)
        watch = Watch(threading.get_ident())
        for _ in range(steps):
            logits, *following = self._session.run(outputs, feeds)
            feeds = {s.input: v for s, v in zip(states, following, strict=True)}
            feeds[self._spec.inputs[0].name] = logits.argmax(axis=-1)
        return watch.rate(rows * steps)


class EngineLoop:
    """Our engine on its own thread, as the server builds it; its callers only count."""

    def __init__(self, bundle: Bundle, precision: str = FLOAT32) -> None:
        spec, (graph, _) = bundle.manifest, bundle.manifest.graph("step", precision)
        batching = BatchingConfig()
        step = StepGraph(Graph(bundle.read(graph.file), graph, RuntimeConfig()), graph)
        sampler = Sampler(
            batching.max_rows,
            spec.tokenizer.vocabulary_size,
            end=None,  # every sequence runs to its length
            suppressed=spec.tokenizer.suppressed,
        )
        self._engine = Engine(
            {0: RunningBatch(step, sampler, batching.max_rows)},
            batching,
            ModelMetrics(Metrics(CollectorRegistry()), spec.name, spec.version),
            # Deliveries are made on the engine's thread: all its work is in the figure.
            Outbox(lambda arrive: arrive(), batching.max_delay_s),
            end=None,
        )
        self._thread = threading.Thread(target=self._engine.run, daemon=True)

    def __enter__(self) -> "EngineLoop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.stop()
        self._thread.join()

    def rows_per_s(self, rows: int, steps: int, temperature: float) -> Rate:
        """Generates with N rows together, and counts each row's step."""
        counter = _Counter(rows)
        options = Options(max_tokens=steps, temperature=temperature, seed=1)
        jobs = [Job(prompt=[0], options=options, sink=counter) for _ in range(rows)]
        assert self._thread.ident is not None, "used outside of its block"
        watch = Watch(self._thread.ident)
        self._engine.submit(jobs)
        if not counter.done.wait(TIMEOUT_S) or counter.tokens != rows * steps:
            raise RuntimeError(f"the engine gave {counter.tokens} of {rows * steps} tokens")
        return watch.rate(counter.tokens)


class Watch:
    """Wall time and one thread's CPU time, from here on."""

    def __init__(self, thread: int) -> None:
        self._clock = time.pthread_getcpuclockid(thread)
        self._began_cpu_s, self._began_s = time.clock_gettime(self._clock), time.perf_counter()

    def rate(self, rows: int) -> Rate:
        took_s = time.perf_counter() - self._began_s
        cpu_s = time.clock_gettime(self._clock) - self._began_cpu_s
        return Rate(rows / took_s, rows / cpu_s)


@dataclass
class _Counter:
    """Takes deliveries and keeps nothing of them."""

    open: int  # sequences that have not ended
    tokens: int = 0

    def __post_init__(self) -> None:
        self.done = threading.Event()

    def deliver(self, delivery: Delivery) -> None:
        self.tokens += len(delivery.tokens)
        if delivery.ended:
            self.open -= 1
            if not self.open:
                self.done.set()

    def update(self, update: SearchUpdate) -> None:
        """Nothing here searches."""

    def step(self, taken: StepTaken) -> None:
        """Nothing here is a session."""

    def fail(self, job: Job, error: StepwireError) -> None:
        self.done.set()
