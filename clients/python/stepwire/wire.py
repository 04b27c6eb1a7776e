"""Builds every request and reads every response; the core that both clients share.

Nothing here checks a range, which is the server's business; only what the wire cannot
carry at all is refused, by name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from stepwire.embeddings import (
    Analogy,
    EmbeddedWord,
    Embedding,
    Neighbor,
    Neighborhood,
    Question,
    VectorOrigin,
)
from stepwire.errors import InvalidRequest
from stepwire.forecasts import Forecast, History, Rows
from stepwire.messages import (
    AttendedToken,
    Classification,
    DecodingOptions,
    Features,
    FinishReason,
    GenerationSummary,
    Hypothesis,
    LengthNormalization,
    Outputs,
    Piece,
    Prompt,
    ResumeToken,
    ScoredLabel,
    SessionInfo,
    SessionOptions,
    Start,
    StepOutputs,
    Stepped,
    TextScore,
    TokenLogprob,
    TokenLogprobs,
    Translating,
    TranslationSummary,
    TranslationUpdate,
)
from stepwire.tagging import Taggable, TaggedText, TaggedToken
from stepwire.v1 import (
    embeddings_pb2,
    forecasting_pb2,
    generation_pb2,
    labeling_pb2,
    models_pb2,
    sessions_pb2,
    streaming_pb2,
)

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT")

FINISH_REASONS = {
    generation_pb2.FINISH_REASON_END_OF_SEQUENCE: FinishReason.END_OF_SEQUENCE,
    generation_pb2.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    generation_pb2.FINISH_REASON_STOP: FinishReason.STOP,
}

VECTOR_ORIGINS = {
    embeddings_pb2.VECTOR_ORIGIN_WORD: VectorOrigin.WORD,
    embeddings_pb2.VECTOR_ORIGIN_SUBWORDS: VectorOrigin.SUBWORDS,
    embeddings_pb2.VECTOR_ORIGIN_NONE: VectorOrigin.NONE,
}

_NORMALIZATIONS = {
    None: generation_pb2.LENGTH_NORMALIZATION_UNSPECIFIED,
    LengthNormalization.PLAIN: generation_pb2.LENGTH_NORMALIZATION_PLAIN,
    LengthNormalization.GNMT: generation_pb2.LENGTH_NORMALIZATION_GNMT,
}

_WANTED = {
    FieldDescriptor.TYPE_UINT32: "a whole number in [0, 4294967295]",
    FieldDescriptor.TYPE_UINT64: "a whole number in [0, 18446744073709551615]",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_STRING: "text that UTF-8 can carry",
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_MESSAGE: "a mapping from token to number",
}


def several(one_or_many: str | Sequence[ItemT]) -> list[str] | list[ItemT]:
    """A list; a text alone, itself a sequence of texts, is taken as a list of one."""
    return [one_or_many] if isinstance(one_or_many, str) else list(one_or_many)


def generate_request(
    model: str, version: str, prompts: str | Sequence[Start], n: int, options: DecodingOptions
) -> generation_pb2.GenerateRequest:
    """Asks for `n` continuations of every prompt."""
    request = _build(
        generation_pb2.GenerateRequest,
        model=model,
        version=version,
        n=n,
        resume_every=options.resume_every,
        accept_inexact=options.accept_inexact,
    )
    for index, prompt in enumerate(several(prompts)):
        request.prompts.append(_prompt(f"prompts[{index}].", prompt))
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
    request = _build(
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
        message = _prompt(f"sources[{index}].", source)
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
    request = _build(generation_pb2.ScoreRequest, model=model, version=version)
    for index, text in enumerate(several(texts)):
        message = _prompt(f"inputs[{index}].", text)
        request.inputs.add().MergeFromString(message.SerializeToString())
    given = [] if sources is None else several(sources)
    if sources is not None and len(given) != len(request.inputs):
        raise _mismatch("sources", len(request.inputs), len(given))
    for entry, source in zip(request.inputs, given, strict=False):
        prompt = _prompt("source_", source)
        if prompt.HasField("text"):
            entry.source_text = prompt.text
        else:
            entry.source_tokens.CopyFrom(prompt.tokens)
    return request


def _add_prefixes(
    request: generation_pb2.TranslateRequest, prefixes: str | Sequence[Prompt | None] | None
) -> None:
    if prefixes is None:
        return
    given = several(prefixes)
    if len(given) != len(request.sources):
        raise _mismatch("target_prefixes", len(request.sources), len(given))
    for index, (source, prefix) in enumerate(zip(request.sources, given, strict=True)):
        if prefix is not None:
            prompt = _prompt(f"target_prefixes[{index}].", prefix)
            if prompt.HasField("text"):
                source.prefix_text = prompt.text
            else:
                source.prefix_tokens.CopyFrom(prompt.tokens)


def _mismatch(field: str, wanted: int, got: int) -> InvalidRequest:
    return _refused(field, f"have one entry for each text, {wanted}", got)


def _refused(field: str, allowed: str, got: object) -> InvalidRequest:
    shown = repr(got) if len(repr(got)) <= 80 else repr(got)[:77] + "..."
    return InvalidRequest(
        f"{field} must {allowed}, got {shown}",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="INVALID_REQUEST",
        details={"field": field, "allowed": allowed, "got": shown},
    )


def _options(options: DecodingOptions) -> generation_pb2.DecodingOptions:
    normalization = _NORMALIZATIONS[options.length_normalization]
    values = vars(options) | {"length_normalization": normalization}
    others = ("resume_every", "accept_inexact")  # the request has them
    decoding = {name: value for name, value in values.items() if name not in others}
    return _build(generation_pb2.DecodingOptions, **decoding)


def classify_request(
    model: str, version: str, texts: str | Sequence[str], top_k: int | None, **flags: bool
) -> labeling_pb2.ClassifyRequest:
    """Asks for the labels of every text."""
    return _build(
        labeling_pb2.ClassifyRequest,
        model=model,
        version=version,
        texts=several(texts),
        top_k=top_k,
        **flags,
    )


def tag_request(
    model: str,
    version: str,
    texts: str | Sequence[Taggable],
    top_k: int | None,
    truncate: bool,
) -> labeling_pb2.TagRequest:
    """Asks for the tags of every word of every text."""
    request = _build(
        labeling_pb2.TagRequest, model=model, version=version, top_k=top_k, truncate=truncate
    )
    for index, text in enumerate(several(texts)):
        name = f"inputs[{index}]"
        if not isinstance(text, Iterable):
            raise _refused(name, "be a text or its words", text)
        if isinstance(text, str):
            request.inputs.append(_build(labeling_pb2.TagInput, text=text))
        else:
            words = _build(labeling_pb2.Words, words=list(text))
            request.inputs.append(labeling_pb2.TagInput(words=words))
    return request


def embed_request(
    model: str, version: str, inputs: str | Sequence[str], texts: bool
) -> embeddings_pb2.EmbedRequest:
    """Asks for the vectors of words, or of texts."""
    request = _build(embeddings_pb2.EmbedRequest, model=model, version=version)
    for index, given in enumerate(several(inputs)):
        path = f"inputs[{index}]."
        field = {"text": given} if texts else {"word": given}
        request.inputs.append(_build(embeddings_pb2.EmbedInput, path, **field))
    return request


def embeddings(response: embeddings_pb2.EmbedResponse) -> list[Embedding]:
    """One vector an input, in the order of the request."""
    return [
        Embedding(vector=tuple(it.vector), words=_embedded_words(it.words))
        for it in response.results
    ]


def neighbors_request(
    model: str, version: str, words: str | Sequence[str], k: int | None
) -> embeddings_pb2.NeighborsRequest:
    """Asks what is near words."""
    return _build(
        embeddings_pb2.NeighborsRequest, model=model, version=version, words=several(words), k=k
    )


def neighborhoods(response: embeddings_pb2.NeighborsResponse) -> list[Neighborhood]:
    """One result a word, in the order of the request."""
    return [
        Neighborhood(word=_embedded_words([it.word])[0], neighbors=_neighbors(it.neighbors))
        for it in response.results
    ]


def analogy_request(
    model: str, version: str, questions: Sequence[Question], k: int | None, multiply: bool
) -> embeddings_pb2.AnalogyRequest:
    """Asks what fits questions."""
    method = embeddings_pb2.ANALOGY_METHOD_3COSMUL if multiply else None
    request = _build(
        embeddings_pb2.AnalogyRequest, model=model, version=version, k=k, method=method
    )
    for index, question in enumerate(questions):
        request.questions.append(
            _build(
                embeddings_pb2.AnalogyQuestion,
                f"questions[{index}].",
                positive=several(question.positive),
                negative=several(question.negative),
            )
        )
    return request


def analogies(response: embeddings_pb2.AnalogyResponse) -> list[Analogy]:
    """One result a question, in the order of the request."""
    return [
        Analogy(answers=_neighbors(it.answers), words=_embedded_words(it.words))
        for it in response.results
    ]


def _embedded_words(words: Iterable[embeddings_pb2.EmbeddedWord]) -> tuple[EmbeddedWord, ...]:
    return tuple(
        EmbeddedWord(text=it.text, origin=VECTOR_ORIGINS.get(it.origin, VectorOrigin.UNKNOWN))
        for it in words
    )


def _neighbors(near: Iterable[embeddings_pb2.Neighbor]) -> tuple[Neighbor, ...]:
    return tuple(Neighbor(word=it.word, score=it.score) for it in near)


def forecast_request(
    model: str,
    version: str,
    histories: Sequence[History],
    wanted: Mapping[str, object],
) -> forecasting_pb2.ForecastRequest:
    """Asks how every series goes on; `wanted` are fields of the request."""
    request = _build(forecasting_pb2.ForecastRequest, model=model, version=version, **wanted)
    for index, history in enumerate(histories):
        name = f"histories[{index}]"
        if isinstance(history, str) or not isinstance(history, Iterable):
            raise _refused(name, "be a series of rows", history)
        values = _numbers(history)
        request.histories.append(_build(forecasting_pb2.Series, f"{name}.", values=values))
    return request


def _numbers(history: History) -> list[float]:
    """Row by row; a row may be a number alone."""
    numbers: list[float] = []
    for row in history:
        if isinstance(row, Iterable) and not isinstance(row, str):
            numbers.extend(row)
        else:
            numbers.append(row)
    return numbers


def forecasts(response: forecasting_pb2.ForecastResponse) -> list[Forecast]:
    """One forecast a history, in the order of the request."""
    targets = tuple(response.targets)

    def rows(numbers: Sequence[float]) -> Rows:
        starts = range(0, len(numbers), len(targets))
        return tuple(tuple(numbers[start : start + len(targets)]) for start in starts)

    return [
        Forecast(
            targets=targets,
            values=rows(forecast.values),
            spread=rows(forecast.spread),
            quantiles={it.level: rows(it.values) for it in forecast.quantiles},
            surprises=tuple(forecast.surprises),
            direct_rows=response.direct_rows,
            fed_back_rows=response.fed_back_rows,
        )
        for forecast in response.forecasts
    ]


def get_model_request(model: str, version: str) -> models_pb2.GetModelRequest:
    """Asks for one model."""
    return _build(models_pb2.GetModelRequest, model=model, version=version)


def load_model_request(model: str) -> models_pb2.LoadModelRequest:
    """Has a model loaded."""
    return _build(models_pb2.LoadModelRequest, model=model)


def unload_model_request(model: str) -> models_pb2.UnloadModelRequest:
    """Has a model unloaded."""
    return _build(models_pb2.UnloadModelRequest, model=model)


def open_session_request(
    model: str, version: str, state_token: bytes | None, options: SessionOptions
) -> sessions_pb2.OpenSessionRequest:
    """Opens a session, from the model's start or from a token."""
    return _build(
        sessions_pb2.OpenSessionRequest,
        model=model,
        version=version,
        state_token=state_token,
        accept_inexact=options.accept_inexact,
        max_snapshots=options.max_snapshots,
        window=options.window,
        follow_reloads=options.follow_reloads,
        **_source(options.source),
    )


