"""Between the messages of Tag and domain values."""

from collections.abc import Sequence

from stepwire.v1 import labeling_pb2 as pb
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.ranking import Ranked
from stepwire_server.registry.tagging import TaggedText, TaggingModel
from stepwire_server.registry.words import Input


def inputs(request: pb.TagRequest, most: int) -> list[Input]:
    """Reads what to tag."""
    check_range("number of inputs", len(request.inputs), 1, most)
    return [_input(index, given) for index, given in enumerate(request.inputs)]


def top_k(request: pb.TagRequest, model: TaggingModel) -> int:
    """Reads how many tags to give for each word."""
    count = request.top_k if request.HasField("top_k") else 1
    check_range("top_k", count, 1, len(model.labels))
    return count


def response(results: Sequence[TaggedText]) -> pb.TagResponse:
    """Wraps tagged texts."""
    return pb.TagResponse(
        results=[
            pb.TaggedText(
                tokens=[
                    _token(word, span, tags)
                    for word, span, tags in zip(
                        result.cut.words, result.cut.spans, result.tags, strict=True
                    )
                ],
                truncated=result.cut.truncated,
                labels=_scored(result.labels),
            )
            for result in results
        ]
    )


def _input(index: int, given: pb.TagInput) -> Input:
    kind = given.WhichOneof("input")
    if kind is None:
        raise InvalidRequest.of(f"inputs[{index}]", "have text or words", "neither")
    return given.text if kind == "text" else list(given.words.words)


def _token(word: str, span: tuple[int, int], tags: Ranked) -> pb.TaggedToken:
    return pb.TaggedToken(text=word, start=span[0], end=span[1], tags=_scored(tags))


def _scored(labels: Ranked) -> list[pb.ScoredLabel]:
    return [pb.ScoredLabel(label=label, score=score) for label, score in labels]
