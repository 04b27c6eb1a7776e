"""What one step's logits mean for its rows: who reads on, who chooses, who ends.

Shapes: N rows in this step, M rows that choose, V vocabulary, S source length.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.beam import Attention
from stepwire_server.decoding.filters import Logits, log_softmax, log_sum_exp
from stepwire_server.decoding.logprobs import TokenLogprobs, pick_logprobs
from stepwire_server.engine.batch import Placed, Plain, RunningBatch, Stepped, Turn
from stepwire_server.engine.device import taken
from stepwire_server.engine.given import Given
from stepwire_server.engine.job import (
    Delivery,
    FinishReason,
    Job,
    Kind,
    Row,
    SavedSearch,
    SearchUpdate,
    StepTaken,
)
from stepwire_server.engine.searching import Searching
from stepwire_server.engine.sources import Arrays
from stepwire_server.metrics import ModelMetrics


@dataclass(kw_only=True)
class Outcome:
    """What a step gave."""

    deliveries: list[Delivery] = field(default_factory=list)
    updates: list[SearchUpdate] = field(default_factory=list)
    taken: list[StepTaken] = field(default_factory=list)
    broken: list[Row] = field(default_factory=list)  # whose numbers are not finite
    search_begun: bool = False  # a search took its first step, of which it is told at once


class Advance:
    """Lets the rows of one batch make use of a step."""

    def __init__(self, batch: RunningBatch, metrics: ModelMetrics, end: int | None) -> None:
        self._batch = batch
        self._metrics = metrics
        self._end = end
        self._searching = Searching(batch, end)

    def take(self, stepped: Stepped) -> Outcome:
        """Lets every row that has read its prompt choose, and scores those that ask for it."""
        turn = self._batch.read_on()
        if turn.tokens_read:
            self._metrics.input_tokens.inc(turn.tokens_read)
        outcome = Outcome()
        # A search sees by itself.
        if turn.drawing or turn.plain.rows or turn.scoring or turn.stepping:
            finite = finite_rows(stepped.logits)
            if not finite.all():
                turn, outcome.broken = _without_broken(turn, finite)
        now = time.monotonic()
        for row in turn.begun:
            row.first_token_at = now
        outcome.search_begun = any(row.job.kind is Kind.SEARCH for row in turn.begun)
        if turn.stepping:
            outcome.taken = self._take(turn.stepping, stepped, now)
        self._score(turn.scoring, stepped, outcome)
        # A search reads the logits where they are; draws change what they are given.
        drawing = _Rows.of(turn.drawing, stepped)
        plain = _of_plain(turn.plain, stepped.logits)
        self._search(turn.searching, stepped, outcome)
        outcome.deliveries += self._draw(drawing, now)
        outcome.deliveries += self._draw_plain(turn.plain, plain, now)
        return outcome

    def _draw_plain(self, plain: Plain, logits: Logits, now: float) -> list[Delivery]:
        """Chooses for rows that are told later; tells now of those that have ended."""
        if not plain.rows:
            return []
        tokens, ended = self._batch.draw(plain, logits)
        count = len(tokens)
        deliveries = []
        for row in ended:
            told, by_end = self._batch.unsent_of(row)
            reason = FinishReason.END_OF_SEQUENCE if by_end else FinishReason.LENGTH
            count -= by_end
            deliveries.append(Delivery(row, told, None, row.ended(reason, now)))
        self._metrics.output_tokens.inc(count)
        return deliveries

    def _take(self, stepping: list[Placed], stepped: Stepped, now: float) -> list[StepTaken]:
        """Says what the step gave sessions."""
        places = [place for _, place in stepping]
        outputs = _some(stepped.extras, places)
        states = taken(stepped.states, np.array(places, np.int64))
        given = Given(outputs, states, self._batch.layout, now, len(stepped.logits))
        return [
            StepTaken(row, row.position - 1, given, n, not row.reading)
            for n, (row, _) in enumerate(stepping)
        ]

    def _search(self, chosen: list[Placed], stepped: Stepped, outcome: Outcome) -> None:
        """Lets the searches take their step."""
        if not chosen:
            return
        jobs, broken = self._searching.advance(chosen, stepped.logits, stepped.attention)
        now = time.monotonic()
        self._metrics.output_tokens.inc(len(jobs))
        outcome.updates = [self._update(job, now) for job in jobs]
        outcome.broken += [row for job in broken for row in job.rows]

    def _update(self, job: Job, now: float) -> SearchUpdate:
        assert job.search is not None
        if not job.search.is_over:
            return SearchUpdate(job, job.search.standing(), None, self._saved(job))
        best = job.search.hypotheses[0]
        ended = job.ended(reason_of(best.by_end, self._end), job.rows[0].first_token_at, now)
        return SearchUpdate(job, job.search.standing(), ended)

    def _saved(self, job: Job) -> SavedSearch | None:
        """A search that goes on, if it is time to save it."""
        assert job.search is not None
        if not job.save_every or job.search.length % job.save_every:
            return None
        # A search does not write its tokens into its rows; rows behind the live ones are idle.
        live = job.search.live + [job.search.live[0]] * (len(job.rows) - len(job.search.live))
        rows = zip(self._batch.save(job.rows), live, strict=True)
        saved = tuple(row._replace(generated=tokens) for row, tokens in rows)
        return SavedSearch(job.search.ledger, saved)

    def _draw(self, drawing: "_Rows", now: float) -> list[Delivery]:
        """Chooses for greedy and sampled rows of which more is told than a token."""
        rows, logits, attention = drawing
        if not rows:
            return []
        asking = [index for index, row in enumerate(rows) if row.options.logprobs is not None]
        values = log_softmax(logits[asking]) if asking else None  # choosing changes the logits
        tokens = self._batch.choose(rows, logits).tolist()
        logprobs: dict[int, TokenLogprobs] = {}
        if values is not None:
            chosen = [tokens[index] for index in asking]
            counts = [rows[index].options.logprobs or 0 for index in asking]
            picked = pick_logprobs(values, chosen, counts)
            logprobs = dict(zip(asking, picked, strict=True))
        scores = _scores(rows, logits, tokens)
        deliveries = []
        for index, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            kept, reason = row.take(token, self._end)
            ended = row.ended(reason, now) if reason else None
            looked = None
            if attention is not None and kept is not None and row.options.attends:
                looked = attention[index, : row.job.source.length if row.job.source else 0]
            deliveries.append(
                Delivery(
                    row,
                    [] if kept is None else [kept],
                    logprobs.get(index) if kept is not None else None,
                    ended,
                    scores.get(index, 0.0),
                    looked,
                )
            )
        self._metrics.output_tokens.inc(sum(len(d.tokens) for d in deliveries))
        return self._with_saved(deliveries) if self._batch.saves else deliveries

    def _with_saved(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Adds the rows themselves where it is time to save them."""
        due = [each.row for each in deliveries if each.ended is None and each.row.is_due]
        saved = dict(zip(due, self._batch.save(due), strict=True)) if due else {}
        return [each._replace(saved=saved.get(each.row)) for each in deliveries]

    def _score(self, scored: list[Placed], stepped: Stepped, outcome: Outcome) -> None:
        """Says of the next token of each prompt how likely it was."""
        if not scored:
            return
        now = time.monotonic()
        values = stepped.logits[[place for _, place in scored]]
        targets = [row.prompt[row.position] for row, _ in scored]
        found = values[np.arange(len(targets)), targets] - log_sum_exp(values)
        for (row, _), token, logprob in zip(scored, targets, found.tolist(), strict=True):
            row.first_token_at = row.first_token_at or now
            last = row.position == len(row.prompt) - 1
            ended = row.ended(FinishReason.LENGTH, now) if last else None
            outcome.deliveries.append(Delivery(row, [token], None, ended, logprob=logprob))


