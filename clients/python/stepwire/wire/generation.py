"""Requests and answers of `Generate`, `Translate` and `Score`."""

from collections.abc import Sequence

from stepwire.messages import (
    DecodingOptions,
    FinishReason,
    GenerationSummary,
    Hypothesis,
    LengthNormalization,
    Piece,
    Prompt,
    ResumeToken,
    Start,
    TextScore,
    TokenLogprob,
    TokenLogprobs,
    Translating,
    TranslationSummary,
    TranslationUpdate,
)
from stepwire.v1 import generation_pb2
from stepwire.wire.building import build, mismatch, prompt_message, several

FINISH_REASONS = {
    generation_pb2.FINISH_REASON_END_OF_SEQUENCE: FinishReason.END_OF_SEQUENCE,
    generation_pb2.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    generation_pb2.FINISH_REASON_STOP: FinishReason.STOP,
}


_NORMALIZATIONS = {
    None: generation_pb2.LENGTH_NORMALIZATION_UNSPECIFIED,
    LengthNormalization.PLAIN: generation_pb2.LENGTH_NORMALIZATION_PLAIN,
    LengthNormalization.GNMT: generation_pb2.LENGTH_NORMALIZATION_GNMT,
}


def generate_request(
    model: str, version: str, prompts: str | Sequence[Start], n: int, options: DecodingOptions
) -> generation_pb2.GenerateRequest:
    """Asks for `n` continuations of every prompt."""
    request = build(
        generation_pb2.GenerateRequest,
        model=model,
        version=version,
        n=n,
        resume_every=options.resume_every,
        accept_inexact=options.accept_inexact,
    )
    for index, prompt in enumerate(several(prompts)):
        request.prompts.append(prompt_message(f"prompts[{index}].", prompt))
    request.options.CopyFrom(_options(options))
    return request


def sequences(request: generation_pb2.GenerateRequest) -> int:
    """How many sequences a generation gives."""
    return sum(1 if prompt.resume_token else request.n for prompt in request.prompts)


def translate_request(
    model: str,
    version: str,
    sources: str | Sequence[Start],
    options: DecodingOptions,
    wanted: Translating,
) -> generation_pb2.TranslateRequest:
    """Asks for translations of every source."""
    request = build(
        generation_pb2.TranslateRequest,
        model=model,
        version=version,
        replace_unknowns=wanted.replace_unknowns,
        return_attention=wanted.return_attention,
        return_alternatives=wanted.return_alternatives,
        resume_every=options.resume_every,
        accept_inexact=options.accept_inexact,
    )
    for index, source in enumerate(several(sources)):
        message = prompt_message(f"sources[{index}].", source)
        if message.resume_token:
            request.sources.add(resume_token=message.resume_token)
        else:
            request.sources.add().MergeFromString(message.SerializeToString())
    _add_prefixes(request, wanted.target_prefixes)
    request.options.CopyFrom(_options(options))
    return request


def score_request(
    model: str,
    version: str,
    texts: str | Sequence[Prompt],
    sources: str | Sequence[Prompt] | None,
) -> generation_pb2.ScoreRequest:
    """Asks how likely every text is, as a translation of its source if there are sources."""
    request = build(generation_pb2.ScoreRequest, model=model, version=version)
    for index, text in enumerate(several(texts)):
        message = prompt_message(f"inputs[{index}].", text)
        request.inputs.add().MergeFromString(message.SerializeToString())
    given = [] if sources is None else several(sources)
    if sources is not None and len(given) != len(request.inputs):
        raise mismatch("sources", len(request.inputs), len(given))
    for entry, source in zip(request.inputs, given, strict=False):
        prompt = prompt_message("source_", source)
        if prompt.HasField("text"):
            entry.source_text = prompt.text
        else:
            entry.source_tokens.CopyFrom(prompt.tokens)
    return request


def pieces(response: generation_pb2.GenerateResponse) -> list[Piece]:
    """What is new in one message of a generation."""
    return [
        Piece(
            prompt_index=piece.prompt_index,
            sample_index=piece.sample_index,
            text=piece.text,
            token_ids=tuple(piece.token_ids),
            logprobs=tuple(_token_logprobs(position) for position in piece.logprobs),
            summary=_summary(piece.summary) if piece.HasField("summary") else None,
            tail=piece.tail,
            hypotheses=tuple(_hypothesis(it) for it in piece.hypotheses),
            resume_token=ResumeToken(piece.resume_token) if piece.resume_token else None,
        )
        for piece in response.pieces
    ]


