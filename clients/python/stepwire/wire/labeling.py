"""Requests and answers of `Classify` and `Tag`."""

from collections.abc import Iterable, Sequence

from stepwire.messages import AttendedToken, Classification, ScoredLabel
from stepwire.tagging import Taggable, TaggedText, TaggedToken
from stepwire.v1 import labeling_pb2
from stepwire.wire.building import build, refused, several


def classify_request(
    model: str, version: str, texts: str | Sequence[str], top_k: int | None, **flags: bool
) -> labeling_pb2.ClassifyRequest:
    """Asks for the labels of every text."""
    return build(
        labeling_pb2.ClassifyRequest,
        model=model,
        version=version,
        texts=several(texts),
        top_k=top_k,
        **flags,
    )


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


def tag_request(
    model: str,
    version: str,
    texts: str | Sequence[Taggable],
    top_k: int | None,
    truncate: bool,
) -> labeling_pb2.TagRequest:
    """Asks for the tags of every word of every text."""
    request = build(
        labeling_pb2.TagRequest, model=model, version=version, top_k=top_k, truncate=truncate
    )
    for index, text in enumerate(several(texts)):
        name = f"inputs[{index}]"
        if not isinstance(text, Iterable):
            raise refused(name, "be a text or its words", text)
        if isinstance(text, str):
            request.inputs.append(build(labeling_pb2.TagInput, text=text))
        else:
            words = build(labeling_pb2.Words, words=list(text))
            request.inputs.append(labeling_pb2.TagInput(words=words))
    return request


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


def _attended(token: labeling_pb2.AttendedToken) -> AttendedToken:
    return AttendedToken(text=token.text, start=token.start, end=token.end, weight=token.weight)


def _tagged_token(token: labeling_pb2.TaggedToken) -> TaggedToken:
    return TaggedToken(
        text=token.text,
        start=token.start,
        end=token.end,
        tags=tuple(ScoredLabel(label=it.label, score=it.score) for it in token.tags),
    )