class _Rows(NamedTuple):
    """Rows with what the step gave them."""

    rows: list[Row]  # [M]
    logits: Logits  # [M, V]
    attention: Attention | None  # [M, S]

    @classmethod
    def of(cls, chosen: list[Placed], stepped: Stepped) -> "_Rows":
        """Takes the rows of a step that some rows choose from; copies only if it must."""
        rows = [row for row, _ in chosen]
        places = [place for _, place in chosen]
        if places == list(range(len(stepped.logits))):
            return cls(rows, stepped.logits, stepped.attention)
        attention = stepped.attention
        looked = attention[places] if attention is not None else None
        return cls(rows, stepped.logits[places], looked)


def _of_plain(plain: Plain, logits: Logits) -> Logits:
    """What plain rows choose from; copied only if others choose from some of it too."""
    return logits if len(plain.rows) == len(logits) else logits[plain.places]


def _without_broken(turn: Turn, finite: NDArray[np.bool_]) -> tuple[Turn, list[Row]]:
    """Leaves out jobs of which any row's numbers are not finite; gives those rows too."""
    placed = [*turn.drawing, *turn.searching, *turn.scoring, *turn.stepping]
    plain = turn.plain
    placed += zip(plain.rows, plain.places.tolist(), strict=True)
    broken = [row for row, place in placed if not finite[place]]
    failed = {row.job for row in broken}

    def healthy(part: list[Placed]) -> list[Placed]:
        return [(row, place) for row, place in part if row.job not in failed]

    kept = [n for n, row in enumerate(plain.rows) if row.job not in failed]
    left = turn._replace(
        plain=Plain([plain.rows[n] for n in kept], plain.slots[kept], plain.places[kept]),
        drawing=healthy(turn.drawing),
        searching=healthy(turn.searching),
        scoring=healthy(turn.scoring),
        stepping=healthy(turn.stepping),
        begun=[row for row in turn.begun if row.job not in failed],
    )
    return left, broken


def reason_of(by_end: int | None, end: int | None) -> FinishReason:
    """Why a hypothesis is complete."""
    if by_end is None:
        return FinishReason.LENGTH
    return FinishReason.END_OF_SEQUENCE if by_end == end else FinishReason.STOP


def _scores(rows: list[Row], logits: Logits, tokens: list[int]) -> dict[int, float]:
    """Log-probabilities of chosen tokens, after all options, for the rows that are scored."""
    asking = [index for index, row in enumerate(rows) if row.job.scored]
    if not asking:
        return {}
    asked = logits if len(asking) == len(rows) else logits[asking]
    chosen = asked[np.arange(len(asking)), [tokens[index] for index in asking]]
    return dict(zip(asking, (chosen - log_sum_exp(asked)).tolist(), strict=True))


def _some(arrays: Arrays, places: Sequence[int]) -> Arrays:
    """Some rows of arrays; copies only if it must."""
    return {
        name: array if len(places) == len(array) else array[places]
        for name, array in arrays.items()
    }


def finite_rows(logits: Logits) -> NDArray[np.bool_]:
    """Which rows of [N, V] hold finite numbers only."""
    numbers = np.isfinite(logits)
    # To look along the rows takes ten times as long, and is hardly ever needed.
    if np.count_nonzero(numbers) == numbers.size:
        return numbers[:, 0]
    return np.logical_and.reduce(numbers, axis=-1)
