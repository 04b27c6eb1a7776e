"""Between the messages of `Translate` and the domain's values."""

from collections.abc import Mapping, Sequence
from typing import Any

from stepwire.v1 import generation_pb2
from stepwire_server.decoding.options import Options
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.saved import Saved
from stepwire_server.registry.text import Prompt
from stepwire_server.registry.translating import Translation, TranslationSummary
from stepwire_server.registry.translation import SourceInput, TranslationModel
from stepwire_server.rpc.generation_messages import Opened, Sealed, hypothesis, options


def sources(
    request: generation_pb2.TranslateRequest, most: int, opened: Opened
) -> list[SourceInput | Saved]:
    """Reads what to translate; `opened` opens resume tokens."""
    check_range("number of sources", len(request.sources), 1, most)
    return [_source(index, source, opened) for index, source in enumerate(request.sources)]


def translation_options(
    request: generation_pb2.TranslateRequest, defaults: Mapping[str, Any]
) -> Options:
    """Reads how to translate."""
    return options(
        request.options,
        defaults,
        replace_unknowns=request.replace_unknowns,
        return_attention=request.return_attention,
        return_alternatives=request.return_alternatives,
    )


def translate_response(
    news: Sequence[Translation], model: TranslationModel, sealed: Sealed
) -> generation_pb2.TranslateResponse:
    """Wraps what is new; `sealed` makes resume tokens."""
    return generation_pb2.TranslateResponse(
        updates=[
            generation_pb2.TranslationUpdate(
                source_index=one.index,
                text=one.text,
                tail=one.tail,
                hypotheses=[hypothesis(answer, model) for answer in one.answers],
                summary=_translation_summary(one.summary) if one.summary else None,
                resume_token=sealed(one.saved),
            )
            for one in news
        ]
    )


def _source(index: int, source: generation_pb2.Source, opened: Opened) -> SourceInput | Saved:
    kind, prefix = source.WhichOneof("input"), source.WhichOneof("target_prefix")
    if kind is None:
        allowed = "have text, tokens or a resume token"
        raise InvalidRequest.of(f"sources[{index}]", allowed, "none of them")
    if kind == "resume_token":
        if prefix:
            allowed = "not be given with a resume token, which has its own"
            raise InvalidRequest.of(f"sources[{index}].{prefix}", allowed, "one")
        return opened(source.resume_token)
    given: Prompt | None = None
    if prefix:
        given = source.prefix_text if prefix == "prefix_text" else source.prefix_tokens.ids
    return SourceInput(source=source.text if kind == "text" else source.tokens.ids, prefix=given)


def _translation_summary(summary: TranslationSummary) -> generation_pb2.TranslationSummary:
    return generation_pb2.TranslationSummary(
        source_tokens=summary.source_tokens,
        source_token_texts=summary.source_words,
        generated_tokens=summary.generated_tokens,
        seed=summary.seed,
        source_cached=summary.was_kept,
        queue_seconds=summary.ended.queue_s,
        first_token_seconds=summary.ended.first_token_s,
        total_seconds=summary.ended.total_s,
    )
