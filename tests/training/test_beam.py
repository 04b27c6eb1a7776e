"""The plain search against trying everything."""

import itertools
import math

import pytest
import torch

from stepwire_training import beam
from stepwire_training.beam import Search, search
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator

BEGIN, END = 0, 1


def table_of(vocabulary: int, seed: int):
    """A step whose logits hang on the last two tokens."""
    generator = torch.Generator().manual_seed(seed)
    table = 2 * torch.randn(vocabulary, vocabulary, vocabulary, generator=generator)

    def step(tokens, state):
        (before,) = state
        return table[before, tokens], (tokens,)

    return table, step, (torch.tensor([BEGIN]),)


def everything(table, wanted: Search):
    """Every hypothesis there is, best first."""
    allowed = [token for token in range(len(table)) if token not in (*wanted.suppressed, END)]
    found = []
    for length in range(1, wanted.max_tokens + 1):
        for head in itertools.product(allowed, repeat=length - 1):
            lasts = [END] if length < wanted.max_tokens else [END, *allowed]
            for tokens in ((*head, last) for last in lasts):
                total = logprob(table, tokens, wanted)
                found.append((wanted.score(total, length), list(tokens)))
    return sorted(found, key=lambda pair: -pair[0])


def logprob(table, tokens, wanted: Search) -> float:
    path = [BEGIN, BEGIN, *tokens]
    total = 0.0
    for before, last, token in zip(path, path[1:], path[2:], strict=False):
        logits = table[before, last].double()
        logits[list(wanted.suppressed)] = -math.inf
        total += float(logits.log_softmax(dim=0)[token])
    return total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_beam_wide_enough_finds_what_trying_everything_finds(seed, penalty):
    wanted = Search(
        begin=BEGIN,
        end=END,
        suppressed=(BEGIN,),
        width=81,
        count=4,
        length_penalty=penalty,
        max_tokens=4,
        patience=100.0,
    )
    table, step, state = table_of(4, seed)
    found = search(step, state, wanted)
    best = everything(table, wanted)[:4]

    assert [hypothesis.tokens for hypothesis in found] == [tokens for _, tokens in best]
    assert [h.score for h in found] == pytest.approx([score for score, _ in best])


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_takes_the_likeliest_token_each_time(seed):
    table, step, state = table_of(6, seed)
    wanted = Search(begin=BEGIN, end=END, suppressed=(BEGIN,), width=1, max_tokens=7)
    (found,) = search(step, state, wanted)
    before, last, tokens = BEGIN, BEGIN, []
    while len(tokens) < 7 and (not tokens or tokens[-1] != END):
        logits = table[before, last].clone()
        # An end that comes first is taken; one that comes second is dropped.
        logits[BEGIN] = -math.inf
        before, last = last, int(logits.argmax())
        tokens.append(last)

    assert found.tokens == tokens


def test_of_equals_the_earlier_hypothesis_and_the_lower_token_come_first():
    def step(tokens, state):
        return torch.zeros(len(tokens), 4), state

    wanted = Search(begin=BEGIN, end=END, suppressed=(BEGIN,), width=2, count=2, max_tokens=2)
    found = search(step, (torch.zeros(1),), wanted)

    assert [hypothesis.tokens for hypothesis in found] == [[END], [2, END]]


def test_an_end_that_is_not_among_the_first_candidates_is_dropped():
    def step(tokens, state):
        return torch.tensor([[-math.inf, 0.0, 2.0, 1.0]]).expand(len(tokens), 4), state

    wanted = Search(begin=BEGIN, end=END, width=2, count=9, max_tokens=1)
    assert [h.tokens for h in search(step, (torch.zeros(1),), wanted)] == [[2], [3]]


def test_it_stops_when_nothing_live_can_still_win():
    steps = []

    def step(tokens, state):
        steps.append(len(tokens))
        return torch.tensor([[-math.inf, 5.0, 0.0, 0.0]]).expand(len(tokens), 4), state

    wanted = Search(begin=BEGIN, end=END, width=2, length_penalty=0.0, max_tokens=50)
    (found,) = search(step, (torch.zeros(1),), wanted)

    assert found.tokens == [END]
    assert steps == [1]


def test_a_translator_is_searched_one_source_at_a_time():
    encoder = Encoder.Config(layers=1, hidden=4, embedding=6)
    for feeding in (False, True):
        config = Translator.Config(encoder=encoder, hidden=8, input_feeding=feeding)
        model = config.build(9, 0).eval()
        source = torch.tensor([3, 4, 5]).numpy()
        wanted = Search(begin=BEGIN, end=END, suppressed=(BEGIN, 2), width=3, count=3, max_tokens=6)
        for hypothesis in beam.translate(model, source, wanted):
            begun = torch.tensor([[BEGIN, *hypothesis.tokens[:-1]]])
            logits, _ = model(torch.tensor([[3, 4, 5]]), torch.tensor([3]), begun, ())
            logits[:, :, [BEGIN, 2]] = -math.inf
            scores = logits[0].double().log_softmax(dim=-1)
            total = sum(scores[n, token] for n, token in enumerate(hypothesis.tokens))
            assert hypothesis.total == pytest.approx(total.item(), abs=1e-4)
