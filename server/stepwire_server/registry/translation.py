"""A model that translates: reads a source whole, then writes step by step while looking at it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stepwire_server.decoding.options import Limits, Options, defaults
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.errors import InvalidRequest
from stepwire_server.metrics import ModelMetrics
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.reading import Reading, SourceReader
from stepwire_server.registry.saved import Saved
from stepwire_server.registry.scoring import (
    Score,
    ScoreInput,
    ScoringModel,
    score_all,
    scoring_jobs,
)
from stepwire_server.registry.sequences import (
    Writer,
)
from stepwire_server.registry.stream import DeliveryStream
from stepwire_server.registry.text import Prompt, Tokenizer
from stepwire_server.registry.translating import Call, Task, Translation, width
from stepwire_zoo.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class SourceInput:
    """What to translate, and how the translation must or should begin."""

    source: Prompt
    prefix: Prompt | None = None


@dataclass(frozen=True, kw_only=True)
class TranslationParts:
    """What a translator works with."""

    engine: AnyEngine  # steps the decoder
    reader: SourceReader  # encodes sources
    source_tokenizer: Tokenizer
    tokenizer: Tokenizer  # of translations
    metrics: ModelMetrics


class TranslationModel(ScoringModel):
    """Tokenises sources, has them encoded and decoded, and turns tokens back into text."""

    origin: Origin  # of its states

    def __init__(
        self, parts: TranslationParts, spec: Manifest, limits: Limits, buffer_tokens: int
    ) -> None:
        """Makes a model.

        Args:
            parts: what does the work.
            spec: its manifest.
            limits: of what may be asked.
            buffer_tokens: undelivered tokens at which a job is parked.
        """
        self._engine, self._reader, self._metrics = parts.engine, parts.reader, parts.metrics
        self._source_tokenizer, self._tokenizer = parts.source_tokenizer, parts.tokenizer
        self._spec = spec
        self._begin = spec.tokenizer.begin
        self._buffer_tokens = buffer_tokens
        self.limits = limits
        self.defaults = defaults(limits, spec.decoding)
        self._texts: dict[int, str] = {}  # of tokens by themselves, as they are asked for

    def token_text(self, token: int) -> str:
        """The text of one token by itself."""
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts[token]

    @asynccontextmanager
    async def translate(
        self,
        inputs: Sequence[SourceInput | Saved],
        options: Options,
        deadline: float | None,
        save_every: int = 0,
    ) -> AsyncIterator[AsyncIterator[list[Translation]]]:
        """Starts a call; leaving the block frees whatever of it still runs.

        Args:
            inputs: at least one, or translations to go on with.
            options: for all that begin.
            deadline: of the monotonic clock; it bounds the time in the queues.
            save_every: tokens of a translation after which it is told whole; 0: never.

        Yields:
            Rounds of what is new, at most one for each source in a round.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was started.
        """
        options.check_against(self.limits)
        arrived_at = time.monotonic()
        plans = await self._plans(inputs, options)
        stream = DeliveryStream(self._engine, self._buffer_tokens)
        call = Call(self._engine, stream, arrived_at)
        readings = self._reader.read([plan.tokens for plan in plans], deadline)
        try:
            self._engine.promise([width(plan) for plan in plans])
            self._metrics.resumed.inc(sum(bool(plan.rows) for plan in plans))
            for index, (plan, reading) in enumerate(zip(plans, readings, strict=True)):
                call.add(self._task(index, plan, reading, save_every), reading, deadline)
            yield self._rounds(call, stream)
        finally:
            for reading in readings:
                reading.leave()
            call.leave()

    async def _plans(self, inputs: Sequence[SourceInput | Saved], options: Options) -> list[Saved]:
        """What is to be done of each source: a translation that begins has nothing yet."""
        fresh = {n: entry for n, entry in enumerate(inputs) if isinstance(entry, SourceInput)}
        sources = await self._read_sources(
            "sources", [entry.source for entry in fresh.values()], ("text", "tokens"), list(fresh)
        )
        prefixes = await self._read_prefixes({n: entry.prefix for n, entry in fresh.items()})
        begun = {
            n: Saved(tokens=tuple(source), prefix=tuple(prefixes[n]), options=options)
            for n, source in zip(fresh, sources, strict=True)
        }
        for entry in inputs:
            if isinstance(entry, Saved):
                entry.options.check_against(self.limits)
        return [entry if isinstance(entry, Saved) else begun[n] for n, entry in enumerate(inputs)]

    def _task(self, index: int, plan: Saved, reading: Reading, save_every: int) -> Task:
        """What one source needs until it is done."""
        source, prefix, options = list(plan.tokens), list(plan.prefix), plan.options
        wish = prefix if options.prefix_bias_beta else []
        forced = [] if wish else prefix
        words: list[str] = []
        if options.attends:
            words = [self._source_tokenizer.decode([token]) for token in source]
        writer = Writer(
            self._tokenizer,
            prefix=forced,
            unknown=self._spec.tokenizer.unknown if options.replace_unknowns else None,
            source_words=words,
        )
        return Task(
            index=index,
            plan=plan,
            save_every=save_every,
            words=tuple(words) if options.return_attention else (),
            prompt=[*self._begun(), *forced],
            wish=wish,
            writer=writer,
            end=self._spec.tokenizer.end,
            was_kept=reading.was_kept,
        )

    async def _rounds(self, call: Call, stream: DeliveryStream) -> AsyncIterator[list[Translation]]:
        sent_at = 0.0
        while call.is_open:
            for news in call.absorb(*await stream.take()):
                now = time.monotonic()
                if sent_at:
                    self._metrics.piece_interval_seconds.observe(now - sent_at)
                else:
                    self._metrics.first_piece_seconds.observe(now - call.arrived_at)
                sent_at = now
                yield news
            # A reader that lags has more to take: let others have their turn first.
            await asyncio.sleep(0)

    async def score(
        self, inputs: Sequence[ScoreInput], deadline: float | None
    ) -> AsyncGenerator[list[Score], None]:
        """Says how likely given translations are; yields scores as they are ready."""
        sources = []
        for index, entry in enumerate(inputs):
            if entry.source is None:
                raise InvalidRequest.of(
                    f"inputs[{index}].source", "be set for a translator", "none"
                )
            sources.append(entry.source)
        names = ("source_text", "source_tokens")
        encoded = await self._read_sources("inputs", sources, names)
        written = await self._tokenizer.read_all("inputs", [entry.target for entry in inputs])
        readings = self._reader.read(encoded, deadline)
        ends = [] if self._spec.tokenizer.end is None else [self._spec.tokenizer.end]
        prompts = [[*self._begun(), *tokens, *ends] for tokens in written]
        try:
            found = [await reading.wait() for reading in readings]
            jobs = scoring_jobs(prompts, found)
            async for scores in score_all(self._engine, jobs, deadline, self._buffer_tokens):
                yield scores
        finally:
            for reading in readings:
                reading.leave()

    def _begun(self) -> list[int]:
        return [] if self._begin is None else [self._begin]

    async def _read_sources(
        self,
        collection: str,
        sources: Sequence[Prompt],
        names: tuple[str, str],
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        places = range(len(sources)) if places is None else places
        all_tokens = await self._source_tokenizer.read_all(collection, sources, names, places)
        for place, source, tokens in zip(places, sources, all_tokens, strict=True):
            if not tokens:
                name = names[0] if isinstance(source, str) else names[1]
                field = f"{collection}[{place}].{name}"
                raise InvalidRequest.of(field, "hold at least one token", "none")
        return all_tokens

    async def _read_prefixes(self, prefixes: Mapping[int, Prompt | None]) -> dict[int, list[int]]:
        given = {i: prefix for i, prefix in prefixes.items() if prefix}
        names = ("prefix_text", "prefix_tokens")
        read = await self._tokenizer.read_all("sources", list(given.values()), names, list(given))
        found = dict(zip(given, read, strict=True))
        for index, tokens in found.items():
            self._check_prefix(index, tokens)
        return {index: found.get(index, []) for index in prefixes}

    def _check_prefix(self, index: int, tokens: list[int]) -> None:
        field = f"sources[{index}].target_prefix"
        if self._spec.tokenizer.unknown in tokens:
            raise InvalidRequest.of(field, "hold only tokens that the model knows", "an unknown")
        if len(tokens) > self.limits.max_new_tokens:
            allowed = f"have at most {self.limits.max_new_tokens} tokens"
            raise InvalidRequest.of(field, allowed, len(tokens))
