"""Taggers as named tensors: words and their characters in, logits out; or texts in, tags out.

Shapes: N rows, T words of the longest row, C characters of a word, L labels of words, K of texts.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.batcher import Batcher, Tagged
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed, Timing
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec
from stepwire_server.registry.tagging import TaggedText, TaggingModel
from stepwire_server.registry.tensors import rows
from stepwire_server.registry.tensors.background import in_background, text_of
from stepwire_zoo.manifest import Manifest

_TEXT, _TOKENS = "text", "tokens"


class TagTensors:
    """The sequence graph of a tagger: rows share batches with the texts of everybody else."""

    def __init__(self, batcher: Batcher[Tagged], spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            batcher: runs the graph.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        assert spec.characters is not None
        self._batcher = batcher
        tokens, characters, lengths, logits = rows.by_role(
            spec, "tokens", "characters", "lengths", "logits"
        )
        self._tokens, self._characters = tokens.name, characters.name
        self._lengths, self._logits = lengths.name, logits.name
        judging = [t for t in spec.graphs["sequence"].outputs if t.role == "text_logits"]
        self._text_logits = judging[0].name if judging else ""
        self._choices = {
            tokens.name: spec.tokenizer.vocabulary_size,
            characters.name: spec.characters.vocabulary_size,
        }
        self._longest = spec.limits.max_input_tokens
        self.signature = Signature(
            name=spec.name,
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(
                TensorSpec(name=tokens.name, dtype=tokens.dtype, shape=(-1, -1)),
                TensorSpec(
                    name=characters.name, dtype=characters.dtype, shape=(-1, *characters.shape)
                ),
                rows.lengths_spec(lengths),
            ),
            outputs=(
                rows.logits_spec(logits, spec.labels),
                *(rows.logits_spec(tensor, spec.text_labels) for tensor in judging),
            ),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the rows of a request; raises as `AnsweringModel.begin`.

        The answer has zeros behind the words of a row.
        """
        found, width = self._rows(asked), asked.tensors[self._tokens].shape[1]

        def told(results: Sequence[Tagged], timing: Timing) -> None:
            given = {self._logits: _padded([result.logits for result in results], width)}
            judged = [each.text_logits for each in results if each.text_logits is not None]
            if judged:
                given[self._text_logits] = np.stack(judged)
            done(Answer({name: given[name] for name in asked.wanted}, (), timing))

        return rows.run(self._batcher, found, asked, told, failed)

    def _rows(self, asked: Asked) -> list[NDArray[np.int64]]:
        """The rows of a request as the graph reads them, [T, 1 + C] each."""
        tokens, characters = (asked.tensors[name] for name in (self._tokens, self._characters))
        if characters.shape[1] != tokens.shape[1]:
            allowed = f"have the characters of {tokens.shape[1]} words"
            raise InvalidRequest.of(self._characters, allowed, characters.shape[1])
        counts = rows.counts(asked, self._tokens, self._lengths, self._longest)
        words = np.concatenate([tokens[:, :, None], characters], axis=2)
        found = [row[:count] for row, count in zip(words, counts, strict=True)]
        for number, row in enumerate(found):
            self._check(self._tokens, number, row[:, 0])
            self._check(self._characters, number, row[:, 1:])
        return found

    def _check(self, name: str, number: int, values: NDArray[np.int64]) -> None:
        """Raises InvalidRequest if a number is none of the vocabulary's."""
        choices = self._choices[name]
        wrong = np.argwhere((values < 0) | (values >= choices))
        if len(wrong):
            place = ", ".join(map(str, wrong[0].tolist()))
            got = int(values[tuple(wrong[0])])
            raise InvalidRequest.of(f"{name}[{number}, {place}]", f"be in [0, {choices - 1}]", got)


def _padded(logits: Sequence[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    """Those of rows, [T, L] each, zeros behind them: [N, width, L]."""
    found = np.zeros((len(logits), width, logits[0].shape[1]), np.float32)
    for row, each in zip(found, logits, strict=True):
        row[: len(each)] = each
    return found


class TagTexts:
    """A tagger that takes texts and tells their words with their tags, as JSON."""

    def __init__(self, model: TaggingModel, spec: Manifest, max_rows: int) -> None:
        """Makes a model.

        Args:
            model: tags texts.
            spec: the bundle's manifest.
            max_rows: of one request.
        """
        self._model = model
        self.signature = Signature(
            name=f"{spec.name}.tag",
            version=spec.version,
            kind=Kind.PLAIN,
            inputs=(TensorSpec(name=_TEXT, dtype=TEXT, shape=(-1, 1)),),
            outputs=(TensorSpec(name=_TOKENS, dtype=TEXT, shape=(-1, 1)),),
            max_rows=max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the texts of a request; raises as `AnsweringModel.begin`."""
        values = asked.tensors[_TEXT].ravel().tolist()
        texts = [text_of(f"{_TEXT}[{n}]", value) for n, value in enumerate(values)]
        [name] = asked.wanted

        async def tag() -> None:
            found = await self._model.tag(texts, 1, truncate=False, deadline=asked.deadline)
            told = np.array([[_as_json(result)] for result in found], object)
            done(Answer({name: told}, (), found[-1].timing))

        return in_background(tag(), failed)


def _as_json(result: TaggedText) -> bytes:
    tokens = [
        {"text": word, "start": start, "end": end, "tag": tags[0][0], "score": tags[0][1]}
        for word, (start, end), tags in zip(
            result.cut.words, result.cut.spans, result.tags, strict=True
        )
    ]
    told: dict[str, Any] = {"tokens": tokens}
    if result.labels:
        told["labels"] = [{"label": label, "score": score} for label, score in result.labels]
    return json.dumps(told, ensure_ascii=False).encode()
