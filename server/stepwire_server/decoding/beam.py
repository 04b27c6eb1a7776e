"""Beam search: the best W ways to go on, step by step.

One `BeamSearch` keeps the ledger of one request; `candidates` finds, for many requests at
once, what each may go on with. docs/decoding.md has the formulas.

Shapes: W beam width, K candidates (2W), N rows in this step, J requests, V vocabulary,
G groups of tokens, S tokens of the source, L tokens generated.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.filters import Logits, log_sum_exp
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import Options

Indices = NDArray[np.int64]
Scores = NDArray[np.float64]
Attention = NDArray[np.float32]

_GROUP = 16  # tokens that share one maximum


class Candidates(NamedTuple):
    """What one request may go on with, best first."""

    parents: list[int]  # [K] which live hypothesis goes on
    tokens: list[int]  # [K] the token it appends
    scores: list[float]  # [K] sums of log-probabilities


class Choice(NamedTuple):
    """How one request goes on after a step."""

    parents: list[int]  # [W] which row each new row continues
    tokens: list[int]  # [W] the token it appends


class Hypothesis(NamedTuple):
    """One complete answer."""

    tokens: tuple[int, ...]  # the end left out
    logprob: float  # sum over its tokens, the end included
    score: float  # what it is ranked by
    by_end: int | None  # the end or stop token that completed it; None: it was full
    logprobs: tuple[TokenLogprobs, ...]  # of its tokens, if asked for
    attention: Attention | None  # [L, S], if asked for


class Ledger(NamedTuple):
    """All that a search remembers between two steps; nothing in it is ever changed."""

    length: int
    live: list[tuple[int, ...]]
    scores: list[float]
    logprobs: list[tuple[TokenLogprobs, ...]]
    attention: Attention | None  # [W, L, S], if it is looked at
    finished: tuple[Hypothesis, ...]
    finished_count: int


class Standing(NamedTuple):
    """What a search knows after a step: who can still come first."""

    live: list[tuple[int, ...]]  # tokens of those that go on and may still win, best first
    finished: Hypothesis | None  # the best that is complete
    leads: bool  # whether `finished` is ahead of all of `live` now


class BeamSearch:
    """The live and the finished hypotheses of one request.

    Plain lists: for a handful of hypotheses they are several times faster than arrays.
    """

    def __init__(self, options: Options, end: int | None, ledger: Ledger | None = None) -> None:
        """Begins a search, or goes on with one.

        Args:
            options: of the request.
            end: the token that ends a sequence, if the model has one.
            ledger: of a search with the same options.
        """
        self._options = options
        self._ends = {*options.stop_token_ids, *([] if end is None else [end])}
        self._width = options.beam_width
        self._wanted = math.ceil(options.beam_width * options.patience)
        self._logprobs: list[tuple[TokenLogprobs, ...]] = [()] * self._width
        self._attention: Attention | None = None  # [W, L, S], if it is looked at
        self._finished: list[Hypothesis] = []  # best first
        self._finished_count = 0
        self._best_norm = options.length_norm(options.max_tokens)
        self.length = 0
        self.live: list[tuple[int, ...]] = [()]  # tokens so far, best first; at most W
        # All rows begin alike: only the first one's candidates count.
        self.scores = [0.0] + [-math.inf] * (self._width - 1)  # [W]
        if ledger:
            self.length, self.live, self.scores, self._logprobs, self._attention = ledger[:5]
            self._finished, self._finished_count = list(ledger.finished), ledger.finished_count

    @property
    def ledger(self) -> Ledger:
        """What it takes to go on with this search."""
        return Ledger(
            length=self.length,
            live=self.live,
            scores=self.scores,
            logprobs=self._logprobs,
            attention=self._attention,
            finished=tuple(self._finished),
            finished_count=self._finished_count,
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing that is still live can become one of the best."""
        if self.length == self._options.max_tokens or not self.live:
            return True
        if self._finished_count >= self._wanted:
            return True
        if len(self._finished) < self._options.num_hypotheses:
            return False
        return self._at_best(self.scores[0]) <= self._finished[-1].score

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The best complete hypotheses, best first."""
        return tuple(self._finished)

    def standing(self) -> Standing:
        """Who can still come first."""
        best = self._finished[0] if self._finished else None
        if best is None:
            return Standing(self.live, None, leads=False)
        live = [
            tokens
            for tokens, score in zip(self.live, self.scores, strict=False)
            if self._at_best(score) > best.score
        ]
        now = self.scores[0] / self._options.length_norm(max(1, self.length))
        return Standing(live, best, leads=best.score >= now)

    def advance(
        self,
        candidates: Candidates,
        logprobs: Sequence[TokenLogprobs] = (),
        attention: Attention | None = None,
    ) -> Choice:
        """Takes one step.

        Args:
            candidates: best first; those whose score is not finite are none.
            logprobs: one for each candidate, if asked for.
            attention: [W, S], how the step that gave the logits looked at the source.

        Returns:
            How each of the W rows goes on. Where fewer than W hypotheses are live, the rows
            behind them go on somehow, and count for nothing.
        """
        if attention is not None:
            self._look(attention)
        self.length += 1
        width, ends = self._width, self._ends
        going_on: list[tuple[int, int, float]] = []
        ranks: list[int] = []
        for rank, (parent, token, score) in enumerate(zip(*candidates, strict=True)):
            if score == -math.inf or len(going_on) == width:
                break
            if token not in ends:
                going_on.append((parent, token, score))
                ranks.append(rank)
            elif rank < width:
                self._finish(parent, score, token)
        if logprobs:
            self._note(going_on, [logprobs[rank] for rank in ranks])
        return self._go_on(going_on)

    def _note(self, going_on: list[tuple[int, int, float]], logprobs: list[TokenLogprobs]) -> None:
        noted = [
            (*self._logprobs[parent], new)
            for (parent, _, _), new in zip(going_on, logprobs, strict=True)
        ]
        self._logprobs = noted + [()] * (self._width - len(noted))

    def _go_on(self, going_on: list[tuple[int, int, float]]) -> Choice:
        # A new list: whoever was shown the last one may keep it.
        live = self.live
        self.live = [(*live[parent], token) for parent, token, _ in going_on]
        parents = [parent for parent, _, _ in going_on]
        tokens = [token for _, token, _ in going_on]
        self.scores = [score for _, _, score in going_on]
        if idle := self._width - len(going_on):
            parents += [0] * idle
            tokens += [0] * idle
            self.scores += [-math.inf] * idle
        if self._attention is not None:
            self._attention = self._attention[parents]
        if self.length == self._options.max_tokens:
            for row, (_, _, score) in enumerate(going_on):
                self._finish(row, score, None)
        return Choice(parents, tokens)

    def _finish(self, row: int, logprob: float, by_end: int | None) -> None:
        """Completes a hypothesis; `row` is where its tokens are."""
        length = self.length - (by_end is not None)
        attention = None if self._attention is None else self._attention[row, :length].copy()
        score = logprob / self._options.length_norm(self.length)
        if self._options.coverage_penalty and self._attention is not None:
            covered = self._attention[row, : self.length].sum(axis=0, dtype=np.float64)
            score += self._options.coverage_penalty * coverage(covered)
        self._finished_count += 1
        self._finished.append(
            Hypothesis(
                tokens=self.live[row],
                logprob=logprob,
                score=score,
                by_end=by_end,
                logprobs=self._logprobs[row][:length],
                attention=attention,
            )
        )
        # Stable: of equals the one that was complete first.
        self._finished.sort(key=lambda hypothesis: -hypothesis.score)
        del self._finished[self._options.num_hypotheses :]

    def _look(self, attention: Attention) -> None:
        new = attention[:, None]  # [W, 1, S]
        before = self._attention
        self._attention = new if before is None else np.concatenate([before, new], axis=1)

    def _at_best(self, score: float) -> float:
        """The best that a live hypothesis can still score: all that is to come is certain."""
        return score / self._best_norm


def coverage(covered: NDArray[np.float64]) -> float:
    """How much of the source was looked at: 0 if all was (Wu et al. 2016, equation 14).

    Args:
        covered: [S], the sum of each source token's attention over the steps.
    """
    # A token that got nothing at all would cost an infinity.
    return float(np.log(np.clip(covered, 1e-10, 1.0)).sum())


def candidates(
    logits: Logits, owners: Indices, parents: Indices, scores: Scores, count: int
) -> list[Candidates]:
    """Finds what some requests may go on with.

    The vocabulary is cut into groups of tokens. Where `count` groups of a row have a maximum
    that reaches some bound, `count` candidates of its request do: so only groups that reach
    the highest such bound of their request are looked into.

    Args:
        logits: [N, V], with all options applied; -inf is never chosen.
        owners: [N], whose row it is, from 0 to J - 1; every request has one at least.
        parents: [N], which hypothesis of its request the row is.
        scores: [N], of the hypotheses so far.
        count: K.

    Returns:
        [J], the best K of each, or all that there are; of equals the earlier hypothesis,
        then the lower token. None where a row's logits are not finite, but for -inf.
    """
    with np.errstate(invalid="ignore"):  # NaN, which nothing reaches
        shift = scores - log_sum_exp(logits)
        maxima = _group_maxima(logits, count)  # [N, G]
        reach = np.full(owners.max() + 1, -np.inf)
        np.maximum.at(reach, owners, _least_of_best(maxima, count) + shift)
        bounds = (reach[owners] - shift).astype(np.float32)
    # Rounded down: what is looked into in vain costs little.
    bounds = np.nextafter(bounds, np.float32(-np.inf))
    rows, groups = np.divmod(np.flatnonzero(maxima >= bounds[:, None]), maxima.shape[1])
    tokens = groups[:, None] + np.arange(0, logits.shape[1], maxima.shape[1])
    values = logits.take(rows[:, None] * logits.shape[1] + tokens, mode="clip")
    found = np.flatnonzero((values >= bounds[rows, None]) & (tokens < logits.shape[1]))
    rows, tokens = rows[found // tokens.shape[1]], tokens.ravel()[found]
    sums = values.ravel()[found] + shift[rows]
    order = np.lexsort((tokens, parents[rows], -sums, owners[rows]))
    rows = rows[order]
    ranked = [part.tolist() for part in (parents[rows], tokens[order], sums[order])]
    starts = np.searchsorted(owners[rows], np.arange(len(reach) + 1)).tolist()
    return [
        Candidates(*(part[first : min(first + count, end)] for part in ranked))
        for first, end in pairwise(starts)
    ]


def _group_maxima(logits: Logits, count: int) -> Logits:
    """[N, V] to [N, G]. A group's tokens stand G apart: whole vectors are compared."""
    rows, vocabulary = logits.shape
    groups = -(-vocabulary // _GROUP)
    full = groups * (_GROUP - 1)  # some groups lack their last token
    if groups < 2 * count or full > vocabulary:
        return logits  # each token is a group
    maxima = logits[:, :full].reshape(rows, _GROUP - 1, groups).max(axis=1)
    rest = maxima[:, : vocabulary - full]
    np.maximum(rest, logits[:, full:], out=rest)
    return maxima


def _least_of_best(maxima: Logits, count: int) -> Logits:
    """What `count` groups of each row reach: [N, G] to [N]."""
    least = maxima.shape[1] - count
    if least < 0:
        return np.full(len(maxima), -np.inf, np.float32)
    return np.partition(maxima, least, axis=-1)[:, least]
