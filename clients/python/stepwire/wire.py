"""Builds every request and reads every response; the core that both clients share.

Nothing here checks a range, which is the server's business; only what the wire cannot
carry at all is refused, by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from stepwire.errors import InvalidRequest
from stepwire.messages import (
    Classification,
    DecodingOptions,
    FinishReason,
    GenerationSummary,
    Piece,
    Prompt,
    ScoredLabel,
    TokenLogprob,
    TokenLogprobs,
)
from stepwire.v1 import generation_pb2, labeling_pb2, models_pb2

MessageT = TypeVar("MessageT", bound=Message)
ItemT = TypeVar("ItemT")

FINISH_REASONS = {
    generation_pb2.FINISH_REASON_END_OF_SEQUENCE: FinishReason.END_OF_SEQUENCE,
    generation_pb2.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    generation_pb2.FINISH_REASON_STOP: FinishReason.STOP,
}

_WANTED = {
    FieldDescriptor.TYPE_UINT32: "a whole number in [0, 4294967295]",
    FieldDescriptor.TYPE_UINT64: "a whole number in [0, 18446744073709551615]",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_STRING: "text that UTF-8 can carry",
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_MESSAGE: "a mapping from token to number",
}


def several(one_or_many: str | Sequence[ItemT]) -> list[str] | list[ItemT]:
    """A list; a text alone, itself a sequence of texts, is taken as a list of one."""
    return [one_or_many] if isinstance(one_or_many, str) else list(one_or_many)


def generate_request(
    model: str, version: str, prompts: str | Sequence[Prompt], n: int, options: DecodingOptions
) -> generation_pb2.GenerateRequest:
    """Asks for `n` continuations of every prompt."""
    request = _build(generation_pb2.GenerateRequest, model=model, version=version, n=n)
    for index, prompt in enumerate(several(prompts)):
        request.prompts.append(_prompt(f"prompts[{index}].", prompt))
    request.options.CopyFrom(_build(generation_pb2.DecodingOptions, **vars(options)))
    return request


def classify_request(
    model: str, version: str, texts: str | Sequence[str], top_k: int | None, truncate: bool
) -> labeling_pb2.ClassifyRequest:
    """Asks for the labels of every text."""
    return _build(
        labeling_pb2.ClassifyRequest,
        model=model,
        version=version,
        texts=several(texts),
        top_k=top_k,
        truncate=truncate,
    )


def get_model_request(model: str, version: str) -> models_pb2.GetModelRequest:
    """Asks for one model."""
    return _build(models_pb2.GetModelRequest, model=model, version=version)


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
        )
        for piece in response.pieces
    ]


def classifications(response: labeling_pb2.ClassifyResponse) -> list[Classification]:
    """One verdict a text, in the order of the request."""
    return [
        Classification(
            labels=tuple(ScoredLabel(label=it.label, score=it.score) for it in result.labels),
            token_count=result.token_count,
            truncated=result.truncated,
        )
        for result in response.results
    ]


def _token_logprobs(position: generation_pb2.TokenLogprobs) -> TokenLogprobs:
    return TokenLogprobs(
        logprob=position.logprob,
        top=tuple(
            TokenLogprob(token_id=it.token_id, text=it.text, logprob=it.logprob)
            for it in position.top
        ),
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
    )


def _prompt(path: str, prompt: Prompt) -> generation_pb2.Prompt:
    if isinstance(prompt, str):
        return _build(generation_pb2.Prompt, path, text=prompt)
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
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    wanted = _WANTED[kind.DESCRIPTOR.fields_by_name[name].type]
    return InvalidRequest(
        f"{path}{label} must be {wanted}, got {shown}",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="INVALID_REQUEST",
        details={"field": path + label, "allowed": f"be {wanted}", "got": shown},
    )


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
