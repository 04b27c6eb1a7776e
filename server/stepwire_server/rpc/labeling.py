"""LabelingService: texts in, labels out, of whole texts or of words."""

from typing import Any

from stepwire.v1 import labeling_pb2 as pb
from stepwire.v1 import labeling_pb2_grpc as pb_grpc
from stepwire_server.registry.classification import ClassificationModel
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.registry.tagging import TaggingModel
from stepwire_server.rpc import labeling_messages, tagging_messages
from stepwire_server.rpc.caller import deadline_of


class LabelingServicer(pb_grpc.LabelingServiceServicer):
    """Translates between the wire and the batcher, and decides nothing itself."""

    def __init__(self, models: ModelRegistry, max_inputs: int) -> None:
        self._models = models
        self._max_inputs = max_inputs

    async def Classify(self, request: pb.ClassifyRequest, context: Any) -> pb.ClassifyResponse:
        """Labels every text of the call."""
        async with self._models.use(request.model, request.version, ClassificationModel) as model:
            results = await model.classify(
                labeling_messages.texts(request, self._max_inputs),
                labeling_messages.judging(request, model),
                deadline_of(context),
            )
            return labeling_messages.classify_response(results)

    async def Tag(self, request: pb.TagRequest, context: Any) -> pb.TagResponse:
        """Tags the words of every text of the call."""
        async with self._models.use(request.model, request.version, TaggingModel) as model:
            results = await model.tag(
                tagging_messages.inputs(request, self._max_inputs),
                tagging_messages.top_k(request, model),
                request.truncate,
                deadline_of(context),
            )
            return tagging_messages.response(results)
