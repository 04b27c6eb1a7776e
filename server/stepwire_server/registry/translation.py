"""A model that translates: reads a source whole, then writes step by step while looking at it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from stepwire_server.decoding.options import Limits, Options, defaults
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.job import Delivery, Ended, Job, Kind, SearchUpdate
from stepwire_server.engine.sources import Source
from stepwire_server.errors import InvalidRequest, StepwireError
from stepwire_server.metrics import ModelMetrics
from stepwire_server.registry.reading import Reading, SourceReader
from stepwire_server.registry.scoring import (
    Score,
    ScoreInput,
    ScoringModel,
    score_all,
    scoring_jobs,
)
from stepwire_server.registry.sequences import Answer, Drawn, Searched, Writer
from stepwire_server.registry.stream import DeliveryStream
from stepwire_server.registry.text import Prompt, Tokenizer
from stepwire_zoo.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class SourceInput:
    """What to translate, and how the translation must or should begin."""

    source: Prompt
    prefix: Prompt | None = None


@dataclass(frozen=True, kw_only=True)
class TranslationSummary:
    """What one source cost."""

    source_tokens: int
    source_words: tuple[str, ...]  # texts of those tokens, if the attention was asked for
    generated_tokens: int
    seed: int
    was_kept: bool
    ended: Ended  # its times count from the arrival of the call


@dataclass(kw_only=True)
class Translation:
    """What is new of one source."""

    index: int
    text: str = ""
    tail: str = ""
    answers: Sequence[Answer] = ()
    summary: TranslationSummary | None = None


@dataclass(frozen=True, kw_only=True)
class TranslationParts:
    """What a translator works with."""

    engine: Engine  # steps the decoder
    reader: SourceReader  # encodes sources
    source_tokenizer: Tokenizer
    tokenizer: Tokenizer  # of translations
    metrics: ModelMetrics


class TranslationModel(ScoringModel):
    """Tokenises sources, has them encoded and decoded, and turns tokens back into text."""

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
        self, inputs: Sequence[SourceInput], options: Options, deadline: float | None
    ) -> AsyncIterator[AsyncIterator[list[Translation]]]:
        """Starts a call; leaving the block frees whatever of it still runs.

        Args:
            inputs: at least one.
            options: for all of them.
            deadline: of the monotonic clock; it bounds the time in the queues.

        Yields:
            Rounds of what is new, at most one for each source in a round.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was started.
        """
        options.check_against(self.limits)
        arrived_at = time.monotonic()
        sources = await self._read_sources(
            "sources", [entry.source for entry in inputs], ("text", "tokens")
        )
        prefixes = await self._read_prefixes([entry.prefix for entry in inputs])
        stream = DeliveryStream(self._engine, self._buffer_tokens)
        call = _Call(self._engine, stream, arrived_at)
        readings = self._reader.read(sources, deadline)
        try:
            self._engine.promise(len(inputs), _width(options))
            for index, reading in enumerate(readings):
                task = self._task(index, sources[index], prefixes[index], options, reading)
                call.add(task, reading, deadline)
            yield self._rounds(call, stream)
        finally:
            for reading in readings:
                reading.leave()
            call.leave()

    def _task(
        self, index: int, source: list[int], prefix: list[int], options: Options, reading: Reading
    ) -> "_Task":
        """What one source needs until it is done."""
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
        return _Task(
            index=index,
            source=source,
            words=tuple(words) if options.return_attention else (),
            prompt=[*self._begun(), *forced],
            wish=wish,
            options=options,
            writer=writer,
            end=self._spec.tokenizer.end,
            was_kept=reading.was_kept,
        )

    async def _rounds(
        self, call: "_Call", stream: DeliveryStream
    ) -> AsyncIterator[list[Translation]]:
        sent_at = 0.0
        while call.is_open:
            news = call.absorb(*await stream.take())
            if news:
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
        self, collection: str, sources: Sequence[Prompt], names: tuple[str, str]
    ) -> list[list[int]]:
        all_tokens = await self._source_tokenizer.read_all(collection, sources, names)
        for index, tokens in enumerate(all_tokens):
            if not tokens:
                name = names[0] if isinstance(sources[index], str) else names[1]
                field = f"{collection}[{index}].{name}"
                raise InvalidRequest.of(field, "hold at least one token", "none")
        return all_tokens

    async def _read_prefixes(self, prefixes: Sequence[Prompt | None]) -> list[list[int]]:
        given = {i: prefix for i, prefix in enumerate(prefixes) if prefix}
        names = ("prefix_text", "prefix_tokens")
        read = await self._tokenizer.read_all("sources", list(given.values()), names, list(given))
        found = dict(zip(given, read, strict=True))
        for index, tokens in found.items():
            self._check_prefix(index, tokens)
        return [found.get(index, []) for index in range(len(prefixes))]

    def _check_prefix(self, index: int, tokens: list[int]) -> None:
        field = f"sources[{index}].target_prefix"
        if self._spec.tokenizer.unknown in tokens:
            raise InvalidRequest.of(field, "hold only tokens that the model knows", "an unknown")
        if len(tokens) > self.limits.max_new_tokens:
            allowed = f"have at most {self.limits.max_new_tokens} tokens"
            raise InvalidRequest.of(field, allowed, len(tokens))


def _width(options: Options) -> int:
    """Rows that one source needs."""
    return options.beam_width if options.searches else options.num_hypotheses


@dataclass(kw_only=True)
class _Task:
    """One source of a call, until its answers are complete."""

    index: int
    source: list[int]
    words: tuple[str, ...]
    prompt: list[int]
    wish: list[int]
    options: Options
    writer: Writer
    end: int | None
    was_kept: bool
    job: Job | None = None
    searched: Searched | None = None
    drawn: dict[int, Drawn] = field(default_factory=dict)  # by sample
    ended: dict[int, Ended] = field(default_factory=dict)  # by sample

    def begin(self, engine: Engine, source: Source, sink: DeliveryStream) -> Job:
        """Makes its job, now that its source is encoded."""
        searches = self.options.searches
        job = self.job = Job(
            self.prompt,
            self.options,
            sink,
            samples=_width(self.options),
            index=self.index,
            kind=Kind.SEARCH if searches else Kind.CHOOSE,
            source=source,
            wish=self.wish,
            scored=True,
        )
        if searches:
            self.searched = Searched(self.writer, job, self.end)
        else:
            self.drawn = {n: Drawn(engine, self.writer, job) for n in range(job.samples)}
        return job

    def update(self, update: SearchUpdate) -> Translation:
        """Takes how its search stands."""
        assert self.searched
        news = self.searched.absorb(update)
        result = Translation(index=self.index, text=news.text, tail=news.tail)
        if news.ended:
            self._close(result, self.searched.answers(), news.ended)
        return result

    def absorb(self, deliveries: Sequence[Delivery]) -> Translation:
        """Takes tokens of its samples; the text of a single one can be told as it comes."""
        by_sample: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            by_sample.setdefault(delivery.row.sample, []).append(delivery)
        result = Translation(index=self.index)
        for sample, part in by_sample.items():
            if sample in self.ended:
                continue  # the engine may have run on behind a stop text
            news = self.drawn[sample].absorb(part)
            # Which of several will be best, and what replaces a word, is known at the end.
            if len(self.drawn) == 1 and not self.options.replace_unknowns:
                result.text += news.text
            if news.ended:
                self.ended[sample] = news.ended
        if len(self.ended) == len(self.drawn):
            self._close_drawn(result)
        return result

    def _close_drawn(self, result: Translation) -> None:
        answers = [drawn.answer(self.ended[sample]) for sample, drawn in self.drawn.items()]
        if not self.options.return_alternatives:  # those come in the order of their first tokens
            answers.sort(key=lambda answer: -answer.score)
        if len(self.drawn) > 1 or self.options.replace_unknowns:
            result.text = answers[0].text
        last = max(self.ended.values(), key=lambda ended: ended.total_s)
        self._close(result, answers, last)

    def _close(self, result: Translation, answers: list[Answer], ended: Ended) -> None:
        result.answers = answers
        result.summary = TranslationSummary(
            source_tokens=len(self.source),
            source_words=self.words,
            generated_tokens=len(answers[0].tokens),
            seed=self.options.seed,
            was_kept=self.was_kept,
            ended=ended,
        )


class _Call:
    """All sources of a call, by their jobs; on the event loop's thread."""

    def __init__(self, engine: Engine, stream: DeliveryStream, arrived_at: float) -> None:
        self._engine = engine
        self._stream = stream
        self.arrived_at = arrived_at
        self._promised = 0
        self._open: dict[Job, _Task] = {}
        self._left = False

    @property
    def is_open(self) -> bool:
        """Whether a source is not done."""
        return bool(self._promised or self._open)

    def add(self, task: _Task, reading: Reading, deadline: float | None) -> None:
        """Takes one source in; it has its place in the engine's queue already."""
        self._promised += 1

        def use(source: Source) -> None:
            if self._left:
                return
            job = task.begin(self._engine, source, self._stream)
            job.deadline = deadline
            self._promised -= 1
            self._open[job] = task
            try:
                self._engine.keep_promise(job)
            except StepwireError as error:
                self._stream.fail(job, error)

        reading.then(use, self._stream.fail_all)

    def absorb(
        self, deliveries: Sequence[Delivery], updates: Sequence[SearchUpdate]
    ) -> list[Translation]:
        """Turns what the engine gave into at most one piece of news for each source."""
        by_job: dict[Job, list[Delivery]] = {}
        for delivery in deliveries:
            by_job.setdefault(delivery.job, []).append(delivery)
        news = [self._open[job].absorb(part) for job, part in by_job.items() if job in self._open]
        news += [self._open[u.job].update(u) for u in updates if u.job in self._open]
        done = {translation.index for translation in news if translation.summary}
        for job in [job for job, task in self._open.items() if task.index in done]:
            self._late(news, job)
            del self._open[job]
        return [one for one in news if one.text or one.tail or one.summary]

    def leave(self) -> None:
        """Frees whatever still runs or waits."""
        self._left = True
        if self._promised:
            self._engine.break_promise(self._promised)
            self._promised = 0
        if self._open:
            self._engine.cancel(list(self._open))

    def _late(self, news: list[Translation], job: Job) -> None:
        """Lets the times of a summary count from the arrival of the call."""
        late = job.arrived_at - self.arrived_at
        for translation in news:
            if translation.summary and translation.index == job.index:
                ended = translation.summary.ended
                ended = Ended(ended.reason, *(seconds + late for seconds in ended[1:]))
                translation.summary = replace(translation.summary, ended=ended)
