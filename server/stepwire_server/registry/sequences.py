"""One sequence of a call as its reader sees it: text that is never taken back."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from stepwire_server.decoding.beam import Attention, Hypothesis
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.engine.advance import reason_of
from stepwire_server.engine.job import (
    Delivery,
    Ended,
    FinishReason,
    Job,
    Kind,
    SavedRow,
    SavedSearch,
    SearchUpdate,
    Sink,
)
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.registry.saved import Saved, SavedDrawn
from stepwire_server.registry.text import CONTEXT, TextStream, Tokenizer


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One complete answer."""

    text: str
    score: float
    logprob: float
    tokens: tuple[int, ...]
    reason: FinishReason
    logprobs: tuple[TokenLogprobs, ...] = ()
    attention: Attention | None = None  # [L, S], if asked for


@dataclass(kw_only=True)
class News:
    """What is new of one sequence."""

    text: str = ""  # never taken back
    tail: str = ""  # how a search would go on now
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    ended: Ended | None = None
    saved: SavedDrawn | SavedSearch | None = None  # the sequence right behind this


class Drawn:
    """A sequence whose tokens are drawn, or greedy."""

    def __init__(
        self, engine: AnyEngine, writer: "Writer", job: Job, saved: SavedDrawn | None = None
    ) -> None:
        """Begins a sequence, or goes on with one.

        Args:
            engine: that chooses its tokens.
            writer: of its text.
            job: that it belongs to.
            saved: where it goes on.
        """
        self._engine = engine
        self._writer = writer
        self._job = job
        self._text = TextStream(writer.tokenizer, job.options.stop, writer.context)
        self._opening = self._text.push(writer.prefix) if writer.prefix else ""
        self._written = ""
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprobs] = []
        self._logprob = 0.0
        self._steps = 0  # tokens chosen, an end included
        self._attention: list[Attention] = []
        if saved:
            self._restore(saved)

    def _restore(self, saved: SavedDrawn) -> None:
        self._text.restore(saved.text)
        self._opening = ""
        self._written, self._tokens = saved.written, list(saved.row.generated)
        self._logprob, self._steps = saved.logprob, saved.steps
        self._logprobs = list(saved.logprobs)
        self._attention = [] if saved.attention is None else list(saved.attention)

    def save_ended(self, sample: int, ended: Ended) -> SavedDrawn:
        """What there is of it, now that it has ended."""
        return self.save(SavedRow(sample, tuple(self._tokens), b""), ended)

    def save(self, row: SavedRow, ended: Ended | None = None) -> SavedDrawn:
        """All that it takes to go on; `row` is the sequence as the engine has it."""
        return SavedDrawn(
            row=row,
            text=self._text.save(),
            written=self._written if self._job.scored else "",
            logprob=self._logprob,
            steps=self._steps,
            logprobs=tuple(self._logprobs),
            attention=np.stack(self._attention) if self._attention else None,
            ended=ended,
        )

    @property
    def generated(self) -> int:
        """Tokens so far."""
        return len(self._tokens)

    def absorb(self, deliveries: Sequence[Delivery]) -> News:
        """Takes what the engine gave, and says what is new."""
        news = News(text=self._opening)
        self._opening = ""
        # One by one where there are stops, to know which token completed one.
        stops = self._job.options.stop
        parts = [[each] for each in one_by_one(deliveries)] if stops else [list(deliveries)]
        for part in parts:
            self._add(news, part)
            if self._text.stopped:
                # The engine knows tokens, not texts.
                self._engine.cancel_row(part[-1].row)
                news.ended = part[-1].row.ended(FinishReason.STOP, time.monotonic())
                break
        else:
            news.ended = deliveries[-1].ended
            if news.ended:
                news.text += self._text.finish()
                if self._text.stopped:
                    news.ended = news.ended._replace(reason=FinishReason.STOP)
        self._written += news.text
        if deliveries[-1].saved and not news.ended:
            news.saved = self.save(deliveries[-1].saved)
        return news

    def answer(self, ended: Ended) -> Answer:
        """The complete sequence."""
        attention = np.stack(self._attention) if self._attention else None
        tokens = (*self._writer.prefix, *self._tokens)
        text = self._written
        if self._job.options.replace_unknowns:
            text = self._writer.write(self._tokens, attention)
        return Answer(
            text=text,
            score=self._logprob / self._job.options.length_norm(max(1, self._steps)),
            logprob=self._logprob,
            tokens=tokens,
            reason=ended.reason,
            logprobs=tuple(self._logprobs),
            attention=attention if self._job.options.return_attention else None,
        )

    def _add(self, news: News, part: list[Delivery]) -> None:
        tokens = [token for delivery in part for token in delivery.tokens]
        logprobs = [delivery.logprobs for delivery in part if delivery.logprobs]
        news.tokens += tokens
        news.logprobs += logprobs
        news.text += self._text.push(tokens) if tokens else ""
        self._tokens += tokens
        self._logprob += sum(delivery.logprob for delivery in part)
        self._steps += sum(max(1, len(delivery.tokens)) for delivery in part)
        if self._job.scored:  # somebody wants the answer as a whole
            self._logprobs += logprobs
            self._attention += [d.attention for d in part if d.attention is not None]


