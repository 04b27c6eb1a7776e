"""Talk to a stepwire server.

`Client` and `AsyncClient` make calls, `messages` and `descriptions` are what they give,
`errors` is what they raise, `retry` says when they try again. `v1` is the generated contract.
"""

from stepwire import aio
from stepwire.aio import AsyncClient
from stepwire.client import Client
from stepwire.descriptions import Model, ModelLimits, ModelState, ModelSummary, Task
from stepwire.errors import (
    Cancelled,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelFailed,
    ModelLoading,
    ModelNotReady,
    NotFound,
    Overloaded,
    ResourceExhausted,
    ShuttingDown,
    StepwireError,
    Unavailable,
)
from stepwire.messages import (
    Classification,
    DecodingOptions,
    FinishReason,
    GenerationSummary,
    Hypothesis,
    LengthNormalization,
    Piece,
    Prompt,
    ScoredLabel,
    TextScore,
    TokenLogprob,
    TokenLogprobs,
    Translating,
    Translation,
    TranslationSummary,
    TranslationUpdate,
)
from stepwire.retry import Retry

__all__ = [
    "AsyncClient",
    "Cancelled",
    "Classification",
    "Client",
    "DeadlineExceeded",
    "DecodingOptions",
    "FinishReason",
    "GenerationSummary",
    "Hypothesis",
    "InternalError",
    "InvalidRequest",
    "LengthNormalization",
    "Model",
    "ModelFailed",
    "ModelLimits",
    "ModelLoading",
    "ModelNotReady",
    "ModelState",
    "ModelSummary",
    "NotFound",
    "Overloaded",
    "Piece",
    "Prompt",
    "ResourceExhausted",
    "Retry",
    "ScoredLabel",
    "ShuttingDown",
    "StepwireError",
    "Task",
    "TextScore",
    "TokenLogprob",
    "TokenLogprobs",
    "Translating",
    "Translation",
    "TranslationSummary",
    "TranslationUpdate",
    "Unavailable",
    "aio",
]
