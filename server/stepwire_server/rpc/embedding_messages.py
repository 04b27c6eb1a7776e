"""Between the messages of EmbeddingService and domain values."""

from collections.abc import Sequence

from stepwire.v1 import embeddings_pb2 as pb
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.embedding import Answered, Asking, Embedded, Given, Question
from stepwire_server.registry.known_words import Origin, Word

MOST_NEAR = 1_000
MOST_WORDS = 16  # on either side of a question
DEFAULT_NEAR = 10
ORIGINS = {
    Origin.WORD: pb.VECTOR_ORIGIN_WORD,
    Origin.SUBWORDS: pb.VECTOR_ORIGIN_SUBWORDS,
    Origin.NONE: pb.VECTOR_ORIGIN_NONE,
}
METHODS = {  # whether they multiply
    pb.ANALOGY_METHOD_UNSPECIFIED: False,
    pb.ANALOGY_METHOD_3COSADD: False,
    pb.ANALOGY_METHOD_3COSMUL: True,
}


def inputs(request: pb.EmbedRequest, most: int) -> list[Given]:
    """Reads what to embed."""
    check_range("number of inputs", len(request.inputs), 1, most)
    return [_given(index, given) for index, given in enumerate(request.inputs)]


def words(request: pb.NeighborsRequest, most: int) -> list[str]:
    """Reads whose neighbours are wanted."""
    check_range("number of words", len(request.words), 1, most)
    return list(request.words)


def questions(request: pb.AnalogyRequest, most: int) -> list[Question]:
    """Reads what to be near to, and far from."""
    check_range("number of questions", len(request.questions), 1, most)
    return [_question(index, question) for index, question in enumerate(request.questions)]


def asking(request: pb.AnalogyRequest) -> Asking:
    """Reads how many words are wanted, and how they are scored."""
    if request.method not in METHODS:
        raise InvalidRequest.of("method", f"be in {sorted(METHODS)}", request.method)
    return Asking(k=k(request), multiply=METHODS[request.method])


def k(request: pb.NeighborsRequest | pb.AnalogyRequest) -> int:
    """Reads how many words to give."""
    count = request.k if request.HasField("k") else DEFAULT_NEAR
    check_range("k", count, 1, MOST_NEAR)
    return count


def embed_response(results: Sequence[Embedded]) -> pb.EmbedResponse:
    """Wraps vectors."""
    return pb.EmbedResponse(
        results=[
            pb.Embedding(
                vector=[] if result.vector is None else result.vector.tolist(),
                words=map(_word, result.words),
            )
            for result in results
        ]
    )


def neighbors_response(results: Sequence[Answered]) -> pb.NeighborsResponse:
    """Wraps neighbours."""
    return pb.NeighborsResponse(
        results=[
            pb.Neighborhood(word=_word(result.words[0]), neighbors=_near(result))
            for result in results
        ]
    )


def analogy_response(results: Sequence[Answered]) -> pb.AnalogyResponse:
    """Wraps what fits questions."""
    return pb.AnalogyResponse(
        results=[
            pb.AnalogyAnswer(answers=_near(result), words=map(_word, result.words))
            for result in results
        ]
    )


def _given(index: int, given: pb.EmbedInput) -> Given:
    kind = given.WhichOneof("input")
    if kind is None:
        raise InvalidRequest.of(f"inputs[{index}]", "have a word or a text", "neither")
    return Given(given.word if kind == "word" else given.text, is_word=kind == "word")


def _question(index: int, question: pb.AnalogyQuestion) -> Question:
    field = f"questions[{index}]"
    if not question.positive:
        raise InvalidRequest.of(f"{field}.positive", "hold at least one word", "none")
    for side in ("positive", "negative"):
        check_range(
            f"number of words in {field}.{side}", len(getattr(question, side)), 0, MOST_WORDS
        )
    return Question(list(question.positive), list(question.negative))


def _word(word: Word) -> pb.EmbeddedWord:
    return pb.EmbeddedWord(text=word.text, origin=ORIGINS[word.origin])


def _near(result: Answered) -> list[pb.Neighbor]:
    return [pb.Neighbor(word=word, score=score) for word, score in result.answers]