class Searched:
    """A sequence that a beam search looks for."""

    def __init__(self, writer: "Writer", job: Job, end: int | None, sent: str = "") -> None:
        """Begins a sequence, or goes on with one.

        Args:
            writer: of its text.
            job: that it belongs to.
            end: the token that ends a sequence, if the model has one.
            sent: what was sent of its text.
        """
        self._writer = writer
        self._job = job
        self._end = end
        self._sent = sent

    def absorb(self, update: SearchUpdate) -> News:
        """Takes how the search stands, and says what nobody can change any more."""
        if update.ended:
            text = self.answers()[0].text
            return News(text=text[len(self._sent) :], ended=update.ended)
        standing = update.standing
        live = [self._writer.settled(tokens) for tokens in standing.live]
        finished = standing.finished
        texts = [*live, *([self._write(finished)] if finished else [])]
        stable = common_prefix(texts)
        # More may be sent already: a search that goes on may stand a little further back.
        new = stable[len(self._sent) :]
        self._sent += new
        best = texts[-1] if standing.leads or not live else live[0]
        return News(text=new, tail=best[len(self._sent) :], saved=update.saved)

    @property
    def sent(self) -> str:
        """What nobody can change any more, as far as it was sent."""
        return self._sent

    def answers(self) -> list[Answer]:
        """The best hypotheses of a search that is over, best first."""
        assert self._job.search is not None
        return [
            Answer(
                text=self._write(hypothesis),
                score=hypothesis.score,
                logprob=hypothesis.logprob,
                tokens=(*self._writer.prefix, *hypothesis.tokens),
                reason=reason_of(hypothesis.by_end, self._end),
                logprobs=hypothesis.logprobs,
                attention=hypothesis.attention if self._job.options.return_attention else None,
            )
            for hypothesis in self._job.search.hypotheses
        ]

    def _write(self, hypothesis: Hypothesis) -> str:
        return self._writer.write(hypothesis.tokens, hypothesis.attention)


def resumed_job(
    saved: Saved,
    prompt: Sequence[int],
    sink: Sink,
    index: int,
    deadline: float | None,
    save_every: int,
    **fields: Any,
) -> Job:
    """The job that goes on with a saved sequence.

    Args:
        saved: what goes on.
        prompt: what was read before the first token was chosen.
        sink: of the call.
        index: of the sequence in its request.
        deadline: of the monotonic clock.
        save_every: tokens after which it is saved again.
        fields: of the job.
    """
    rows = saved.rows
    return Job(
        prompt,
        saved.options,
        sink,
        samples=len(rows),
        index=index,
        deadline=deadline,
        kind=Kind.SEARCH if saved.search else Kind.CHOOSE,
        saved=rows,
        save_every=save_every,
        ledger=saved.search.ledger if saved.search else None,
        **fields,
    )


def one_by_one(deliveries: Sequence[Delivery]) -> Iterator[Delivery]:
    """Deliveries with at most a token each; only the last of several ends the sequence."""
    for delivery in deliveries:
        for token in delivery.tokens[:-1]:
            yield Delivery(delivery.row, [token], None, None)
        yield delivery._replace(tokens=delivery.tokens[-1:])


def until_saved(deliveries: list[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """Cuts what one sequence got behind the last place where it was saved."""
    saved = [place for place, delivery in enumerate(deliveries) if delivery.saved]
    end = saved[-1] + 1 if saved else len(deliveries)
    return deliveries[:end], deliveries[end:]


def common_prefix(texts: Sequence[str]) -> str:
    """What all of some texts, at least one, begin with."""
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in same)]


class Writer:
    """Writes whole hypotheses down: a forced prefix before them, unknown words replaced."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        context: Sequence[int] = (),
        prefix: Sequence[int] = (),
        unknown: int | None = None,
        source_words: Sequence[str] = (),
    ) -> None:
        """Makes a writer.

        Args:
            tokenizer: of the output.
            context: tokens before the output that change how it is written.
            prefix: tokens that stand before every hypothesis and belong to its text.
            unknown: the token to replace, if that is wanted.
            source_words: the texts of the source's tokens, which replace it.
        """
        self.tokenizer = tokenizer
        self.context = tuple(context)[-CONTEXT:]
        self.prefix = tuple(prefix)
        self._skipped = len(tokenizer.decode(self.context)) if self.context else 0
        self._unknown = unknown
        self._source_words = source_words

    def settled(self, tokens: Sequence[int]) -> str:
        """The text of a hypothesis that goes on, as far as nothing can change it."""
        if self._unknown is not None and self._unknown in tokens:
            # What stands there is known when the hypothesis is complete.
            tokens = tokens[: list(tokens).index(self._unknown)]
        return self.tokenizer.settled(self._decode(tokens))

    def write(self, tokens: Sequence[int], attention: Attention | None) -> str:
        """The text of a complete hypothesis; attention [L, S] tells what replaces unknowns."""
        if self._unknown not in tokens or attention is None:
            return self.tokenizer.composed(self._decode(tokens))
        text, done = "", 0
        for position, token in enumerate(tokens):
            if token == self._unknown:
                before = self._decode(tokens[:position])
                with_it = self._decode(tokens[: position + 1])
                space = " " if with_it[len(before) :].startswith(" ") else ""
                word = self._source_words[int(attention[position].argmax())]
                text += before[done:] + space + word.strip()
                done = len(with_it)
        return self.tokenizer.composed(text + self._decode(tokens)[done:])

    def _decode(self, tokens: Sequence[int]) -> str:
        everything = [*self.context, *self.prefix, *tokens]
        return self.tokenizer.decode(everything)[self._skipped :]
