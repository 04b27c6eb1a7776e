"""Beam search, one sentence at a time, as plainly as it can be said.

The servers' search, which runs many sentences in one batch, is compared with this one.

R live hypotheses, V tokens.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from stepwire_training.data.splitting import Ids
from stepwire_training.models.encoder_decoder import EncoderDecoder, Read
from stepwire_training.models.network import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""Takes tokens [R] and states [R, *]; gives logits [R, V] and the next states."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched for."""

    begin: int  # read before every translation
    end: int  # ends one
    suppressed: tuple[int, ...] = ()  # never chosen
    width: int = 5  # hypotheses kept alive
    count: int = 1  # hypotheses wanted
    length_penalty: float = 1.0  # a score is the sum of log-probabilities / length ** this
    max_tokens: int = 128
    patience: float = 1.0  # times the width: so many finished hypotheses are enough

    def score(self, total: float, length: int) -> float:
        """The final score of a hypothesis of so many tokens, the end included."""
        return total / length**self.length_penalty


class Hypothesis(NamedTuple):
    """A translation."""

    tokens: list[int]  # the end included, unless it was cut off
    total: float  # sum of log-probabilities
    score: float


class Live(NamedTuple):
    """A translation that goes on."""

    tokens: list[int]
    total: float
    parent: int  # the row of the last step that it continues


def search(step: Step, state: State, wanted: Search) -> list[Hypothesis]:
    """The best hypotheses, best first.

    Args:
        step: scores what may follow.
        state: before the first token, of one row.
        wanted: what is searched for.
    """
    live = [Live([], 0.0, 0)]
    finished: list[Hypothesis] = []
    for length in range(1, wanted.max_tokens + 1):
        tokens = [hypothesis.tokens[-1] if length > 1 else wanted.begin for hypothesis in live]
        parents = torch.tensor([hypothesis.parent for hypothesis in live])
        logits, state = step(torch.tensor(tokens), tuple(part[parents] for part in state))
        candidates = _candidates(live, _log_probabilities(logits, wanted.suppressed), wanted)
        live = []
        for rank, candidate in enumerate(candidates):
            if candidate.tokens[-1] != wanted.end:
                live = [*live, candidate][: wanted.width]
            elif rank < wanted.width:
                finished.append(_finish(candidate, wanted))
        if length == wanted.max_tokens:
            finished += [_finish(hypothesis, wanted) for hypothesis in live]
        if not live or _is_enough(live, finished, wanted):
            break
    # Python's sort is stable: of equals the one that finished first.
    return sorted(finished, key=lambda hypothesis: -hypothesis.score)[: wanted.count]


def _log_probabilities(logits: Tensor, suppressed: tuple[int, ...]) -> Tensor:
    """Logits [R, V] as float64 [R, V]; what is suppressed has no share."""
    allowed = logits.double()
    allowed[:, list(suppressed)] = -math.inf
    return allowed.log_softmax(dim=-1)


def _candidates(live: list[Live], scores: Tensor, wanted: Search) -> list[Live]:
    """The best 2 x width continuations; of equals the earlier hypothesis, the lower token."""
    totals = torch.tensor([hypothesis.total for hypothesis in live], dtype=torch.float64)
    summed = (totals.unsqueeze(1) + scores).flatten()  # [R x V]
    most = min(2 * wanted.width, len(summed))
    least = summed.topk(most).values[-1]  # of equals topk takes any; the sort below does not
    (places,) = torch.where((summed >= least) & (summed > -math.inf))
    order = places[torch.argsort(summed[places], descending=True, stable=True)][:most]
    best = [(*divmod(place, scores.shape[1]), float(summed[place])) for place in order.tolist()]
    return [Live([*live[row].tokens, token], total, row) for row, token, total in best]


def _finish(candidate: Live, wanted: Search) -> Hypothesis:
    score = wanted.score(candidate.total, len(candidate.tokens))
    return Hypothesis(candidate.tokens, candidate.total, score)


def _is_enough(live: list[Live], finished: list[Hypothesis], wanted: Search) -> bool:
    """Whether enough have finished, or no live hypothesis can still win."""
    if len(finished) >= math.ceil(wanted.width * wanted.patience):
        return True
    if len(finished) < wanted.count:
        return False
    scores = sorted((hypothesis.score for hypothesis in finished), reverse=True)
    return wanted.score(live[0].total, wanted.max_tokens) <= scores[wanted.count - 1]


def translate(model: EncoderDecoder, source: Ids, wanted: Search) -> list[Hypothesis]:
    """Translates the tokens of one source [S]."""
    with torch.inference_mode():
        read = model.read(torch.from_numpy(source)[None], torch.tensor([len(source)]))

        def step(tokens: Tensor, state: State) -> tuple[Tensor, State]:
            rows = len(tokens)
            contexts = {n: part.expand(rows, -1, -1) for n, part in read.contexts.items()}
            seen = Read(contexts, read.inside, ())
            logits, _, state = model.write(tokens.unsqueeze(1), seen, state)
            return logits[:, 0], state

        return search(step, model.begin(read), wanted)
