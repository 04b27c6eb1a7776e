"""A model that translates: reads a source whole, then writes step by step while looking at it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stepwire_server.decoding.options import Limits, Options, defaults
from stepwire_server.engine.job import (
    Delivery,
    Ended,
    Job,
    Kind,
    SavedSearch,
    SearchUpdate,
)
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.engine.sources import Source
from stepwire_server.errors import InvalidRequest, StepwireError
from stepwire_server.metrics import ModelMetrics
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.reading import Reading, SourceReader
from stepwire_server.registry.saved import Saved, SavedDrawn
from stepwire_server.registry.scoring import (
    Score,
    ScoreInput,
    ScoringModel,
    score_all,
    scoring_jobs,
)
from stepwire_server.registry.sequences import (
    Answer,
    Drawn,
    Searched,
    Writer,
    resumed_job,
    until_saved,
)
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
    saved: Saved | None = None  # the translation right behind this


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
        call = _Call(self._engine, stream, arrived_at)
        readings = self._reader.read([plan.tokens for plan in plans], deadline)
        try:
            self._engine.promise([_width(plan) for plan in plans])
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

    def _task(self, index: int, plan: Saved, reading: Reading, save_every: int) -> "_Task":
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
        return _Task(
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

    async def _rounds(
        self, call: "_Call", stream: DeliveryStream
    ) -> AsyncIterator[list[Translation]]:
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


def _width(plan: Saved) -> int:
    """Rows that one source needs."""
    options = plan.options
    if plan.rows:
        return len(plan.rows)
    return options.beam_width if options.searches else options.num_hypotheses


@dataclass(kw_only=True)
class _Task:
    """One source of a call, until its answers are complete."""

    index: int
    plan: Saved  # what to do, or where to go on
    save_every: int
    words: tuple[str, ...]
    prompt: list[int]
    wish: list[int]
    writer: Writer
    end: int | None
    was_kept: bool
    job: Job | None = None
    searched: Searched | None = None
    drawn: dict[int, Drawn] = field(default_factory=dict)  # by sample
    ended: dict[int, Ended] = field(default_factory=dict)  # by sample
    saved: dict[int, SavedDrawn] = field(default_factory=dict)  # by sample, the latest
    over: dict[int, SavedDrawn] = field(default_factory=dict)  # by sample, those that ended
    told: int = 0  # tokens when it was last told whole

    @property
    def options(self) -> Options:
        """How its tokens are chosen."""
        return self.plan.options

    def begin(self, engine: AnyEngine, source: Source, sink: DeliveryStream) -> Job:
        """Makes its job, now that its source is encoded."""
        job = self.job = self._job(source, sink)
        if self.options.searches:
            self.searched = Searched(self.writer, job, self.end, self.plan.sent)
        elif self.plan.drawn:
            self.saved = {drawn.row.sample: drawn for drawn in self.plan.drawn}
            self.drawn = {n: Drawn(engine, self.writer, job, d) for n, d in self.saved.items()}
            self.over = {n: drawn for n, drawn in self.saved.items() if drawn.ended}
            self.ended = {n: drawn.ended for n, drawn in self.over.items() if drawn.ended}
        else:
            self.drawn = {n: Drawn(engine, self.writer, job) for n in range(job.samples)}
        return job

    def _job(self, source: Source, sink: DeliveryStream) -> Job:
        fields: dict[str, Any] = {"source": source, "wish": self.wish, "scored": True}
        if self.plan.rows:
            return resumed_job(
                self.plan, self.prompt, sink, self.index, None, self.save_every, **fields
            )
        return Job(
            self.prompt,
            self.options,
            sink,
            samples=_width(self.plan),
            index=self.index,
            kind=Kind.SEARCH if self.options.searches else Kind.CHOOSE,
            save_every=self.save_every,
            **fields,
        )

    def update(self, update: SearchUpdate) -> Translation:
        """Takes how its search stands."""
        assert self.searched
        news = self.searched.absorb(update)
        result = Translation(index=self.index, text=news.text, tail=news.tail)
        if isinstance(news.saved, SavedSearch):
            result.saved = replace(self.plan, search=news.saved, sent=self.searched.sent)
        if news.ended:
            self._close(result, self.searched.answers(), news.ended)
        return result

    def absorb(self, deliveries: Sequence[Delivery]) -> list[Translation]:
        """Takes tokens of its samples; the text of a single one can be told as it comes.

        Where it can be told whole its news end, and what is behind that comes by itself.
        """
        by_sample: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            by_sample.setdefault(delivery.row.sample, []).append(delivery)
        cut = {sample: until_saved(part) for sample, part in by_sample.items()}
        parts = [{n: both[i] for n, both in cut.items() if both[i]} for i in (0, 1)]
        return [self._absorb(part) for part in parts if part]

    def _absorb(self, by_sample: Mapping[int, list[Delivery]]) -> Translation:
        result = Translation(index=self.index)
        for sample, part in by_sample.items():
            if sample in self.ended:
                continue  # the engine may have run on behind a stop text
            news = self.drawn[sample].absorb(part)
            if isinstance(news.saved, SavedDrawn):
                self.saved[sample] = news.saved
            # Which of several will be best, and what replaces a word, is known at the end.
            if len(self.drawn) == 1 and not self.options.replace_unknowns:
                result.text += news.text
            if news.ended:
                self.ended[sample] = news.ended
                self.over[sample] = self.drawn[sample].save_ended(sample, news.ended)
        if len(self.ended) == len(self.drawn):
            self._close_drawn(result)
        else:
            result.saved = self._whole()
        return result

    def _whole(self) -> Saved | None:
        """All samples as they stood after the same token, unless that was told before."""
        lengths = {n: len(saved.row.generated) for n, saved in self.saved.items()}
        latest = max(lengths.values(), default=0)
        if latest <= self.told:
            return None
        drawn = []
        for sample in self.drawn:
            if lengths.get(sample) == latest:
                drawn.append(self.saved[sample])
            elif sample in self.over:
                drawn.append(self.over[sample])
            else:
                return None  # its tokens are on their way
        self.told = latest
        return replace(self.plan, drawn=tuple(drawn))

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
            source_tokens=len(self.plan.tokens),
            source_words=self.words,
            generated_tokens=len(answers[0].tokens),
            seed=self.options.seed,
            was_kept=self.was_kept,
            ended=ended,
        )


class _Call:
    """All sources of a call, by their jobs; on the event loop's thread."""

    def __init__(self, engine: AnyEngine, stream: DeliveryStream, arrived_at: float) -> None:
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
    ) -> list[list[Translation]]:
        """Turns what the engine gave into rounds of news, at most one a source in each."""
        by_job: dict[Job, list[Delivery]] = {}
        for delivery in deliveries:
            by_job.setdefault(delivery.job, []).append(delivery)
        rounds: list[list[Translation]] = [[], []]
        for job, part in by_job.items():
            if job in self._open:
                for news, one in zip(rounds, self._open[job].absorb(part), strict=False):
                    news.append(one)
        rounds[0] += [self._open[u.job].update(u) for u in updates if u.job in self._open]
        done = {one.index for news in rounds for one in news if one.summary}
        for job in [job for job, task in self._open.items() if task.index in done]:
            for news in rounds:
                self._late(news, job)
            del self._open[job]
        told = [[o for o in news if o.text or o.tail or o.summary or o.saved] for news in rounds]
        return [news for news in told if news]

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
