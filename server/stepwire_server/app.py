"""The server as a whole: wires the parts, starts them, drains them. It alone knows them all."""

import asyncio
import gc
import ipaddress
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from stepwire.v1 import (
    embeddings_pb2,
    embeddings_pb2_grpc,
    forecasting_pb2,
    forecasting_pb2_grpc,
    generation_pb2,
    generation_pb2_grpc,
    labeling_pb2,
    labeling_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
    sessions_pb2,
    sessions_pb2_grpc,
    streaming_pb2,
    streaming_pb2_grpc,
)
from stepwire_server.config import ServerConfig, TlsConfig
from stepwire_server.cores import find_cores
from stepwire_server.engine.runtime import check_provider
from stepwire_server.errors import StartupError
from stepwire_server.metrics import Metrics, SequenceMetrics, SessionMetrics
from stepwire_server.oip import inference_pb2
from stepwire_server.picking import pick, tell_picked
from stepwire_server.registry.lifecycle import Lifecycle
from stepwire_server.registry.loader import Loader
from stepwire_server.registry.registry import ModelRegistry, ModelState
from stepwire_server.rpc import inference
from stepwire_server.rpc.embeddings import EmbeddingServicer
from stepwire_server.rpc.forecasting import ForecastingServicer
from stepwire_server.rpc.generation import GenerationServicer
from stepwire_server.rpc.health import ModelHealth
from stepwire_server.rpc.interceptors import Calls
from stepwire_server.rpc.labeling import LabelingServicer
from stepwire_server.rpc.models import ModelServicer
from stepwire_server.rpc.session_messages import write_taken
from stepwire_server.rpc.sessions import SessionServicer
from stepwire_server.rpc.streaming import StreamingServicer
from stepwire_server.sessions.desk import Desk
from stepwire_server.sessions.keys import KeyRing
from stepwire_server.sessions.resuming import ResumeTokens
from stepwire_server.sessions.sequences import SequenceTable
from stepwire_server.sessions.table import SessionTable

log = logging.getLogger(__name__)

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (embeddings_pb2, "EmbeddingService"),
        (forecasting_pb2, "ForecastingService"),
        (generation_pb2, "GenerationService"),
        (inference_pb2, "GRPCInferenceService"),
        (labeling_pb2, "LabelingService"),
        (models_pb2, "ModelService"),
        (sessions_pb2, "SessionService"),
        (streaming_pb2, "StreamingService"),
    )
)
# Time for what is under way to arrive, in either direction, when the server stops.
_LAST_WORDS_S = 0.1
_EXPIRY_INTERVAL_S = 5.0
_FAREWELL_S = 5.0  # for calls that were ended to tell their callers
SWITCH_INTERVAL_S = 0.0003  # Python's own 5 ms are half a step


