"""Every metric, in one table. Base units; labels that cannot grow.

A registry is passed in, so that a test gets a fresh one.
"""

import copy
import threading
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase

# Otherwise every counter and histogram brings one more series, of when it was made.
disable_created_metrics()  # type: ignore[no-untyped-call]

# A step takes 50 us to some ms, a request up to minutes.
STEP_BUCKETS = (
    *(50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.5e-3, 3e-3, 6e-3, 12e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 1.0),
)
CALL_BUCKETS = (
    *(200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """All metrics of a server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._make_call_metrics()
        self._make_model_metrics()
        self._make_step_metrics()

    def forget_model(self, model: str, version: str) -> None:
        """Takes out every series of a model that is gone: their number would grow for ever."""
        labels = {"model": model, "version": version}
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase) and labels.keys() <= {*metric._labelnames}:
                metric.remove_by_labels(labels)

    def _make_call_metrics(self) -> None:
        registry, of_call = self.registry, ["grpc_type", "grpc_service", "grpc_method"]
        self.calls_started = Counter(
            "grpc_server_started", "Calls that arrived.", of_call, registry=registry
        )
        self.calls_handled = Counter(
            "grpc_server_handled", "Calls that ended.", [*of_call, "grpc_code"], registry=registry
        )
        self.call_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from a call's arrival to its end.",
            [*of_call, "grpc_code"],
            buckets=CALL_BUCKETS,
            registry=registry,
        )
        self.messages_received = Counter(
            "grpc_server_msg_received", "Messages from callers.", of_call, registry=registry
        )
        self.messages_sent = Counter(
            "grpc_server_msg_sent", "Messages to callers.", of_call, registry=registry
        )

    def _make_model_metrics(self) -> None:
        registry, of_model = self.registry, ["model", "version"]
        self.cores = Gauge(
            "stepwire_cores", "Cores that the process can keep busy.", registry=registry
        )
        self.picked = Gauge(
            "stepwire_picked_info",
            "1, labelled with what the server runs on.",
            [
                *("most_engines", "sequence_workers", "threads_per_run"),
                *("precision", "event_loop"),
            ],
            registry=registry,
        )
        self.model_info = Gauge(
            "stepwire_model_info",
            "1 for each model that is ready.",
            [*of_model, "task", "provider", "digest"],
            registry=registry,
        )
        self.model_load_seconds = Gauge(
            "stepwire_model_load_seconds", "Time to load and prove.", of_model, registry=registry
        )
        self.models_refused = Counter(
            "stepwire_models_refused",
            "Bundles that were refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.model_loads = Counter(
            "stepwire_model_loads", "Loads of models, by result.", ["result"], registry=registry
        )
        self.model_unloads = Counter(
            "stepwire_model_unloads", "Models taken away.", registry=registry
        )
        self.models = Gauge(
            "stepwire_models", "Model versions, by state.", ["state"], registry=registry
        )
        self.golden_failures = Counter(
            "stepwire_golden_failures",
            "Golden cases that did not reproduce.",
            ["model", "version"],
            registry=registry,
        )

    def _make_step_metrics(self) -> None:
        registry, of_model = self.registry, ["model", "version"]

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(name, help, [*of_model, *labels], registry=registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(name, help, [*of_model, *labels], registry=registry)

        def histogram(name: str, help: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, help, of_model, buckets=buckets, registry=registry)

        self.step_seconds = histogram(
            "stepwire_step_seconds", "Time of one batched run of a graph.", STEP_BUCKETS
        )
        self.step_rows = histogram(
            "stepwire_step_rows", "Rows that shared a run of a graph.", ROW_BUCKETS
        )
        self.queue_seconds = histogram(
            "stepwire_queue_seconds", "Time from arrival to the first run.", CALL_BUCKETS
        )
        self.first_piece_seconds = histogram(
            "stepwire_first_piece_seconds", "Time from arrival to the first piece.", CALL_BUCKETS
        )
        self.piece_interval_seconds = histogram(
            "stepwire_piece_interval_seconds", "Time between two pieces.", CALL_BUCKETS
        )
        self.input_tokens = counter("stepwire_input_tokens", "Tokens read.")
        self.output_tokens = counter("stepwire_output_tokens", "Tokens generated.")
        self.padding_tokens = counter("stepwire_padding_tokens", "Positions run as padding.")
        self.engines = gauge("stepwire_engines", "Batches that are stepped at once.")
        self.slots = gauge("stepwire_slots", "Rows that can run at once.")
        self.slots_in_use = gauge("stepwire_slots_in_use", "Rows that run.")
        self.waiting = gauge("stepwire_waiting", "Requests or texts in the queue.")
        self.parked = gauge("stepwire_parked", "Prompts whose reader is too far behind.")
        self.cancelled = counter("stepwire_cancelled", "Jobs whose caller left.", "stage")
        self.dropped = counter("stepwire_deadline_dropped", "Jobs whose deadline passed queued.")
        self.resumed = counter("stepwire_resumes", "Sequences that went on from a resume token.")
        self.prefix_hits = counter(
            "stepwire_prefix_cache_hits", "Prompts whose beginning was not read again."
        )
        self.prefix_misses = counter(
            "stepwire_prefix_cache_misses", "Prompts that were read from their first token."
        )
        self.prefix_tokens = counter(
            "stepwire_prefix_cache_tokens", "Tokens of prompts that were not read again."
        )
        self.prefix_bytes = gauge(
            "stepwire_prefix_cache_bytes", "Beginnings of prompts that are kept."
        )
        self.encode_seconds = histogram(
            "stepwire_encode_seconds", "Time of one batched run of an encoder.", STEP_BUCKETS
        )
        self.encode_rows = histogram(
            "stepwire_encode_rows", "Sources that shared a run of an encoder.", ROW_BUCKETS
        )
        self.encode_queue_seconds = histogram(
            "stepwire_encode_queue_seconds", "Time from arrival to the encoder's run.", CALL_BUCKETS
        )
        self.encode_waiting = gauge("stepwire_encode_waiting", "Sources in the queue.")
        self.sources = counter(
            "stepwire_sources",
            "Sources wanted: encoded, kept from before, or shared with one that was being read.",
            "how",
        )
        self.source_bytes = gauge("stepwire_source_cache_bytes", "Encoded sources that are kept.")


class SessionMetrics:
    """The metrics of all sessions."""

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        sessions = Gauge(
            "stepwire_sessions",
            "Sessions that are kept: live ones have a stream.",
            ["state"],
            registry=registry,
        )
        self.attached, self.idle = sessions.labels("live"), sessions.labels("idle")
        self.size_bytes = Gauge(
            "stepwire_session_bytes", "States, snapshots and kept answers.", registry=registry
        )
        self.opened = Counter(
            "stepwire_sessions_opened", "Sessions begun, by origin.", ["origin"], registry=registry
        )
        self.ended = Counter(
            "stepwire_sessions_ended", "Sessions ended, by reason.", ["reason"], registry=registry
        )
        self.steps = Counter("stepwire_session_steps", "Steps taken.", registry=registry)
        self.repeated = Counter(
            "stepwire_session_repeats",
            "Messages that repeated one, and advanced nothing.",
            registry=registry,
        )


class SequenceMetrics:
    """The metrics of sequences, which callers name themselves."""

    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self.live = Gauge("stepwire_sequences", "Sequences that are kept.", registry=registry)
        self.size_bytes = Gauge("stepwire_sequence_bytes", "Their states.", registry=registry)
        self.begun = Counter("stepwire_sequences_begun", "Sequences begun.", registry=registry)
        self.restarted = Counter(
            "stepwire_sequences_restarted", "Live ones that were begun anew.", registry=registry
        )
        self.ended = Counter(
            "stepwire_sequences_ended", "Sequences ended, by reason.", ["reason"], registry=registry
        )


class Level(Protocol):
    """Something that is so much at a time."""

    def set(self, value: float) -> None:
        """Says how much it is now."""
        ...


class SharedLevel:
    """A gauge of which several know a part each: it shows what the parts come to."""

    def __init__(self, whole: Level, count: int) -> None:
        self._whole = whole
        self._values = [0.0] * count
        self._lock = threading.Lock()
        self.parts = tuple(_Part(self, number) for number in range(count))

    def tell(self, number: int, value: float) -> None:
        """Says how much one part is now."""
        with self._lock:
            self._values[number] = value
            self._whole.set(sum(self._values))


class _Part:
    def __init__(self, whole: SharedLevel, number: int) -> None:
        self._whole = whole
        self._number = number

    def set(self, value: float) -> None:
        self._whole.tell(self._number, value)


class ModelMetrics:
    """The metrics of one model, its labels filled in."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        labels = (model, version)
        self.step_seconds = metrics.step_seconds.labels(*labels)
        self.step_rows = metrics.step_rows.labels(*labels)
        self.queue_seconds = metrics.queue_seconds.labels(*labels)
        self.first_piece_seconds = metrics.first_piece_seconds.labels(*labels)
        self.piece_interval_seconds = metrics.piece_interval_seconds.labels(*labels)
        self.input_tokens = metrics.input_tokens.labels(*labels)
        self.output_tokens = metrics.output_tokens.labels(*labels)
        self.padding_tokens = metrics.padding_tokens.labels(*labels)
        self.engines = metrics.engines.labels(*labels)
        self.slots: Level = metrics.slots.labels(*labels)
        self.slots_in_use: Level = metrics.slots_in_use.labels(*labels)
        self.waiting: Level = metrics.waiting.labels(*labels)
        self.parked: Level = metrics.parked.labels(*labels)
        self.cancelled_waiting = metrics.cancelled.labels(*labels, "waiting")
        self.cancelled_running = metrics.cancelled.labels(*labels, "running")
        self.cancelled_parked = metrics.cancelled.labels(*labels, "parked")
        self.dropped = metrics.dropped.labels(*labels)
        self.resumed = metrics.resumed.labels(*labels)
        self.prefix_hits = metrics.prefix_hits.labels(*labels)
        self.prefix_misses = metrics.prefix_misses.labels(*labels)
        self.prefix_tokens = metrics.prefix_tokens.labels(*labels)
        self.prefix_bytes = metrics.prefix_bytes.labels(*labels)
        self.sources_read = metrics.sources.labels(*labels, "encoded")
        self.sources_kept = metrics.sources.labels(*labels, "kept")
        self.sources_shared = metrics.sources.labels(*labels, "shared")
        self.source_bytes = metrics.source_bytes.labels(*labels)

    def split(self, count: int) -> list["ModelMetrics"]:
        """The same for each of several engines: counts add up by themselves, levels are summed."""
        parts = [copy.copy(self) for _ in range(count)]
        for name in ("slots", "slots_in_use", "waiting", "parked"):
            shared = SharedLevel(getattr(self, name), count)
            for part, level in zip(parts, shared.parts, strict=True):
                setattr(part, name, level)
        return parts


class EncoderMetrics(ModelMetrics):
    """The metrics of a model's encoder, under the names that a batcher knows."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        super().__init__(metrics, model, version)
        labels = (model, version)
        self.step_seconds = metrics.encode_seconds.labels(*labels)
        self.step_rows = metrics.encode_rows.labels(*labels)
        self.queue_seconds = metrics.encode_queue_seconds.labels(*labels)
        self.waiting = metrics.encode_waiting.labels(*labels)
