"""The calls of the contract, each named once for both clients."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from stepwire.v1 import (
    embeddings_pb2,
    forecasting_pb2,
    generation_pb2,
    labeling_pb2,
    models_pb2,
    sessions_pb2,
    streaming_pb2,
)

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True, kw_only=True)
class Method(Generic[RequestT, ResponseT]):
    """One call: where it goes, what it takes and what it gives.

    Stands in for the generated stubs, which are not typed.
    """

    path: str
    request: type[RequestT]
    response: type[ResponseT]


GENERATE = Method(
    path="/stepwire.v1.GenerationService/Generate",
    request=generation_pb2.GenerateRequest,
    response=generation_pb2.GenerateResponse,
)
TRANSLATE = Method(
    path="/stepwire.v1.GenerationService/Translate",
    request=generation_pb2.TranslateRequest,
    response=generation_pb2.TranslateResponse,
)
SCORE = Method(
    path="/stepwire.v1.GenerationService/Score",
    request=generation_pb2.ScoreRequest,
    response=generation_pb2.ScoreResponse,
)
CLASSIFY = Method(
    path="/stepwire.v1.LabelingService/Classify",
    request=labeling_pb2.ClassifyRequest,
    response=labeling_pb2.ClassifyResponse,
)
TAG = Method(
    path="/stepwire.v1.LabelingService/Tag",
    request=labeling_pb2.TagRequest,
    response=labeling_pb2.TagResponse,
)
EMBED = Method(
    path="/stepwire.v1.EmbeddingService/Embed",
    request=embeddings_pb2.EmbedRequest,
    response=embeddings_pb2.EmbedResponse,
)
NEIGHBORS = Method(
    path="/stepwire.v1.EmbeddingService/Neighbors",
    request=embeddings_pb2.NeighborsRequest,
    response=embeddings_pb2.NeighborsResponse,
)
ANALOGY = Method(
    path="/stepwire.v1.EmbeddingService/Analogy",
    request=embeddings_pb2.AnalogyRequest,
    response=embeddings_pb2.AnalogyResponse,
)
FORECAST = Method(
    path="/stepwire.v1.ForecastingService/Forecast",
    request=forecasting_pb2.ForecastRequest,
    response=forecasting_pb2.ForecastResponse,
)
LIST_MODELS = Method(
    path="/stepwire.v1.ModelService/ListModels",
    request=models_pb2.ListModelsRequest,
    response=models_pb2.ListModelsResponse,
)
GET_MODEL = Method(
    path="/stepwire.v1.ModelService/GetModel",
    request=models_pb2.GetModelRequest,
    response=models_pb2.GetModelResponse,
)
LOAD_MODEL = Method(
    path="/stepwire.v1.ModelService/LoadModel",
    request=models_pb2.LoadModelRequest,
    response=models_pb2.LoadModelResponse,
)
UNLOAD_MODEL = Method(
    path="/stepwire.v1.ModelService/UnloadModel",
    request=models_pb2.UnloadModelRequest,
    response=models_pb2.UnloadModelResponse,
)
OPEN_SESSION = Method(
    path="/stepwire.v1.SessionService/OpenSession",
    request=sessions_pb2.OpenSessionRequest,
    response=sessions_pb2.OpenSessionResponse,
)
EXPORT_SESSION = Method(
    path="/stepwire.v1.SessionService/ExportSession",
    request=sessions_pb2.ExportSessionRequest,
    response=sessions_pb2.ExportSessionResponse,
)
ROLL_BACK_SESSION = Method(
    path="/stepwire.v1.SessionService/RollBackSession",
    request=sessions_pb2.RollBackSessionRequest,
    response=sessions_pb2.RollBackSessionResponse,
)
CLOSE_SESSION = Method(
    path="/stepwire.v1.SessionService/CloseSession",
    request=sessions_pb2.CloseSessionRequest,
    response=sessions_pb2.CloseSessionResponse,
)
LIST_SESSIONS = Method(
    path="/stepwire.v1.SessionService/ListSessions",
    request=sessions_pb2.ListSessionsRequest,
    response=sessions_pb2.ListSessionsResponse,
)
STEP = Method(
    path="/stepwire.v1.StreamingService/Step",
    request=streaming_pb2.StepRequest,
    response=streaming_pb2.StepResponse,
)
