"""Between the messages of `Classify` and the domain's values."""

from stepwire.v1 import labeling_pb2
from stepwire_server.errors import check_range
from stepwire_server.registry.classification import Classification, ClassificationModel, Judging


def texts(request: labeling_pb2.ClassifyRequest, most: int) -> list[str]:
    """Reads what to judge."""
    check_range("number of texts", len(request.texts), 1, most)
    return list(request.texts)


def judging(request: labeling_pb2.ClassifyRequest, model: ClassificationModel) -> Judging:
    """Reads what is wanted of verdicts."""
    count = request.top_k if request.HasField("top_k") else len(model.labels)
    check_range("top_k", count, 1, len(model.labels))
    return Judging(
        top_k=count, truncate=request.truncate, return_attention=request.return_attention
    )


def classify_response(results: list[Classification]) -> labeling_pb2.ClassifyResponse:
    """Wraps verdicts."""
    return labeling_pb2.ClassifyResponse(
        results=[
            labeling_pb2.Classification(
                labels=[labeling_pb2.ScoredLabel(label=n, score=s) for n, s in result.labels],
                token_count=result.token_count,
                truncated=result.truncated,
                tokens=[labeling_pb2.AttendedToken(**token._asdict()) for token in result.tokens],
            )
            for result in results
        ]
    )
