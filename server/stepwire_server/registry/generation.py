"""A model that continues text."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import Limits, Options, defaults
from stepwire_server.engine.job import Delivery, Ended, Job, Kind, SavedSearch, SearchUpdate
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.engine.prefixes import Beginning
from stepwire_server.errors import InvalidRequest
from stepwire_server.metrics import ModelMetrics
from stepwire_server.registry.origin import Origin
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
    News,
    Searched,
    Writer,
    resumed_job,
    until_saved,
)
from stepwire_server.registry.stream import DeliveryStream
from stepwire_server.registry.text import Prompt, Tokenizer
from stepwire_zoo.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Why a sequence ended and what it cost."""

    ended: Ended
    prompt_tokens: int
    generated_tokens: int
    seed: int
    forgotten_tokens: int = 0  # of the prompt: they are beyond the model's reach


@dataclass(kw_only=True)
class Piece:
    """What is new of one sequence."""

    prompt_index: int
    sample_index: int
    text: str = ""
    tail: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    answers: Sequence[Answer] = ()
    summary: Summary | None = None
    saved: Saved | None = None  # the sequence right behind this


class GenerationModel(ScoringModel):
    """Tokenises prompts, hands them to the engine, and turns tokens back into text."""

    origin: Origin  # of its states

    def __init__(
        self,
        engine: AnyEngine,
        tokenizer: Tokenizer,
        spec: Manifest,
        metrics: ModelMetrics,
        limits: Limits,
        buffer_tokens: int,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._begin, self._end = spec.tokenizer.begin, spec.tokenizer.end
        self._reach = spec.limits.reach
        self._metrics = metrics
        self._buffer_tokens = buffer_tokens
        self.limits = limits
        self.defaults = defaults(self.limits, spec.decoding)
        self._texts: dict[int, str] = {}  # of tokens by themselves, as they are asked for

    def token_text(self, token: int) -> str:
        """The text of one token by itself."""
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts[token]

    @asynccontextmanager
    async def generate(
        self,
        prompts: Sequence[Prompt | Saved],
        samples: int,
        options: Options,
        deadline: float | None,
        save_every: int = 0,
        caller: str | None = None,
    ) -> AsyncIterator[AsyncIterator[list[Piece]]]:
        """Starts a call; leaving the block frees whatever of it still runs.

        Args:
            prompts: at least one, or sequences to go on with.
            samples: of each prompt that begins.
            options: for all prompts that begin.
            deadline: of the monotonic clock; it bounds the time in the queue.
            save_every: tokens of a sequence after which a piece carries it; 0: never.
            caller: whose prompts may share their beginnings with these; None: nobody's.

        Yields:
            Rounds of pieces, at most one for each sequence in a round.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was started.
        """
        options.check_against(self.limits)
        _check_samples(samples, options)
        resumed = {i: prompt for i, prompt in enumerate(prompts) if isinstance(prompt, Saved)}
        fresh = [prompt for prompt in prompts if not isinstance(prompt, Saved)]
        places = [index for index in range(len(prompts)) if index not in resumed]
        read = await self._read("prompts", fresh, places)
        stream = DeliveryStream(self._engine, self._buffer_tokens)
        jobs = [
            Job(
                tokens,
                options,
                stream,
                samples=options.beam_width if options.searches else samples,
                index=index,
                deadline=deadline,
                kind=Kind.SEARCH if options.searches else Kind.CHOOSE,
                save_every=save_every,
                beginning=None if caller is None else Beginning.of(caller, tokens),
            )
            for index, tokens in zip(places, read, strict=True)
        ]
        for index, saved in resumed.items():
            saved.options.check_against(self.limits)
            jobs.append(resumed_job(saved, saved.tokens, stream, index, deadline, save_every))
        self._engine.submit(sorted(jobs, key=lambda job: job.index))
        self._metrics.resumed.inc(len(resumed))
        call = _Call(self._tokenizer, self._engine, jobs, self._end, resumed, self._reach)
        try:
            yield self._rounds(call, stream)
        finally:
            self._engine.cancel(jobs)

    async def score(
        self, inputs: Sequence[ScoreInput], deadline: float | None
    ) -> AsyncGenerator[list[Score], None]:
        """Says how likely texts are; yields scores as they are ready."""
        for index, entry in enumerate(inputs):
            if entry.source is not None:
                raise InvalidRequest.of(
                    f"inputs[{index}].source", "not be set: the model is no translator", "one"
                )
        ends = [] if self._end is None else [self._end]
        read = await self._read("inputs", [entry.target for entry in inputs])
        prompts = [[*tokens, *ends] for tokens in read]
        jobs = scoring_jobs(prompts)
        async for scores in score_all(self._engine, jobs, deadline, self._buffer_tokens):
            yield scores

    async def _read(
        self, collection: str, prompts: Sequence[Prompt], places: Sequence[int] | None = None
    ) -> list[list[int]]:
        """Turns prompts into tokens, the model's begin token first."""
        places = range(len(prompts)) if places is None else places
        read = await self._tokenizer.read_all(collection, prompts, indices=places)
        return [self._begun(collection, n, tokens) for n, tokens in zip(places, read, strict=True)]

    def _begun(self, collection: str, index: int, tokens: list[int]) -> list[int]:
        if self._begin is not None:
            return [self._begin, *tokens]
        if not tokens:
            field = f"{collection}[{index}]"
            raise InvalidRequest.of(field, "not be empty for this model", "nothing")
        return tokens

    async def _rounds(self, call: "_Call", stream: DeliveryStream) -> AsyncIterator[list[Piece]]:
        sent_at = 0.0
        while call.is_open:
            for pieces in call.absorb(*await stream.take()):
                now = time.monotonic()
                if sent_at:
                    self._metrics.piece_interval_seconds.observe(now - sent_at)
                else:
                    self._metrics.first_piece_seconds.observe(now - call.arrived_at)
                sent_at = now
                yield pieces
            # A reader that lags has more to take: let others have their turn first.
            await asyncio.sleep(0)


class _Call:
    """All sequences of a call, by job and sample."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        engine: AnyEngine,
        jobs: list[Job],
        end: int | None,
        resumed: Mapping[int, Saved],
        reach: int,
    ) -> None:
        self.arrived_at = jobs[0].arrived_at
        self._reach = reach
        self._drawn: dict[tuple[Job, int], Drawn] = {}
        self._searched: dict[Job, Searched] = {}
        for job in jobs:
            writer = Writer(tokenizer, context=job.prompt)
            saved = resumed.get(job.index)
            if job.kind is Kind.SEARCH:
                sent = saved.sent if saved else ""
                self._searched[job] = Searched(writer, job, end, sent)
            elif saved:
                for drawn in saved.drawn:
                    self._drawn[job, drawn.row.sample] = Drawn(engine, writer, job, drawn)
            else:
                for sample in range(job.samples):
                    self._drawn[job, sample] = Drawn(engine, writer, job)

    @property
    def is_open(self) -> bool:
        """Whether a sequence still runs."""
        return bool(self._drawn or self._searched)

    def absorb(
        self, deliveries: Sequence[Delivery], updates: Sequence[SearchUpdate]
    ) -> list[list[Piece]]:
        """Turns what the engine gave into rounds of pieces, at most one a sequence in each.

        Where a sequence is saved its piece ends, and what is behind that waits for the next
        round.
        """
        by_sequence: dict[tuple[Job, int], list[Delivery]] = {}
        for delivery in deliveries:
            by_sequence.setdefault((delivery.job, delivery.row.sample), []).append(delivery)
        rounds: list[list[Piece]] = [[], []]
        for (job, sample), part in by_sequence.items():
            for pieces, some in zip(rounds, until_saved(part), strict=True):
                # After a stop text the engine may have run on for a step or two.
                if some and (job, sample) in self._drawn:
                    pieces.append(self._drawn_piece(job, sample, some))
        rounds[0] += [self._searched_piece(u) for u in updates if u.job in self._searched]
        told = [[p for p in round if _tells(p)] for round in rounds]
        return [round for round in told if round]

    def _drawn_piece(self, job: Job, sample: int, part: list[Delivery]) -> Piece:
        drawn = self._drawn[job, sample]
        news = drawn.absorb(part)
        piece = _piece(job, sample, news)
        if isinstance(news.saved, SavedDrawn):
            piece.saved = Saved(tokens=tuple(job.prompt), options=job.options, drawn=(news.saved,))
        if news.ended:
            del self._drawn[job, sample]
            piece.summary = self._summary(job, news.ended, drawn.generated)
        return piece

    def _searched_piece(self, update: SearchUpdate) -> Piece:
        job = update.job
        searched = self._searched[job]
        news = searched.absorb(update)
        piece = _piece(job, 0, news)
        if isinstance(news.saved, SavedSearch):
            piece.saved = Saved(
                tokens=tuple(job.prompt),
                options=job.options,
                search=news.saved,
                sent=searched.sent,
            )
        if news.ended:
            piece.answers = self._searched.pop(job).answers()
            piece.summary = self._summary(job, news.ended, len(piece.answers[0].tokens))
        return piece

    def _summary(self, job: Job, ended: Ended, generated: int) -> Summary:
        read = len(job.prompt)
        return Summary(
            ended=ended,
            prompt_tokens=read,
            generated_tokens=generated,
            seed=job.options.seed,
            forgotten_tokens=max(0, read - self._reach) if self._reach else 0,
        )


def _piece(job: Job, sample: int, news: News) -> Piece:
    return Piece(
        prompt_index=job.index,
        sample_index=sample,
        text=news.text,
        tail=news.tail,
        tokens=news.tokens,
        logprobs=news.logprobs,
    )


def _tells(piece: Piece) -> bool:
    return bool(piece.tokens or piece.text or piece.tail or piece.summary or piece.saved)


def _check_samples(samples: int, options: Options) -> None:
    """Raises InvalidRequest where `n` contradicts the options."""
    if options.searches and samples > 1:
        raise InvalidRequest.of("n", "be 1 with a beam_width above 1: see num_hypotheses", samples)
    if not options.searches and options.num_hypotheses > 1:
        raise InvalidRequest.of(
            "num_hypotheses", "come with a beam_width: see n", options.num_hypotheses
        )


def fresh_seed() -> int:
    """A seed for a request that brought none; the summary tells it."""
    return secrets.randbits(64)