def translation_updates(response: generation_pb2.TranslateResponse) -> list[TranslationUpdate]:
    """What is new in one message of a translation."""
    return [
        TranslationUpdate(
            source_index=update.source_index,
            text=update.text,
            tail=update.tail,
            hypotheses=tuple(_hypothesis(it) for it in update.hypotheses),
            summary=_translation_summary(update.summary) if update.HasField("summary") else None,
            resume_token=ResumeToken(update.resume_token) if update.resume_token else None,
        )
        for update in response.updates
    ]


def text_scores(response: generation_pb2.ScoreResponse) -> list[TextScore]:
    """The scores in one message."""
    return [
        TextScore(
            input_index=result.input_index,
            tokens=tuple(
                TokenLogprob(token_id=it.token_id, text=it.text, logprob=it.logprob)
                for it in result.tokens
            ),
            logprob=result.logprob,
            perplexity=result.perplexity,
        )
        for result in response.results
    ]


def _add_prefixes(
    request: generation_pb2.TranslateRequest, prefixes: str | Sequence[Prompt | None] | None
) -> None:
    if prefixes is None:
        return
    given = several(prefixes)
    if len(given) != len(request.sources):
        raise mismatch("target_prefixes", len(request.sources), len(given))
    for index, (source, prefix) in enumerate(zip(request.sources, given, strict=True)):
        if prefix is not None:
            prompt = prompt_message(f"target_prefixes[{index}].", prefix)
            if prompt.HasField("text"):
                source.prefix_text = prompt.text
            else:
                source.prefix_tokens.CopyFrom(prompt.tokens)


def _options(options: DecodingOptions) -> generation_pb2.DecodingOptions:
    normalization = _NORMALIZATIONS[options.length_normalization]
    values = vars(options) | {"length_normalization": normalization}
    others = ("resume_every", "accept_inexact")  # the request has them
    decoding = {name: value for name, value in values.items() if name not in others}
    return build(generation_pb2.DecodingOptions, **decoding)


def _token_logprobs(position: generation_pb2.TokenLogprobs) -> TokenLogprobs:
    return TokenLogprobs(
        logprob=position.logprob,
        top=tuple(
            TokenLogprob(token_id=it.token_id, text=it.text, logprob=it.logprob)
            for it in position.top
        ),
    )


def _hypothesis(hypothesis: generation_pb2.Hypothesis) -> Hypothesis:
    return Hypothesis(
        text=hypothesis.text,
        score=hypothesis.score,
        logprob=hypothesis.logprob,
        token_ids=tuple(hypothesis.token_ids),
        logprobs=tuple(_token_logprobs(position) for position in hypothesis.logprobs),
        finish_reason=FINISH_REASONS.get(hypothesis.finish_reason, FinishReason.UNKNOWN),
        attention=tuple(tuple(step.weights) for step in hypothesis.attention),
    )


def _translation_summary(summary: generation_pb2.TranslationSummary) -> TranslationSummary:
    return TranslationSummary(
        source_tokens=summary.source_tokens,
        source_token_texts=tuple(summary.source_token_texts),
        generated_tokens=summary.generated_tokens,
        seed=summary.seed,
        source_cached=summary.source_cached,
        queue_seconds=summary.queue_seconds,
        first_token_seconds=summary.first_token_seconds,
        total_seconds=summary.total_seconds,
    )


def _summary(summary: generation_pb2.GenerationSummary) -> GenerationSummary:
    return GenerationSummary(
        finish_reason=FINISH_REASONS.get(summary.finish_reason, FinishReason.UNKNOWN),
        prompt_tokens=summary.prompt_tokens,
        generated_tokens=summary.generated_tokens,
        seed=summary.seed,
        queue_seconds=summary.queue_seconds,
        first_token_seconds=summary.first_token_seconds,
        total_seconds=summary.total_seconds,
        prompt_tokens_forgotten=summary.prompt_tokens_forgotten,
    )
