"""GenerationService: prompts in, a stream of text out."""

from collections.abc import AsyncIterator
from typing import Any

from stepwire.v1 import generation_pb2 as pb
from stepwire.v1 import generation_pb2_grpc as pb_grpc
from stepwire_server.registry.generation import GenerationModel
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.rpc import convert


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Translates between the wire and the engine, and decides nothing itself."""

    def __init__(self, models: ModelRegistry, max_inputs: int) -> None:
        self._models = models
        self._max_inputs = max_inputs

    async def Generate(
        self, request: pb.GenerateRequest, context: Any
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Streams pieces of text; leaving early gives the slots back."""
        model = self._models.get(request.model, request.version, GenerationModel)
        call = model.generate(
            convert.prompts(request, self._max_inputs),
            convert.samples(request, self._max_inputs),
            convert.options(request, model),
            convert.deadline(context),
        )
        async with call as rounds:
            async for pieces in rounds:
                yield convert.generate_response(pieces, model)
