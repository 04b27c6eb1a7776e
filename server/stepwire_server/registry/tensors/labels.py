"""Classifiers as named tensors: tokens in, logits out; or texts in, labels out.

Those that have attention give it too: what their tokens weighed. Shapes: N rows, T tokens of
the longest row, L labels.
"""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.batcher import Batcher, Judged
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed, Timing
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.classification import (
    Classification,
    ClassificationModel,
    Judging,
)
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec
from stepwire_server.registry.tensors import rows
from stepwire_server.registry.tensors.background import in_background, text_of
from stepwire_server.registry.text import are_long
from stepwire_zoo.manifest import Manifest

_TEXT, _LABEL, _PROBABILITIES, _TOKENS = "text", "label", "probabilities", "tokens"


class LabelTensors:
    """The sequence graph of a classifier: rows share batches with the texts of everybody else."""

    def __init__(self, batcher: Batcher[Judged], spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            batcher: runs the graph.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        self._batcher = batcher
        tokens, lengths, logits = rows.by_role(spec, "tokens", "lengths", "logits")
        self._tokens, self._lengths = tokens.name, lengths.name
        self._choices = spec.tokenizer.vocabulary_size
        self._longest = spec.limits.max_input_tokens
        self._logits = logits.name
        looked = [t for t in spec.graphs["sequence"].outputs if t.role == "attention"]
        self.signature = Signature(
            name=spec.name,
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(
                TensorSpec(name=tokens.name, dtype=tokens.dtype, shape=(-1, -1)),
                rows.lengths_spec(lengths),
            ),
            outputs=(
                rows.logits_spec(logits, spec.labels),
                *(TensorSpec(name=t.name, dtype=t.dtype, shape=(-1, -1)) for t in looked),
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the rows of a request; raises as `AnsweringModel.begin`.

        Attention is zero behind the tokens of a row.
        """
        width = asked.tensors[self._tokens].shape[1]

        def told(results: Sequence[Judged], timing: Timing) -> None:
            given = {
                name: np.stack([each.logits for each in results])
                if name == self._logits
                else _attention(results, width)
                for name in asked.wanted
            }
            done(Answer(given, (), timing))

        return rows.run(self._batcher, self._rows(asked), asked, told, failed)

    def _rows(self, asked: Asked) -> list[list[int]]:
        tokens = asked.tensors[self._tokens].tolist()
        counts = rows.counts(asked, self._tokens, self._lengths, self._longest)
        found = [row[:count] for row, count in zip(tokens, counts, strict=True)]
        for number, row in enumerate(found):
            if min(row) < 0 or max(row) >= self._choices:
                place = next(n for n, token in enumerate(row) if not 0 <= token < self._choices)
                field = f"{self._tokens}[{number}, {place}]"
                raise InvalidRequest.of(field, f"be in [0, {self._choices - 1}]", row[place])
        return found


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
        self._labels = model.labels
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
                    shape=(-1, len(model.labels)),
                    labels=model.labels,
                ),
                *([TensorSpec(name=_TOKENS, dtype=TEXT, shape=(-1, 1))] if model.attends else ()),
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the texts of a request; raises as `AnsweringModel.begin`."""
        values = asked.tensors[_TEXT].ravel().tolist()
        texts = [text_of(f"{_TEXT}[{n}]", value) for n, value in enumerate(values)]
        wanted = Judging(top_k=len(self._labels), return_attention=_TOKENS in asked.wanted)
        if not are_long(texts):
            told = (lambda found: done(self._answer(found, asked)), failed)
            return self._model.begin(texts, wanted, asked.deadline, told)

        async def judge() -> None:
            found = await self._model.classify(texts, wanted, asked.deadline)
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
        if _TOKENS in asked.wanted:
            tensors[_TOKENS] = np.array([[_as_json(verdict)] for verdict in found], object)
        given = {name: tensors[name] for name in asked.wanted}
        return Answer(given, (), found[-1].timing)


def _attention(results: Sequence[Judged], width: int) -> NDArray[np.float32]:
    """What the tokens of rows weighed, [N, T]."""
    found = np.zeros((len(results), width), np.float32)
    for row, result in zip(found, results, strict=True):
        if result.attention is not None:
            row[: len(result.attention)] = result.attention
    return found


def _as_json(verdict: Classification) -> bytes:
    tokens = [token._asdict() for token in verdict.tokens]
    return json.dumps({"tokens": tokens}, ensure_ascii=False).encode()
