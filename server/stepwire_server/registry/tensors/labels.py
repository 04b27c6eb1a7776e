"""Classifiers as named tensors: tokens in, logits out; or texts in, labels out.

Shapes: N rows, T tokens of the longest row, L labels.
"""

from collections.abc import Sequence

import numpy as np

from stepwire_server.engine.batcher import Batcher, Result, SequenceJob
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.classification import Answers, Classification, ClassificationModel
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec
from stepwire_server.registry.tensors.background import in_background, text_of
from stepwire_server.registry.text import are_long
from stepwire_zoo.manifest import Manifest, Tensor

_TEXT, _LABEL, _PROBABILITIES = "text", "label", "probabilities"


class LabelTensors:
    """The sequence graph of a classifier: rows share batches with the texts of everybody else."""

    def __init__(self, batcher: Batcher[Result], spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            batcher: runs the graph.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        self._batcher = batcher
        graph = spec.graphs["sequence"]
        by_role: dict[str, Tensor] = {t.role: t for t in (*graph.inputs, *graph.outputs)}
        tokens, lengths, logits = (by_role[role] for role in ("tokens", "lengths", "logits"))
        self._tokens, self._lengths = tokens.name, lengths.name
        self._choices = spec.tokenizer.vocabulary_size
        self._longest = spec.limits.max_input_tokens
        self.signature = Signature(
            name=spec.name,
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(
                TensorSpec(name=tokens.name, dtype=tokens.dtype, shape=(-1, -1)),
                # Left out, every row is as long as the tensor.
                TensorSpec(name=lengths.name, dtype=lengths.dtype, shape=(-1, 1), optional=True),
            ),
            outputs=(
                TensorSpec(
                    name=logits.name,
                    dtype=logits.dtype,
                    shape=(-1, *logits.shape),
                    labels=spec.labels,
                ),
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the rows of a request; raises as `AnsweringModel.begin`."""
        rows = self._rows(asked)
        [name] = asked.wanted
        jobs: list[SequenceJob[Result]] = []

        def told(results: Sequence[Result]) -> None:
            done(Answer({name: np.stack(results)}, (), jobs[-1].timing))

        answers = Answers(len(rows), told, failed)
        jobs += [
            SequenceJob[Result](tokens=tokens, reader=answers, index=index, deadline=asked.deadline)
            for index, tokens in enumerate(rows)
        ]
        self._batcher.submit(jobs)
        return answers.leave

    def _rows(self, asked: Asked) -> list[list[int]]:
        tokens = asked.tensors[self._tokens]
        width = tokens.shape[1]
        most = min(width, self._longest)
        lengths = asked.tensors.get(self._lengths)
        counts: list[int] = [width] * len(tokens) if lengths is None else lengths.ravel().tolist()
        for row, count in enumerate(counts):
            if not 0 < count <= most:
                field = f"{self._tokens}[{row}]" if lengths is None else f"{self._lengths}[{row}]"
                raise InvalidRequest.of(field, f"have a length in [1, {most}]", count)
        rows = [row[:count] for row, count in zip(tokens.tolist(), counts, strict=True)]
        for number, row in enumerate(rows):
            if min(row) < 0 or max(row) >= self._choices:
                place = next(n for n, token in enumerate(row) if not 0 <= token < self._choices)
                field = f"{self._tokens}[{number}, {place}]"
                raise InvalidRequest.of(field, f"be in [0, {self._choices - 1}]", row[place])
        return rows


class LabelTexts:
    """A classifier that takes texts and names what they are."""

    def __init__(self, model: ClassificationModel, spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            model: judges texts.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        self._model = model
        self._labels = spec.labels
        self.signature = Signature(
            name=f"{spec.name}.classify",
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(TensorSpec(name=_TEXT, dtype=TEXT, shape=(-1, 1)),),
            outputs=(
                TensorSpec(name=_LABEL, dtype=TEXT, shape=(-1, 1)),
                TensorSpec(
                    name=_PROBABILITIES,
                    dtype="float32",
                    shape=(-1, len(spec.labels)),
                    labels=spec.labels,
                ),
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the texts of a request; raises as `AnsweringModel.begin`."""
        values = asked.tensors[_TEXT].ravel().tolist()
        texts = [text_of(f"{_TEXT}[{n}]", value) for n, value in enumerate(values)]
        count = len(self._labels)
        if not are_long(texts):
            told = (lambda found: done(self._answer(found, asked)), failed)
            return self._model.begin(texts, count, asked.deadline, told)

        async def judge() -> None:
            found = await self._model.classify(
                texts, count, truncate=False, deadline=asked.deadline
            )
            done(self._answer(found, asked))

        return in_background(judge(), failed)

    def _answer(self, found: Sequence[Classification], asked: Asked) -> Answer:
        shares = [dict(verdict.labels) for verdict in found]
        tensors = {
            _LABEL: np.array([[verdict.labels[0][0].encode()] for verdict in found], object),
            _PROBABILITIES: np.array(
                [[share[label] for label in self._labels] for share in shares], np.float32
            ),
        }
        given = {name: tensors[name] for name in asked.wanted}
        return Answer(given, (), found[-1].timing)
