"""One call to translate: its sources, each until its answers are complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stepwire_server.decoding.options import Options
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
from stepwire_server.errors import StepwireError
from stepwire_server.registry.reading import Reading
from stepwire_server.registry.saved import Saved, SavedDrawn
from stepwire_server.registry.sequences import (
    Answer,
    Drawn,
    Searched,
    Writer,
    resumed_job,
    until_saved,
)
from stepwire_server.registry.stream import DeliveryStream


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


def width(plan: Saved) -> int:
    """Rows that one source needs."""
    options = plan.options
    if plan.rows:
        return len(plan.rows)
    return options.beam_width if options.searches else options.num_hypotheses


@dataclass(kw_only=True)
class Task:
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
            samples=width(self.plan),
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


class Call:
    """All sources of a call, by their jobs; on the event loop's thread."""

    def __init__(self, engine: AnyEngine, stream: DeliveryStream, arrived_at: float) -> None:
        self._engine = engine
        self._stream = stream
        self.arrived_at = arrived_at
        self._promised = 0
        self._open: dict[Job, Task] = {}
        self._left = False

    @property
    def is_open(self) -> bool:
        """Whether a source is not done."""
        return bool(self._promised or self._open)

    def add(self, task: Task, reading: Reading, deadline: float | None) -> None:
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
