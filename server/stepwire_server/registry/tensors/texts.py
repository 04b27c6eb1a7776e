"""Generators and translators as decoupled models: a text in, pieces of text out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

import numpy as np

from stepwire_server.decoding.options import Options
from stepwire_server.engine.job import FinishReason
from stepwire_server.engine.tensors import Asked, Tensors
from stepwire_server.registry.generation import GenerationModel, Piece
from stepwire_server.registry.signature import TEXT, Kind, Signature, TensorSpec
from stepwire_server.registry.tensors.asked_options import read_options
from stepwire_server.registry.tensors.background import text_of
from stepwire_server.registry.translating import Translation
from stepwire_server.registry.translation import SourceInput, TranslationModel
from stepwire_zoo.manifest import Manifest

# The names that clients of text generators know.
_TEXT, _OPTIONS, _STREAM = "text_input", "sampling_parameters", "stream"
_PIECE, _TOKENS, _REASON = "text_output", "token_ids", "finish_reason"
_REASONS = {
    FinishReason.END_OF_SEQUENCE: b"stop",
    FinishReason.STOP: b"stop",
    FinishReason.LENGTH: b"length",
}


class _Part(NamedTuple):
    """What is new of a text."""

    text: str
    tokens: Sequence[int]
    reason: bytes  # empty: it goes on


class _Writer(Protocol):
    """Writes a text, piece by piece."""

    @property
    def defaults(self) -> dict[str, Any]:
        """Options of a request that says nothing."""
        ...

    def write(self, text: str, options: Options, asked: Asked) -> AsyncIterator[_Part]:
        """Gives the pieces; raises StepwireError."""
        ...


class TextTensors:
    """One text for each request, answered by any number of pieces."""

    def __init__(self, writer: _Writer, spec: Manifest, verb: str) -> None:
        """Makes a model.

        Args:
            writer: does the work.
            spec: the bundle's manifest.
            verb: what it does, the end of the model's name.
        """
        self._writer = writer
        self.signature = Signature(
            name=f"{spec.name}.{verb}",
            version=spec.version,
            kind=Kind.DECOUPLED,
            inputs=(
                _one(_TEXT, TEXT),
                _one(_OPTIONS, TEXT, optional=True),
                _one(_STREAM, "bool", optional=True),
            ),
            outputs=(_one(_PIECE, TEXT), _some(_TOKENS, "int64"), _one(_REASON, TEXT)),
            max_rows=0,
        )

    async def stream(self, asked: Asked) -> AsyncIterator[Tensors]:
        """Gives the pieces of one text; raises as `StreamingModel.stream`."""
        given = asked.tensors
        text = text_of(_TEXT, given[_TEXT][0])
        said = given[_OPTIONS][0] if _OPTIONS in given else None
        options = read_options(said, asked.parameters, self._writer.defaults)
        whole = _STREAM in given and not given[_STREAM][0]
        async with aclosing(self._writer.write(text, options, asked)) as parts:  # type: ignore[type-var]
            if whole:
                yield _tensors(_joined([part async for part in parts]), asked.wanted)
                return
            async for part in parts:
                if part.text or part.tokens or part.reason:
                    yield _tensors(part, asked.wanted)


class Generating:
    """Continues a text."""

    def __init__(self, model: GenerationModel) -> None:
        self._model = model
        self.defaults = model.defaults

    async def write(self, text: str, options: Options, asked: Asked) -> AsyncIterator[_Part]:
        """Gives the pieces of the continuation."""
        call = self._model.generate([text], 1, options, asked.deadline, caller=asked.caller)
        async with call as rounds:
            async for pieces in rounds:
                for piece in pieces:
                    yield _generated(piece)


class Translating:
    """Translates a text."""

    def __init__(self, model: TranslationModel) -> None:
        self._model = model
        self.defaults = model.defaults

    async def write(self, text: str, options: Options, asked: Asked) -> AsyncIterator[_Part]:
        """Gives the pieces of the translation."""
        source = SourceInput(source=text)
        async with self._model.translate([source], options, asked.deadline) as rounds:
            async for news in rounds:
                for each in news:
                    yield _translated(each)


def _generated(piece: Piece) -> _Part:
    if piece.summary is None:
        return _Part(piece.text, piece.tokens, b"")
    tokens = piece.answers[0].tokens if piece.answers else piece.tokens
    return _Part(piece.text, tokens, _REASONS[piece.summary.ended.reason])


def _translated(news: Translation) -> _Part:
    if news.summary is None:
        return _Part(news.text, (), b"")
    tokens = news.answers[0].tokens if news.answers else ()
    return _Part(news.text, tokens, _REASONS[news.summary.ended.reason])


def _joined(parts: Sequence[_Part]) -> _Part:
    tokens = [token for part in parts for token in part.tokens]
    return _Part("".join(part.text for part in parts), tokens, parts[-1].reason)


def _tensors(part: _Part, wanted: Sequence[str]) -> Tensors:
    values = {
        _PIECE: np.array([part.text.encode()], object),
        _TOKENS: np.array(part.tokens, np.int64),
        _REASON: np.array([part.reason], object),
    }
    return {name: values[name] for name in wanted}


def _one(name: str, dtype: str, *, optional: bool = False) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=(1,), batch_axis=None, optional=optional)


def _some(name: str, dtype: str) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=(-1,), batch_axis=None)