class App:
    """A running server."""

    def __init__(self, config: ServerConfig) -> None:
        """Checks what can be checked before a port is opened.

        Raises:
            StartupError: no bundle to serve, or no such provider here.
        """
        self._config = config
        check_provider(config.runtime.provider)
        self._metrics = Metrics(_metrics_registry())
        self._cores = find_cores()
        self._runtime = pick(config.runtime, self._cores)
        loader = Loader(
            batching=config.batching,
            runtime=self._runtime,
            metrics=self._metrics,
            post=asyncio.get_running_loop().call_soon_threadsafe,
        )
        self.models = ModelRegistry(loader, self._metrics)
        self.lifecycle = Lifecycle(
            self.models, config.model_repositories, config.control, self._changed
        )
        self._calls = Calls(self._metrics)
        ring = KeyRing.read(config.key_file) if config.key_file else KeyRing.fresh()
        if config.key_file is None:
            log.info("no key file: state tokens and sessions die with this process")
        self._resume_tokens = ResumeTokens(ring, config.sessions.token_s)
        table = SessionTable(ring, config.sessions)
        metrics = SessionMetrics(self._metrics)
        self.desk = Desk(self.models, table, ring, metrics, write_taken, self._calls.are_quiet)
        self._sequences = SequenceTable(config.sessions, SequenceMetrics(self._metrics))
        self._inference = inference.InferenceServicer(
            self.models, self.lifecycle, self._sequences, config.sessions
        )
        self._health = ModelHealth(self.models, SERVICES, config.control)
        self.grpc_port = 0
        self.metrics_port = 0

    @asynccontextmanager
    async def running(self, stop: asyncio.Event | None = None) -> AsyncIterator["App"]:
        """Opens the ports and loads the models; leaving the block drains and stops.

        Args:
            stop: once it is set, no further model is loaded.

        Raises:
            StartupError: a port is taken, or a certificate cannot be read.
        """
        server = self._make_server()
        await self._changed()
        stop_metrics = self._start_metrics()
        tending = [asyncio.create_task(self._tend_sessions())]
        try:
            await server.start()
            tell_picked(self._runtime, self._cores, self._metrics)
            await self._load_models(stop or asyncio.Event())
            tending.append(asyncio.create_task(self.lifecycle.watch()))
            yield self
        finally:
            await self._drain(server)
            for task in tending:
                task.cancel()
            await self.lifecycle.ended()
            stop_metrics()

    async def _tend_sessions(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_INTERVAL_S)
            self.desk.expire()
            self.desk.move_on()
            await self.lifecycle.make_room()
            self._sequences.expire()

    def _make_server(self) -> grpc.aio.Server:
        config = self._config
        server = grpc.aio.server(
            interceptors=[self._calls],
            options=[
                ("grpc.max_receive_message_length", config.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                # Two servers on one port would each get half of the calls, unnoticed.
                ("grpc.so_reuseport", 0),
                # A caller that fell off the network would hold its place for hours.
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                # Callers may ask the same of us.
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ],
        )
        most = config.max_inputs_per_call
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(
            GenerationServicer(self.models, most, self._resume_tokens), server
        )
        labeling_pb2_grpc.add_LabelingServiceServicer_to_server(
            LabelingServicer(self.models, most), server
        )
        forecasting_pb2_grpc.add_ForecastingServiceServicer_to_server(
            ForecastingServicer(self.models, most), server
        )
        embeddings_pb2_grpc.add_EmbeddingServiceServicer_to_server(
            EmbeddingServicer(self.models, most), server
        )
        sessions_pb2_grpc.add_SessionServiceServicer_to_server(SessionServicer(self.desk), server)
        streaming_pb2_grpc.add_StreamingServiceServicer_to_server(
            StreamingServicer(self.desk), server
        )
        server.add_generic_rpc_handlers((inference.handler(self._inference),))
        models_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelServicer(self.models, self.lifecycle, most), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        self.grpc_port = _bind(server, config)
        return server

    async def _load_models(self, stop: asyncio.Event) -> None:
        began = time.monotonic()
        await self.lifecycle.begin(stop)
        if stop.is_set():
            return
        self._health.begin()
        await self._changed()
        entries = list(self.models)
        ready = [entry for entry in entries if entry.state is ModelState.READY]
        refused = [entry for entry in entries if entry.state is ModelState.FAILED]
        if self._config.exit_on_error and refused:
            raise StartupError("a model could not be loaded, and exit-on-error is set")
        log.info(
            "server ready",
            extra={
                "grpc_port": self.grpc_port,
                "metrics_port": self.metrics_port,
                "models": len(ready),
                "refused": len(refused),
                "took_s": round(time.monotonic() - began, 3),
            },
        )

    async def _changed(self) -> None:
        """Tells everybody who wants to know which models there are."""
        by_state = Counter(entry.state for entry in self.models)
        for state in ModelState:
            self._metrics.models.labels(state.value).set(by_state[state])
        await self._health.update()
        self._inference.is_ready = self._health.is_serving

    def _start_metrics(self) -> Callable[[], None]:
        if not self._config.metrics:
            return lambda: None
        address, port = self._config.metrics_address, self._config.metrics_port
        try:
            http, thread = start_http_server(port, address, self._metrics.registry)
        except OSError as error:
            raise StartupError(f"metrics port {address}:{port}: {error.strerror}") from error
        self.metrics_port = http.server_port

        def stop() -> None:
            http.shutdown()
            http.server_close()
            thread.join()

        return stop

    async def _drain(self, server: grpc.aio.Server) -> None:
        """Refuses new calls, lets running ones finish in time, and stops the models."""
        timeout_s = self._config.exit_timeout_s
        log.info("draining", extra={"timeout_s": timeout_s})
        await self._health.servicer.enter_graceful_shutdown()
        # What has arrived is still served, what comes now is sent away, and only then is the
        # door shut: gRPC would answer those on the doorstep with a bare CANCELLED.
        await asyncio.sleep(_LAST_WORDS_S)
        self._calls.refuse_new()
        self.desk.drain()
        self._inference.drain()
        await asyncio.sleep(_LAST_WORDS_S)
        stopping = asyncio.create_task(server.stop(timeout_s + _FAREWELL_S + 1))
        await self._calls.ended(timeout_s)
        # Whatever is left fails as shutting down; who still watches our health is let go.
        await self.models.stop()
        await self._calls.ended(_FAREWELL_S)
        await asyncio.sleep(_LAST_WORDS_S)
        await server.stop(0)
        await stopping
        log.info("stopped")


_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(config: ServerConfig) -> None:
    """Runs a server until SIGTERM or SIGINT, then drains it; a second signal ends it at once."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, _stop_once, loop, number, asked_to_stop)
    async with App(config).running(asked_to_stop):
        # An engine that comes back from a run waits this long at most for the interpreter.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # What is here now stays: no collection during a step has to look through it.
        gc.collect()
        gc.freeze()
        await asked_to_stop.wait()


def _stop_once(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, asked_to_stop: asyncio.Event
) -> None:
    log.info("signal", extra={"signal": number.name})
    asked_to_stop.set()
    for each in _STOP_SIGNALS:
        loop.remove_signal_handler(each)


def _bind(server: grpc.aio.Server, config: ServerConfig) -> int:
    address = f"{_bracketed(config.grpc_address)}:{config.grpc_port}"
    credentials = _credentials(config.tls)
    if credentials is None and not _is_loopback(config.grpc_address):
        log.warning(
            "listening beyond this machine WITHOUT TLS: anyone on the way can read and change "
            "every call; give --grpc-server-cert and --grpc-server-key",
            extra={"address": address},
        )
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise StartupError(f"gRPC port {address} cannot be opened: is it taken?") from error


def _credentials(tls: TlsConfig) -> grpc.ServerCredentials | None:
    if tls.certificate is None or tls.key is None:
        return None
    try:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        root = tls.root.read_bytes() if tls.root else None
    except OSError as error:
        raise StartupError(f"{error.filename} cannot be read: {error.strerror}") from error
    return grpc.ssl_server_credentials([pair], root, require_client_auth=root is not None)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _metrics_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
