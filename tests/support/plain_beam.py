"""Beam search as anyone would write it down: lists, loops, one hypothesis at a time."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Plain:
    """A hypothesis."""

    tokens: list
    logprob: float
    state: Any
    score: float = 0.0


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


@dataclass(kw_only=True)
class PlainBeam:
    """A search; `run` returns the best, best first."""

    step: Callable  # (token, state) to (logits [V], next state)
    width: int  # hypotheses that are kept
    wanted: int = 1  # how many to return
    end: int | None = None  # the token that completes a hypothesis
    max_tokens: int  # where every hypothesis is complete
    norm: Callable = lambda length: length  # what a sum is divided by
    patience: float = 1.0
    suppressed: tuple = ()  # tokens that are never chosen
    edit: Callable | None = None  # (tokens so far, logits) to logits

    def run(self, start, begin):
        """Searches from a state, behind the tokens to read first."""
        for token in begin[:-1]:
            _, start = self.step(token, start)
        live, finished, count = [Plain([], 0.0, start)], [], 0
        for length in range(1, self.max_tokens + 1):
            best = self._candidates(live, begin[-1])[: 2 * self.width]
            live = [new for new in best if new.tokens[-1] != self.end][: self.width]
            complete = [new for new in best[: self.width] if new.tokens[-1] == self.end]
            for new in complete:
                del new.tokens[-1]
            finished += [self._scored(new, length) for new in complete]
            count += len(complete)
            if length == self.max_tokens:
                finished += [self._scored(new, length) for new in live]
            finished = sorted(finished, key=lambda one: -one.score)[: self.wanted]
            if not live or count >= math.ceil(self.width * self.patience):
                break
            if len(finished) == self.wanted and self._bound(live[0]) <= finished[-1].score:
                break
        return finished

    def _candidates(self, live, first):
        found = []
        for rank, hypothesis in enumerate(live):
            last = hypothesis.tokens[-1] if hypothesis.tokens else first
            logits, state = self.step(last, hypothesis.state)
            logits = np.array(logits, np.float32)
            logits[list(self.suppressed)] = -np.inf
            if self.edit:
                logits = self.edit(hypothesis.tokens, logits)
            for token, value in enumerate(log_softmax(logits)):
                new = Plain([*hypothesis.tokens, token], hypothesis.logprob + value, state)
                found.append((-new.logprob, rank, token, new))
        found.sort(key=lambda entry: entry[:3])
        return [new for negated, _, _, new in found if negated < np.inf]

    def _scored(self, hypothesis, length):
        hypothesis.score = hypothesis.logprob / self.norm(length)
        return hypothesis

    def _bound(self, hypothesis):
        return hypothesis.logprob / self.norm(self.max_tokens)
