"""Requests and answers of `Embed`, `Neighbors` and `Analogy`."""

from collections.abc import Iterable, Sequence

from stepwire.embeddings import (
    Analogy,
    EmbeddedWord,
    Embedding,
    Neighbor,
    Neighborhood,
    Question,
    VectorOrigin,
)
from stepwire.v1 import embeddings_pb2
from stepwire.wire.building import build, several

VECTOR_ORIGINS = {
    embeddings_pb2.VECTOR_ORIGIN_WORD: VectorOrigin.WORD,
    embeddings_pb2.VECTOR_ORIGIN_SUBWORDS: VectorOrigin.SUBWORDS,
    embeddings_pb2.VECTOR_ORIGIN_NONE: VectorOrigin.NONE,
}


def embed_request(
    model: str, version: str, inputs: str | Sequence[str], texts: bool
) -> embeddings_pb2.EmbedRequest:
    """Asks for the vectors of words, or of texts."""
    request = build(embeddings_pb2.EmbedRequest, model=model, version=version)
    for index, given in enumerate(several(inputs)):
        path = f"inputs[{index}]."
        field = {"text": given} if texts else {"word": given}
        request.inputs.append(build(embeddings_pb2.EmbedInput, path, **field))
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
    return build(
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
    request = build(embeddings_pb2.AnalogyRequest, model=model, version=version, k=k, method=method)
    for index, question in enumerate(questions):
        request.questions.append(
            build(
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