def _source(source: Prompt | None) -> dict[str, object]:
    """What a translator's session looks at, as fields of the request."""
    if source is None:
        return {}
    prompt = _prompt("source_", source)
    if prompt.HasField("text"):
        return {"source_text": prompt.text}
    return {"source_tokens": prompt.tokens}


def step_inputs(
    first_step: int,
    values: Prompt | Features,
    wanted: Outputs | None,
    *,
    snapshot: bool,
    export: bool,
) -> streaming_pb2.Inputs:
    """One or several steps."""
    outputs = None if wanted is None else _build(streaming_pb2.Outputs, "outputs.", **vars(wanted))
    inputs = streaming_pb2.Inputs(
        first_step=first_step, outputs=outputs, snapshot=snapshot, export_state=export
    )
    if isinstance(values, str):
        inputs.text = _build(generation_pb2.Prompt, "inputs.", text=values).text
    elif len(values) and isinstance(values[0], Sequence):
        flat = [number for row in values for number in row]  # type: ignore[union-attr]
        features = _build(streaming_pb2.Features, "inputs.features.", values=flat)
        inputs.features.CopyFrom(features)
    else:
        inputs.tokens.CopyFrom(_build(generation_pb2.TokenIds, "inputs.tokens.", ids=list(values)))
    return inputs


