"""Beam search: the best W ways to go on, step by step.

One `BeamSearch` keeps the ledger of one request; `candidates` finds, for many requests at
once, what each may go on with. docs/decoding.md has the formulas.

Shapes: W beam width, K candidates (2W), N rows in this step (W for each request),
V vocabulary, S tokens of the source, L tokens generated.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.filters import Logits, Tokens, log_sum_exp
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import Options

Indices = NDArray[np.int64]
Scores = NDArray[np.float64]
Attention = NDArray[np.float32]

_GROUP = 16  # tokens of which only the best is looked at first


class Candidates(NamedTuple):
    """What one request may go on with, best first."""

    parents: Indices  # [K] which live hypothesis goes on
    tokens: Tokens  # [K] the token it appends
    scores: Scores  # [K] sums of log-probabilities


class Choice(NamedTuple):
    """How one request goes on after a step."""

    parents: Indices  # [W] which row each new row continues
    tokens: Tokens  # [W] the token it appends


class Hypothesis(NamedTuple):
    """One complete answer."""

    tokens: tuple[int, ...]  # the end left out
    logprob: float  # sum over its tokens, the end included
    score: float  # what it is ranked by
    by_end: int | None  # the end or stop token that completed it; None: it was full
    logprobs: tuple[TokenLogprobs, ...]  # of its tokens, if asked for
    attention: Attention | None  # [L, S], if asked for


class Standing(NamedTuple):
    """What a search knows after a step: who can still come first."""

    live: list[tuple[int, ...]]  # tokens of those that go on and may still win, best first
    finished: Hypothesis | None  # the best that is complete
    leads: bool  # whether `finished` is ahead of all of `live` now


class BeamSearch:
    """The live and the finished hypotheses of one request.

    Plain lists: for a handful of hypotheses they are several times faster than arrays.
    """

    def __init__(self, options: Options, end: int | None) -> None:
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
        self.scores = np.full(self._width, -np.inf)  # [W]
        self.scores[0] = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing that is still live can become one of the best."""
        if self.length == self._options.max_tokens or not self.live:
            return True
        if self._finished_count >= self._wanted:
            return True
        if len(self._finished) < self._options.num_hypotheses:
            return False
        return self._at_best(float(self.scores[0])) <= self._finished[-1].score

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The best complete hypotheses, best first."""
        return tuple(self._finished)

    def standing(self) -> Standing:
        """Who can still come first."""
        best = self._finished[0] if self._finished else None
        if best is None:
            return Standing(self.live, None, leads=False)
        scores = self.scores.tolist()
        live = [
            tokens
            for tokens, score in zip(self.live, scores, strict=False)
            if self._at_best(score) > best.score
        ]
        now = scores[0] / self._options.length_norm(max(1, self.length))
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
        found = zip(*(part.tolist() for part in candidates), strict=True)
        going_on: list[tuple[int, int, float]] = []
        ranks: list[int] = []
        for rank, (parent, token, score) in enumerate(found):
            if score == -math.inf or score != score or len(going_on) == self._width:
                break
            if token not in self._ends:
                going_on.append((parent, token, score))
                ranks.append(rank)
            elif rank < self._width:
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
        self.live = [(*self.live[parent], token) for parent, token, _ in going_on]
        idle = self._width - len(going_on)
        parents = np.array([parent for parent, _, _ in going_on] + [0] * idle, np.int64)
        tokens = np.array([token for _, token, _ in going_on] + [0] * idle, np.int64)
        self.scores = np.array([score for _, _, score in going_on] + [-np.inf] * idle)
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


def candidates(logits: Logits, places: Indices, scores: Scores) -> list[Candidates]:
    """Finds what some requests of the same width may go on with.

    Args:
        logits: [N, V], with all options applied; -inf is never chosen.
        places: [J, W], the row of `logits` that each hypothesis goes on from.
        scores: [J, W], of the hypotheses so far.

    Returns:
        [J], the 2W best of each; of equals the earlier hypothesis, then the lower token.
    """
    jobs, width = places.shape
    tokens = best_tokens(logits, min(2 * width, logits.shape[1]))  # [N, K]
    values = np.take_along_axis(logits, tokens, axis=-1) - log_sum_exp(logits)[:, None]
    sums = (values[places] + scores[:, :, None]).reshape(jobs, -1)  # [J, WK]
    order = np.argsort(-sums, axis=-1, kind="stable")[:, : 2 * width]
    best = np.take_along_axis(sums, order, axis=-1)
    chosen = np.take_along_axis(tokens[places].reshape(jobs, -1), order, axis=-1)
    parents = order // tokens.shape[1]
    return [Candidates(*parts) for parts in zip(parents, chosen, best, strict=True)]


def best_tokens(logits: Logits, count: int) -> Tokens:
    """The likeliest tokens of each row, best first: [N, V] to [N, count].

    A group of tokens that holds one of the best `count` is one of the best `count` groups,
    so most of a large vocabulary is looked at once only, for the groups' maxima.
    """
    rows, vocabulary = logits.shape
    groups = vocabulary // _GROUP
    if groups <= 2 * count:
        return np.argsort(-logits, axis=-1, kind="stable")[:, :count]
    # A group's tokens stand `groups` apart: its maximum is then taken over whole vectors.
    maxima = logits[:, : groups * _GROUP].reshape(rows, _GROUP, groups).max(axis=1)
    chosen = np.argpartition(-maxima, count - 1, axis=-1)[:, :count]
    inside = chosen[:, :, None] + np.arange(_GROUP) * groups  # [N, count, G]
    behind = np.arange(groups * _GROUP, vocabulary)
    places = np.concatenate(
        [inside.reshape(rows, -1), np.broadcast_to(behind, (rows, len(behind)))], axis=1
    )
    places.sort(axis=-1)  # so that of equals the lower token comes first
    values = -np.take_along_axis(logits, places, axis=-1)
    ranked = np.argsort(values, axis=-1, kind="stable")[:, :count]
    return np.take_along_axis(places, ranked, axis=-1)
