"""Word vectors as named tensors: what words are made of in, or words in; vectors out.

Shapes: N rows, T numbers of the longest row, E values of a vector, V words.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.batcher import Batcher, Placed
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed, Timing
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.embedding import Embedded, EmbeddingModel, Given
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec
from stepwire_server.registry.tensors import rows
from stepwire_server.registry.tensors.background import in_background, text_of
from stepwire_zoo.manifest import Manifest

_WORD, _VECTOR, _ORIGIN = "word", "vector", "origin"


class VectorTensors:
    """The sequence graph of word vectors: rows share batches with the words of everybody else."""

    def __init__(self, batcher: Batcher[Placed], spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            batcher: runs the graph.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        self._batcher = batcher
        tokens, lengths, vector, cosines = rows.by_role(
            spec, "tokens", "lengths", "vector", "cosines"
        )
        self._tokens, self._lengths = tokens.name, lengths.name
        self._outputs = {vector.name: 0, cosines.name: 1}  # places in what a row gives
        parts = spec.subwords.tokenizer.vocabulary_size if spec.subwords else 0
        self._choices = spec.tokenizer.vocabulary_size + parts
        self._longest = spec.graphs["sequence"].buckets[-1]
        self.signature = Signature(
            name=spec.name,
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(
                TensorSpec(name=tokens.name, dtype=tokens.dtype, shape=(-1, -1)),
                rows.lengths_spec(lengths),
            ),
            outputs=tuple(
                TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=(-1, *tensor.shape))
                for tensor in (vector, cosines)
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the rows of a request; raises as `AnsweringModel.begin`."""

        def told(results: Sequence[Placed], timing: Timing) -> None:
            given = {
                name: np.stack([result[self._outputs[name]] for result in results])
                for name in asked.wanted
            }
            done(Answer(given, (), timing))

        return rows.run(self._batcher, self._rows(asked), asked, told, failed)

    def _rows(self, asked: Asked) -> list[NDArray[np.int64]]:
        tokens = asked.tensors[self._tokens]
        counts = rows.counts(asked, self._tokens, self._lengths, self._longest)
        found = [row[:count] for row, count in zip(tokens, counts, strict=True)]
        for number, row in enumerate(found):
            wrong = np.flatnonzero((row < 0) | (row >= self._choices))
            if len(wrong):
                field = f"{self._tokens}[{number}, {wrong[0]}]"
                got = int(row[wrong[0]])
                raise InvalidRequest.of(field, f"be in [0, {self._choices - 1}]", got)
        return found


class VectorWords:
    """Word vectors that take words; a word without one has zeros, and says so."""

    def __init__(self, model: EmbeddingModel, spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            model: looks words up.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        self._model = model
        [vector] = rows.by_role(spec, "vector")
        self._size = vector.shape[0]
        self.signature = Signature(
            name=f"{spec.name}.embed",
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(TensorSpec(name=_WORD, dtype=TEXT, shape=(-1, 1)),),
            outputs=(
                TensorSpec(name=_VECTOR, dtype="float32", shape=(-1, self._size)),
                TensorSpec(name=_ORIGIN, dtype=TEXT, shape=(-1, 1)),
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the words of a request; raises as `AnsweringModel.begin`."""
        values = asked.tensors[_WORD].ravel().tolist()
        words = [
            Given(text_of(f"{_WORD}[{number}]", value), is_word=True)
            for number, value in enumerate(values)
        ]

        async def embed() -> None:
            done(self._answer(await self._model.embed(words, asked.deadline), asked))

        return in_background(embed(), failed)

    def _answer(self, found: Sequence[Embedded], asked: Asked) -> Answer:
        nothing = np.zeros(self._size, np.float32)
        tensors = {
            _VECTOR: np.stack([nothing if it.vector is None else it.vector for it in found]),
            _ORIGIN: np.array([[it.words[0].origin.value.encode()] for it in found], object),
        }
        given = {name: tensors[name] for name in asked.wanted}
        return Answer(given, (), found[-1].timing)