def stepped(answer: streaming_pb2.StepsTaken) -> Stepped:
    """What some steps gave."""
    return Stepped(
        first_step=answer.first_step,
        count=answer.count,
        outputs=tuple(map(_step_outputs, answer.outputs)),
        state_token=answer.state_token,
        version=answer.version,
        digest=answer.digest,
    )


def _step_outputs(outputs: streaming_pb2.StepOutputs) -> StepOutputs:
    return StepOutputs(
        tokens=tuple(
            TokenLogprob(token_id=each.token_id, text=each.text, logprob=each.logprob)
            for each in outputs.tokens
        ),
        labels=tuple(ScoredLabel(label=each.label, score=each.score) for each in outputs.labels),
        logits=tuple(outputs.logits),
        entropy=outputs.entropy,
        values=tuple(outputs.values),
        spread=tuple(outputs.spread),
        surprise=outputs.surprise,
        hidden=tuple(outputs.hidden),
        attention=tuple(outputs.attention),
    )


def session_info(session: sessions_pb2.Session) -> SessionInfo:
    """How a session stands."""
    return SessionInfo(
        id=session.id,
        model=session.model,
        version=session.version,
        next_step=session.next_step,
        snapshots=tuple(session.snapshots),
        window=session.window,
        size_bytes=session.size_bytes,
        idle_seconds_left=session.idle_seconds_left,
        lifetime_seconds_left=session.lifetime_seconds_left,
        inexact=session.inexact,
        source_token_texts=tuple(session.source_token_texts),
        digest=session.digest,
        follows_reloads=session.follows_reloads,
    )


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


