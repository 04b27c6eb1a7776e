"""A model that continues text."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import Options, defaults
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.job import Delivery, Ended, FinishReason, Job
from stepwire_server.errors import InvalidRequest
from stepwire_server.metrics import ModelMetrics
from stepwire_server.registry.opening import limits_of
from stepwire_server.registry.stream import DeliveryStream
from stepwire_server.registry.text import TextStream, Tokenizer
from stepwire_zoo.manifest import Manifest

Prompt = str | Sequence[int]  # a text, or its tokens


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Why a sequence ended and what it cost."""

    ended: Ended
    prompt_tokens: int
    generated_tokens: int
    seed: int


@dataclass(kw_only=True)
class Piece:
    """What is new of one sequence."""

    prompt_index: int
    sample_index: int
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    summary: Summary | None = None


class GenerationModel:
    """Tokenises prompts, hands them to the engine, and turns tokens back into text."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        spec: Manifest,
        metrics: ModelMetrics,
        buffer_tokens: int,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._begin = spec.tokenizer.begin
        self._metrics = metrics
        self._buffer_tokens = buffer_tokens
        self.limits = limits_of(spec)
        self.defaults = defaults(self.limits, spec.decoding)
        self._texts: dict[int, str] = {}  # of tokens by themselves, as they are asked for

    def token_text(self, token: int) -> str:
        """The text of one token by itself."""
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts[token]

    @asynccontextmanager
    async def generate(
        self, prompts: Sequence[Prompt], samples: int, options: Options, deadline: float | None
    ) -> AsyncIterator[AsyncIterator[list[Piece]]]:
        """Starts a call; leaving the block frees whatever of it still runs.

        Args:
            prompts: at least one.
            samples: of each prompt.
            options: for all of them.
            deadline: of the monotonic clock; it bounds the time in the queue.

        Yields:
            Rounds of pieces, at most one for each sequence in a round.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was started.
        """
        options.check_against(self.limits)
        stream = DeliveryStream(self._engine, self._buffer_tokens)
        jobs = [
            Job(tokens, options, stream, samples, index, deadline)
            for index, tokens in enumerate(await self._read(prompts))
        ]
        self._engine.submit(jobs)
        call = _Call(self._tokenizer, self._engine, jobs)
        try:
            yield self._rounds(call, stream)
        finally:
            self._engine.cancel(jobs)

    async def _read(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Turns prompts into tokens, the model's begin token first."""
        texts = {i: prompt for i, prompt in enumerate(prompts) if isinstance(prompt, str)}
        fields = [f"prompts[{index}].text" for index in texts]
        encoded = await self._tokenizer.encode_all(fields, list(texts.values()))
        tokens_of = dict(zip(texts, (tokens for tokens, _ in encoded), strict=True))
        read = [
            tokens_of[index] if isinstance(prompt, str) else self._check(index, prompt)
            for index, prompt in enumerate(prompts)
        ]
        return [self._begun(index, tokens) for index, tokens in enumerate(read)]

    def _check(self, index: int, tokens: Sequence[int]) -> list[int]:
        return self._tokenizer.check(f"prompts[{index}].tokens.ids", tokens)

    def _begun(self, index: int, tokens: list[int]) -> list[int]:
        if self._begin is not None:
            return [self._begin, *tokens]
        if not tokens:
            raise InvalidRequest.of(f"prompts[{index}]", "not be empty for this model", "nothing")
        return tokens

    async def _rounds(self, call: "_Call", stream: DeliveryStream) -> AsyncIterator[list[Piece]]:
        sent_at = 0.0
        while call.is_open:
            pieces = call.absorb(await stream.take())
            if pieces:
                now = time.monotonic()
                if sent_at:
                    self._metrics.piece_interval_seconds.observe(now - sent_at)
                else:
                    self._metrics.first_piece_seconds.observe(now - call.arrived_at)
                sent_at = now
                yield pieces
            # A reader that lags has more to take: let others have their turn first.
            await asyncio.sleep(0)


class _Sequence:
    """One sequence of a call as its reader sees it."""

    def __init__(self, tokenizer: Tokenizer, job: Job) -> None:
        self.text = TextStream(tokenizer, job.options.stop, job.prompt)
        self.generated = 0


class _Call:
    """All sequences of a call, by job and sample."""

    def __init__(self, tokenizer: Tokenizer, engine: Engine, jobs: list[Job]) -> None:
        self._engine = engine
        self.arrived_at = jobs[0].arrived_at
        self._open = {
            (job, sample): _Sequence(tokenizer, job)
            for job in jobs
            for sample in range(job.samples)
        }

    @property
    def is_open(self) -> bool:
        """Whether a sequence still runs."""
        return bool(self._open)

    def absorb(self, deliveries: Sequence[Delivery]) -> list[Piece]:
        """Turns deliveries into at most one piece for each sequence."""
        by_sequence: dict[tuple[Job, int], list[Delivery]] = {}
        for delivery in deliveries:
            by_sequence.setdefault((delivery.row.job, delivery.row.sample), []).append(delivery)
        pieces = []
        for key, news in by_sequence.items():
            # After a stop text the engine may have run on for a step or two.
            if key in self._open:
                pieces.append(self._piece(key, news))
        return [piece for piece in pieces if piece.tokens or piece.text or piece.summary]

    def _piece(self, key: tuple[Job, int], news: list[Delivery]) -> Piece:
        job, sample = key
        sequence = self._open[key]
        piece = Piece(prompt_index=job.index, sample_index=sample)
        # One by one where there are stops, to know which token completed one.
        parts = [[delivery] for delivery in news] if job.options.stop else [news]
        for part in parts:
            self._add(piece, sequence, part)
            if sequence.text.stopped:
                self._stop(piece, sequence, part[-1])
                return piece
        ended = news[-1].ended
        if ended:
            piece.text += sequence.text.finish()
            if sequence.text.stopped:
                ended = ended._replace(reason=FinishReason.STOP)
            self._close(piece, sequence, job, ended)
        return piece

    def _stop(self, piece: Piece, sequence: _Sequence, last: Delivery) -> None:
        """Ends a sequence whose text reached a stop; the engine knows tokens, not texts."""
        self._engine.cancel_row(last.row)
        ended = last.row.ended(FinishReason.STOP, time.monotonic())
        self._close(piece, sequence, last.row.job, ended)

    def _add(self, piece: Piece, sequence: _Sequence, news: list[Delivery]) -> None:
        tokens = [delivery.token for delivery in news if delivery.token is not None]
        piece.tokens += tokens
        piece.logprobs += [delivery.logprobs for delivery in news if delivery.logprobs]
        piece.text += sequence.text.push(tokens) if tokens else ""
        sequence.generated += len(tokens)

    def _close(self, piece: Piece, sequence: _Sequence, job: Job, ended: Ended) -> None:
        del self._open[job, piece.sample_index]
        piece.summary = Summary(
            ended=ended,
            prompt_tokens=len(job.prompt),
            generated_tokens=sequence.generated,
            seed=job.options.seed,
        )


def fresh_seed() -> int:
    """A seed for a request that brought none; the summary tells it."""
    return secrets.randbits(64)
