"""GRPCInferenceService: the Open Inference Protocol, for clients that were made for others."""

import asyncio
import importlib.metadata
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf.message_factory import GetMessageClass

from stepwire_server.config import PROVIDERS, SessionLimits
from stepwire_server.errors import InvalidRequest, Unsupported
from stepwire_server.oip import inference_pb2 as pb
from stepwire_server.registry.lifecycle import Lifecycle
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.registry.statistics import Statistics
from stepwire_server.rpc import inference_models
from stepwire_server.rpc.caller import deadline_of, identity
from stepwire_server.rpc.inference_requests import Inference
from stepwire_server.rpc.inference_streams import InferenceStream, LoneReply
from stepwire_server.rpc.inference_wire import RequestCutter, WireRequest
from stepwire_server.sessions.sequences import SequenceTable

# The parts of the protocol that are there; clients ask before they use them.
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "schedule_policy",
    "sequence",
    "sequence(string_id)",
    "statistics",
)
_SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_VERSION = importlib.metadata.version("stepwire")
_STRICT = "triton_grpc_error"  # metadata: errors end a stream with their status


class InferenceServicer:
    """Translates between the wire and models of named tensors, and decides nothing itself."""

    def __init__(
        self,
        models: ModelRegistry,
        lifecycle: Lifecycle,
        sequences: SequenceTable,
        limits: SessionLimits,
    ) -> None:
        self.is_ready = False  # whether the server takes requests
        self._models = models
        self._lifecycle = lifecycle
        self._limits = limits
        self._statistics = Statistics()
        self._inference = Inference(models, sequences, self._statistics)
        self._streams: set[InferenceStream] = set()

    def drain(self) -> None:
        """Ends every stream once what is under way on it is answered."""
        for stream in self._streams:
            stream.drain()

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: Any
    ) -> pb.ServerLiveResponse:
        """Answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: Any
    ) -> pb.ServerReadyResponse:
        """Says whether the server takes requests."""
        return pb.ServerReadyResponse(ready=self.is_ready)

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: Any
    ) -> pb.ModelReadyResponse:
        """Says whether a model answers requests."""
        ready = inference_models.is_ready(self._models, request.name, request.version)
        return pb.ModelReadyResponse(ready=ready)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Any
    ) -> pb.ServerMetadataResponse:
        """Says what the server is."""
        return pb.ServerMetadataResponse(name="stepwire", version=_VERSION, extensions=EXTENSIONS)

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Any
    ) -> pb.ModelMetadataResponse:
        """Says what a model takes and gives."""
        await self._models.wake(request.name, request.version)
        lease, model = self._models.lease_tensors(request.name, request.version)
        with lease:
            ready = inference_models.ready(self._models)
            versions = [version for name, version in ready if name == request.name]
            return inference_models.metadata(model.signature, versions)

    async def ModelConfig(
        self, request: pb.ModelConfigRequest, context: Any
    ) -> pb.ModelConfigResponse:
        """Says how a model is set."""
        await self._models.wake(request.name, request.version)
        lease, model = self._models.lease_tensors(request.name, request.version)
        with lease as loaded:
            gpu = loaded.provider == PROVIDERS["cuda"]
            told = inference_models.config(model.signature, self._limits, gpu=gpu)
            return pb.ModelConfigResponse(config=told)

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: Any
    ) -> pb.ModelStatisticsResponse:
        """Says what models have done."""
        if request.name:  # it may be loading, or not exist
            self._models.lease_tensors(request.name, request.version)[0].release()
        told = pb.ModelStatisticsResponse()
        for name, version in inference_models.ready(self._models):
            if request.name in ("", name) and request.version in ("", version):
                counters = self._statistics.of(name, version)
                told.model_stats.append(inference_models.statistics(name, version, counters))
        return told

    async def ModelInfer(self, request: WireRequest, context: Any) -> bytes:
        """Answers one request; leaving early takes it back."""
        reply, deadline = LoneReply(), deadline_of(context)
        await self._inference.wake(request)
        cancel = self._inference.begin(request, partial(identity, context), deadline, reply)
        try:
            return await reply.found
        except asyncio.CancelledError:
            cancel()
            raise

    async def ModelStreamInfer(
        self, requests: AsyncIterator[WireRequest], context: Any
    ) -> AsyncIterator[bytes]:
        """Answers the requests of a stream; leaving early takes back what is under way."""
        strict = dict(context.invocation_metadata() or ()).get(_STRICT) == "true"
        stream = InferenceStream(self._inference, identity(context), strict=strict)
        self._streams.add(stream)
        reading = asyncio.create_task(stream.read(requests))
        try:
            async for answer in stream.answers():
                yield answer
        finally:
            self._streams.discard(stream)
            stream.leave()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: Any
    ) -> pb.RepositoryIndexResponse:
        """Lists models, ready or not."""
        _check_repository(request.repository_name)
        return inference_models.index(self._models, only_ready=request.ready)

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        """Loads a model from the repositories."""
        _check_repository(request.repository_name)
        for name in request.parameters:
            # Whoever may call must not be able to bring a model of their own.
            raise InvalidRequest.of("parameters", "be left out: files stay where they are", name)
        await self._lifecycle.load_by_name(request.model_name)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        """Unloads a model."""
        _check_repository(request.repository_name)
        for name in request.parameters.keys() - {"unload_dependents"}:
            raise InvalidRequest.of("parameters", "hold unload_dependents or nothing", name)
        await self._lifecycle.unload_by_name(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    async def TraceSetting(
        self, request: pb.TraceSettingRequest, context: Any
    ) -> pb.TraceSettingResponse:
        """Says that nothing is traced."""
        if request.model_name:
            self._models.lease_tensors(request.model_name)[0].release()
        for name, setting in request.settings.items():
            if list(setting.value) not in ([], ["OFF"]) or name != "trace_level":
                raise Unsupported(f"trace setting {name!r} cannot be changed: nothing is traced")
        told = pb.TraceSettingResponse()
        told.settings["trace_level"].value.append("OFF")
        return told

    async def LogSettings(
        self, request: pb.LogSettingsRequest, context: Any
    ) -> pb.LogSettingsResponse:
        """Says what is logged."""
        told = _log_settings()
        for name, setting in request.settings.items():
            if name not in told.settings:
                known = ", ".join(sorted(told.settings))
                raise InvalidRequest.of("log setting", f"be one of {known}", name)
            which = setting.WhichOneof("parameter_choice")
            same = which and getattr(setting, which) == getattr(told.settings[name], which)
            if not same:
                raise Unsupported(
                    f"log setting {name!r} cannot be changed while the server runs: "
                    "start it with another --log-level"
                )
        return told

    async def SystemSharedMemoryStatus(self, request: Any, context: Any) -> NoReturn:
        """Refused."""
        raise _no_shared_memory()

    async def SystemSharedMemoryRegister(self, request: Any, context: Any) -> NoReturn:
        """Refused."""
        raise _no_shared_memory()

    async def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> NoReturn:
        """Refused."""
        raise _no_shared_memory()

    async def CudaSharedMemoryStatus(self, request: Any, context: Any) -> NoReturn:
        """Refused."""
        raise _no_shared_memory()

    async def CudaSharedMemoryRegister(self, request: Any, context: Any) -> NoReturn:
        """Refused."""
        raise _no_shared_memory()

    async def CudaSharedMemoryUnregister(self, request: Any, context: Any) -> NoReturn:
        """Refused."""
        raise _no_shared_memory()


def handler(servicer: InferenceServicer) -> Any:
    """The methods of the service; unlike the generated one it leaves requests to be cut."""
    read_request = RequestCutter().read
    methods = {}
    for method in _SERVICE.methods:
        request = GetMessageClass(method.input_type)
        read = read_request if request is pb.ModelInferRequest else request.FromString
        kind = (
            grpc.stream_stream_rpc_method_handler
            if method.client_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        answer = GetMessageClass(method.output_type)
        methods[method.name] = kind(getattr(servicer, method.name), read, answer.SerializeToString)
    return grpc.method_handlers_generic_handler(_SERVICE.full_name, methods)


def _check_repository(name: str) -> None:
    if name:
        raise Unsupported("repository_name must be left out: all repositories are one")


def _no_shared_memory() -> Unsupported:
    return Unsupported("this server shares no memory with its callers: send tensors in requests")


def _log_settings() -> pb.LogSettingsResponse:
    level, told = logging.getLogger().getEffectiveLevel(), pb.LogSettingsResponse()
    told.settings["log_file"].string_param = ""
    told.settings["log_format"].string_param = "json"
    told.settings["log_info"].bool_param = level <= logging.INFO
    told.settings["log_warning"].bool_param = level <= logging.WARNING
    told.settings["log_error"].bool_param = level <= logging.ERROR
    told.settings["log_verbose_level"].uint32_param = int(level <= logging.DEBUG)
    return told
