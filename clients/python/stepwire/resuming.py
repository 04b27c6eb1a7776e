"""Streams that outlive their server: what to ask of the next one, and what it repeats.

A stream that was asked for resume tokens goes on from the latest of each sequence. What had
come behind it comes once more, the very same, and is not handed out again.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from stepwire.messages import Piece, TranslationUpdate
from stepwire.v1 import generation_pb2

ItemT = TypeVar("ItemT", Piece, TranslationUpdate)
HeardT = TypeVar("HeardT")
RequestT = TypeVar("RequestT", generation_pb2.GenerateRequest, generation_pb2.TranslateRequest)

_SEED_BITS = 64


class Journal(Protocol[HeardT]):
    """What became of a request so far."""

    @property
    def outlives(self) -> bool:
        """Whether another attempt can go on where this one ends."""
        ...

    def hear(self, item: HeardT) -> HeardT | None:
        """Takes what came, and gives what is new of it."""
        ...


@dataclass
class _Count:
    """Characters or tokens of one sequence."""

    heard: int = 0  # on this attempt, counted from the sequence's beginning
    told: int = 0  # handed out
    saved: int = 0  # before the latest resume token

    def hear(self, count: int) -> int:
        """Takes so many; returns how many of them were handed out before."""
        old = min(count, max(0, self.told - self.heard))
        self.heard += count
        self.told = max(self.told, self.heard)
        return old


class _Progress(Generic[ItemT]):
    """One sequence as far as it came."""

    def __init__(self) -> None:
        self._characters, self._tokens = _Count(), _Count()
        self.token = b""  # the latest; empty: it would have to begin again
        self.is_done = False

    def go_on(self) -> None:
        """Begins to hear again what lies behind the latest token."""
        for count in (self._characters, self._tokens):
            count.heard = count.saved

    def hear(self, item: ItemT) -> ItemT:
        """Takes what came, and gives what is new of it."""
        self.is_done = item.is_last
        characters = self._characters.hear(len(item.text))
        tokens = self._tokens.hear(len(item.token_ids) if isinstance(item, Piece) else 0)
        if item.resume_token:
            self.token = item.resume_token.value
            for count in (self._characters, self._tokens):
                count.saved = count.heard
        if isinstance(item, Piece):
            return replace(
                item,
                text=item.text[characters:],
                token_ids=item.token_ids[tokens:],
                logprobs=item.logprobs[tokens:],
            )
        return replace(item, text=item.text[characters:])


class _Request(Generic[RequestT]):
    """What was asked, in a form that can be asked again."""

    def __init__(self, request: RequestT) -> None:
        self._asked: RequestT = request
        if self.outlives and not request.options.HasField("seed"):
            request.options.seed = secrets.randbits(_SEED_BITS)

    @property
    def outlives(self) -> bool:
        """Whether another attempt can go on where this one ends."""
        return self._asked.resume_every > 0


class GenerationJournal(_Request[generation_pb2.GenerateRequest]):
    """What became of a generation."""

    def __init__(self, request: generation_pb2.GenerateRequest) -> None:
        """Takes what is asked."""
        super().__init__(request)
        self._progress: dict[tuple[int, int], _Progress[Piece]] = {}
        # What the prompts of the current attempt stand for: a prompt, and one of its samples.
        self._places: Sequence[tuple[int, int | None]] = ()

    def request(self) -> generation_pb2.GenerateRequest:
        """What to ask now."""
        asked = generation_pb2.GenerateRequest()
        asked.CopyFrom(self._asked)
        del asked.prompts[:]
        places: list[tuple[int, int | None]] = []
        for number, prompt in enumerate(self._asked.prompts):
            known = {s: p for (n, s), p in self._progress.items() if n == number}
            for sample, progress in known.items():
                progress.go_on()
                if progress.token and not progress.is_done:
                    asked.prompts.add(resume_token=progress.token)
                    places.append((number, sample))
            wanted = 1 if prompt.resume_token else max(1, self._asked.n)
            if len(known) < wanted or not all(p.token or p.is_done for p in known.values()):
                asked.prompts.append(prompt)
                places.append((number, None))
        self._places = places
        return asked

    def hear(self, item: Piece) -> Piece | None:
        """Takes a piece, and gives what is new of it."""
        number, sample = self._places[item.prompt_index]
        progress = self._progress.setdefault((number, item.sample_index), _Progress())
        # A prompt that begins again brings its other samples along.
        if progress.is_done or (sample is None and (number, item.sample_index) in self._places):
            return None
        new = progress.hear(replace(item, prompt_index=number))
        return (
            new
            if new.token_ids or new.text or new.tail or new.is_last or new.resume_token
            else None
        )


class TranslationJournal(_Request[generation_pb2.TranslateRequest]):
    """What became of a translation."""

    def __init__(self, request: generation_pb2.TranslateRequest) -> None:
        """Takes what is asked."""
        super().__init__(request)
        self._progress: list[_Progress[TranslationUpdate]] = [_Progress() for _ in request.sources]
        self._places: Sequence[int] = ()  # of the current attempt's sources

    def request(self) -> generation_pb2.TranslateRequest:
        """What to ask now."""
        asked = generation_pb2.TranslateRequest()
        asked.CopyFrom(self._asked)
        del asked.sources[:]
        self._places = [n for n, progress in enumerate(self._progress) if not progress.is_done]
        for number in self._places:
            progress = self._progress[number]
            progress.go_on()
            if progress.token:
                asked.sources.add(resume_token=progress.token)
            else:
                asked.sources.append(self._asked.sources[number])
        return asked

    def hear(self, item: TranslationUpdate) -> TranslationUpdate | None:
        """Takes an update, and gives what is new of it."""
        number = self._places[item.source_index]
        new = self._progress[number].hear(replace(item, source_index=number))
        return new if _tells(new) else None


def _tells(item: Piece | TranslationUpdate) -> bool:
    return bool(item.text or item.tail or item.is_last or item.resume_token)