def classifications(response: labeling_pb2.ClassifyResponse) -> list[Classification]:
    """One verdict a text, in the order of the request."""
    return [
        Classification(
            labels=tuple(ScoredLabel(label=it.label, score=it.score) for it in result.labels),
            token_count=result.token_count,
            truncated=result.truncated,
            tokens=tuple(_attended(token) for token in result.tokens),
        )
        for result in response.results
    ]


def _attended(token: labeling_pb2.AttendedToken) -> AttendedToken:
    return AttendedToken(text=token.text, start=token.start, end=token.end, weight=token.weight)


def tagged_texts(response: labeling_pb2.TagResponse) -> list[TaggedText]:
    """One result a text, in the order of the request."""
    return [
        TaggedText(
            tokens=tuple(_tagged_token(token) for token in result.tokens),
            truncated=result.truncated,
            labels=tuple(ScoredLabel(label=it.label, score=it.score) for it in result.labels),
        )
        for result in response.results
    ]


def _tagged_token(token: labeling_pb2.TaggedToken) -> TaggedToken:
    return TaggedToken(
        text=token.text,
        start=token.start,
        end=token.end,
        tags=tuple(ScoredLabel(label=it.label, score=it.score) for it in token.tags),
    )


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


def _prompt(path: str, prompt: Start) -> generation_pb2.Prompt:
    if isinstance(prompt, str):
        return _build(generation_pb2.Prompt, path, text=prompt)
    if isinstance(prompt, ResumeToken):
        return _build(generation_pb2.Prompt, path, resume_token=prompt.value)
    tokens = _build(generation_pb2.TokenIds, f"{path}tokens.", ids=list(prompt))
    return generation_pb2.Prompt(tokens=tokens)


def _build(kind: type[MessageT], path: str = "", /, **values: object) -> MessageT:
    """A message of these fields, None left unset.

    Raises:
        InvalidRequest: naming the first field whose value the wire cannot carry.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise _refusal(kind, path, given) from error


def _refusal(kind: type[Message], path: str, given: Mapping[str, object]) -> InvalidRequest:
    name, label, value = next(
        (name, label, value)
        for name, whole in given.items()
        for label, part, value in _parts(name, whole)
        if not _fits(kind, name, part)
    )
    wanted = _WANTED[kind.DESCRIPTOR.fields_by_name[name].type]
    return _refused(path + label, f"be {wanted}", value)


def _parts(name: str, whole: object) -> Iterator[tuple[str, object, object]]:
    """Each part of a field that can be wrong: what to call it, what to set, what to show."""
    if isinstance(whole, (list, tuple)):
        yield from ((f"{name}[{index}]", [item], item) for index, item in enumerate(whole))
    else:
        yield name, whole, whole


def _fits(kind: type[Message], name: str, value: object) -> bool:
    try:
        kind(**{name: value})
    except (TypeError, ValueError):
        return False
    return True
