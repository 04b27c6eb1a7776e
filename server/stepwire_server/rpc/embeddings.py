"""EmbeddingService: words in; their vectors, their neighbours or answers to analogies out."""

from typing import Any

from stepwire.v1 import embeddings_pb2 as pb
from stepwire.v1 import embeddings_pb2_grpc as pb_grpc
from stepwire_server.registry.embedding import EmbeddingModel
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.rpc import embedding_messages
from stepwire_server.rpc.caller import deadline_of


class EmbeddingServicer(pb_grpc.EmbeddingServiceServicer):
    """Translates between the wire and the model, and decides nothing itself."""

    def __init__(self, models: ModelRegistry, max_inputs: int) -> None:
        self._models = models
        self._max_inputs = max_inputs

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Gives every input of the call its vector."""
        async with self._models.use(request.model, request.version, EmbeddingModel) as model:
            inputs = embedding_messages.inputs(request, self._max_inputs)
            results = await model.embed(inputs, deadline_of(context))
            return embedding_messages.embed_response(results)

    async def Neighbors(self, request: pb.NeighborsRequest, context: Any) -> pb.NeighborsResponse:
        """Gives every word of the call its nearest."""
        async with self._models.use(request.model, request.version, EmbeddingModel) as model:
            words = embedding_messages.words(request, self._max_inputs)
            k = embedding_messages.k(request)
            results = await model.neighbors(words, k, deadline_of(context))
            return embedding_messages.neighbors_response(results)

    async def Analogy(self, request: pb.AnalogyRequest, context: Any) -> pb.AnalogyResponse:
        """Gives every question of the call the words that fit."""
        async with self._models.use(request.model, request.version, EmbeddingModel) as model:
            questions = embedding_messages.questions(request, self._max_inputs)
            asking = embedding_messages.asking(request)
            results = await model.analogy(questions, asking, deadline_of(context))
            return embedding_messages.analogy_response(results)
