"""ModelService: what is served and how it was made."""

from typing import Any

from stepwire.v1 import models_pb2 as pb
from stepwire.v1 import models_pb2_grpc as pb_grpc
from stepwire_server.registry.lifecycle import Lifecycle
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.rpc import model_messages


class ModelServicer(pb_grpc.ModelServiceServicer):
    """Tells what the registry knows."""

    def __init__(self, models: ModelRegistry, lifecycle: Lifecycle, max_inputs: int) -> None:
        self._models = models
        self._lifecycle = lifecycle
        self._max_inputs = max_inputs

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Any
    ) -> pb.ListModelsResponse:
        """Lists every version of every model, ready or not."""
        return pb.ListModelsResponse(models=[model_messages.model_summary(e) for e in self._models])

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        """Describes one model."""
        entry = self._models.entry(request.model, request.version)
        return pb.GetModelResponse(model=model_messages.model(entry, self._max_inputs))

    async def LoadModel(self, request: pb.LoadModelRequest, context: Any) -> pb.LoadModelResponse:
        """Loads a model, or loads it again."""
        await self._lifecycle.load_by_name(request.model)
        loaded = self._models.of(request.model)
        return pb.LoadModelResponse(
            models=[model_messages.model_summary(entry) for entry in loaded]
        )

    async def UnloadModel(
        self, request: pb.UnloadModelRequest, context: Any
    ) -> pb.UnloadModelResponse:
        """Takes a model away from new callers."""
        await self._lifecycle.unload_by_name(request.model)
        return pb.UnloadModelResponse()
