"""Builds every request and reads every response; the core that both clients share.

Nothing here checks a range, which is the server's business; only what the wire cannot
carry at all is refused, by name.
"""

from stepwire.wire.building import several
from stepwire.wire.forecasting import forecast_request, forecasts
from stepwire.wire.generation import (
    generate_request,
    pieces,
    score_request,
    sequences,
    text_scores,
    translate_request,
    translation_updates,
)
from stepwire.wire.labeling import classifications, classify_request, tag_request, tagged_texts
from stepwire.wire.models import get_model_request, load_model_request, unload_model_request
from stepwire.wire.sessions import open_session_request, session_info, step_inputs, stepped
from stepwire.wire.vectors import (
    analogies,
    analogy_request,
    embed_request,
    embeddings,
    neighborhoods,
    neighbors_request,
)

__all__ = [
    "analogies",
    "analogy_request",
    "classifications",
    "classify_request",
    "embed_request",
    "embeddings",
    "forecast_request",
    "forecasts",
    "generate_request",
    "get_model_request",
    "load_model_request",
    "neighborhoods",
    "neighbors_request",
    "open_session_request",
    "pieces",
    "score_request",
    "sequences",
    "session_info",
    "several",
    "step_inputs",
    "stepped",
    "tag_request",
    "tagged_texts",
    "text_scores",
    "translate_request",
    "translation_updates",
    "unload_model_request",
]
