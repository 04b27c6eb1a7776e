import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.decoding.beam import BeamSearch, candidates, coverage
from stepwire_server.decoding.filters import log_sum_exp
from stepwire_server.decoding.options import LengthNormalization, Options
from support.plain_beam import PlainBeam, log_softmax

V = 6
END = 5


class Chain:
    """A little model: what follows depends on the last token and on the length so far."""

    def __init__(self, seed, spread=1.5):
        self.table = np.random.default_rng(seed).normal(size=(8, V, V)).astype(np.float32) * spread

    def __call__(self, token, length):
        return self.table[length % 8, token], length + 1


def best(logits, scores, count):
    """The candidates of one request with logits [W, V]."""
    rows = np.arange(len(logits))
    [found] = candidates(logits, np.zeros_like(rows), rows, scores, count)
    return found


def search(model, begin=0, end=END, attention=None, **options):
    """Runs one BeamSearch the way the engine does; returns it when it is over."""
    options = Options(**{"beam_width": 3, "max_tokens": 5, "num_hypotheses": 3, **options})
    beam = BeamSearch(options, end)
    width = options.beam_width
    tokens, lengths = np.full(width, begin), np.zeros(width, int)
    while not beam.is_over:
        logits = np.stack([model(token, n)[0] for token, n in zip(tokens, lengths, strict=True)])
        found = best(logits, beam.scores, 2 * width)
        looked = None if attention is None else attention.repeat(width, axis=0)
        choice = beam.advance(found, attention=looked)
        tokens, lengths = choice.tokens, lengths[choice.parents] + 1
    return beam


def every_sequence(model, max_tokens, norm, end=END, begin=0):
    """Scores of all complete sequences, by brute force."""
    result = {}
    for count in range(max_tokens + 1):
        for tokens in itertools.product([t for t in range(V) if t != end], repeat=count):
            total, last = 0.0, begin
            for place, token in enumerate(tokens):
                total += log_softmax(model(last, place)[0])[token]
                last = token
            if count < max_tokens:
                total += log_softmax(model(last, count)[0])[end]
            result[tokens] = total / norm(min(count + 1, max_tokens))
    return result


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_a_beam_as_wide_as_the_tree_finds_what_exhaustive_search_finds(seed, penalty):
    model = Chain(seed)
    beam = search(
        model, beam_width=200, num_hypotheses=5, max_tokens=3, length_penalty=penalty, patience=10
    )
    wanted = every_sequence(model, 3, lambda length: length**penalty)
    best = sorted(wanted, key=wanted.get, reverse=True)[:5]
    assert [hypothesis.tokens for hypothesis in beam.hypotheses] == best
    np.testing.assert_allclose(
        [hypothesis.score for hypothesis in beam.hypotheses],
        [wanted[tokens] for tokens in best],
        atol=1e-5,
    )


@given(
    seed=st.integers(0, 1000),
    width=st.integers(2, 7),
    data=st.data(),
    max_tokens=st.integers(1, 9),
    penalty=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    gnmt=st.booleans(),
    patience=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_it_finds_what_the_plain_search_finds(
    seed, width, data, max_tokens, penalty, gnmt, patience
):
    wanted = data.draw(st.integers(1, width))
    model = Chain(seed)
    kind = LengthNormalization.GNMT if gnmt else LengthNormalization.PLAIN
    beam = search(
        model,
        beam_width=width,
        num_hypotheses=wanted,
        max_tokens=max_tokens,
        length_penalty=penalty,
        length_normalization=kind,
        patience=patience,
    )
    norm = (lambda n: ((5 + n) / 6) ** penalty) if gnmt else (lambda n: n**penalty)
    reference = PlainBeam(
        step=model,
        width=width,
        wanted=wanted,
        end=END,
        max_tokens=max_tokens,
        norm=norm,
        patience=patience,
    ).run(0, [0])
    assert [list(h.tokens) for h in beam.hypotheses] == [h.tokens for h in reference]
    np.testing.assert_allclose(
        [h.score for h in beam.hypotheses], [h.score for h in reference], atol=1e-5
    )


@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 12),
    vocabulary=st.integers(3, 3000),
    levels=st.sampled_from([2, 40, 100_000]),  # few: most are equal
)
def test_the_candidates_are_those_of_a_full_sort(seed, count, vocabulary, levels):
    rng = np.random.default_rng(seed)
    logits = (rng.integers(0, levels, (4, vocabulary)) / levels).astype(np.float32)
    logits[:, rng.integers(0, vocabulary, vocabulary // 4)] = -np.inf
    owners, parents = np.array([1, 0, 1, 0]), np.array([0, 0, 1, 1])
    scores = rng.integers(-3, 0, 4) / 4
    found = candidates(logits, owners, parents, scores, count)
    lse = log_sum_exp(logits)
    for owner, rows in ((0, [1, 3]), (1, [0, 2])):
        every = [
            (float(logits[row, token] + (scores[row] - lse[row])), -hypothesis, -token)
            for hypothesis, row in enumerate(rows)
            for token in range(vocabulary)
        ]
        wanted = sorted(every, reverse=True)[:count]
        assert list(zip(*found[owner], strict=True)) == [
            (-hypothesis, -token, score) for score, hypothesis, token in wanted
        ]


def test_of_equal_candidates_the_earlier_hypothesis_and_the_lower_token_come_first():
    found = best(np.zeros((2, 4), np.float32), np.zeros(2), 4)
    assert found.parents == [0, 0, 0, 0]
    assert found.tokens == [0, 1, 2, 3]


def test_a_request_finds_the_same_whatever_shares_the_arrays():
    rng = np.random.default_rng(4)
    logits, scores = rng.normal(size=(6, 900)).astype(np.float32), rng.normal(size=6)
    owners, parents = np.array([2, 0, 1, 0, 2, 1]), np.array([0, 0, 0, 1, 1, 1])
    together = candidates(logits, owners, parents, scores, 4)
    for job in range(3):
        rows = owners == job
        assert together[job] == best(logits[rows], scores[rows], 4)


def test_tokens_that_may_not_be_chosen_never_are():
    logits = np.full((1, 4), -np.inf, np.float32)
    logits[:, 1] = 0.0
    beam = BeamSearch(Options(beam_width=2, max_tokens=3), END)
    choice = beam.advance(best(logits, np.zeros(1), 4))
    assert beam.live == [(1,)]
    assert beam.scores == [0.0, -np.inf]
    assert choice.parents == [0, 0]


def test_the_search_ends_when_no_other_can_become_one_of_the_best():
    certain = np.full((8, V, V), -20.0, np.float32)
    certain[0, :, 1] = certain[1:, :, END] = 0.0
    beam = search(
        lambda token, length: (certain[length % 8, token], length + 1),
        num_hypotheses=1,
        max_tokens=50,
        length_penalty=0.0,
        patience=10,
    )
    assert beam.hypotheses[0].tokens == (1,)
    assert beam.length == 2


def test_patience_lets_the_search_go_on():
    model = Chain(3)
    short = search(model, max_tokens=30, patience=0.4, length_penalty=2.0)
    long = search(model, max_tokens=30, patience=3.0, length_penalty=2.0)
    assert short.length < long.length
    assert long.hypotheses[0].score >= short.hypotheses[0].score


def test_a_stop_token_completes_a_hypothesis_too():
    beam = search(Chain(1), stop_token_ids=(2,), max_tokens=6)
    assert {hypothesis.by_end for hypothesis in beam.hypotheses} <= {END, 2, None}
    assert all(2 not in hypothesis.tokens for hypothesis in beam.hypotheses)


def test_coverage_counts_what_was_not_looked_at():
    assert coverage(np.array([1.0, 1.5])) == 0.0
    assert coverage(np.array([0.5, 1.0])) == pytest.approx(math.log(0.5))


def test_the_coverage_penalty_lowers_the_score_by_the_formula():
    attention = np.array([[0.5, 0.25, 0.25]], np.float32)
    plain = search(Chain(2), max_tokens=4, num_hypotheses=1, patience=10)
    covered = search(Chain(2), attention=attention, coverage_penalty=0.5, max_tokens=4, patience=10)
    for hypothesis in covered.hypotheses:
        steps = len(hypothesis.tokens) + (hypothesis.by_end is not None)
        looked = np.minimum(steps * attention[0], 1.0)
        wanted = hypothesis.logprob / steps + 0.5 * np.log(looked).sum()
        assert hypothesis.score == pytest.approx(wanted, abs=1e-5)
    assert plain.hypotheses[0].score >= covered.hypotheses[0].score


@given(seed=st.integers(0, 300), penalty=st.sampled_from([0.0, 1.0]))
def test_who_wins_was_always_among_those_that_could(seed, penalty):
    """At every step the final best goes on from a live hypothesis, or is the finished one."""
    model = Chain(seed)
    options = Options(beam_width=3, max_tokens=6, length_penalty=penalty)
    beam, standings = BeamSearch(options, END), []
    tokens, lengths = np.zeros(3, int), np.zeros(3, int)
    while not beam.is_over:
        logits = np.stack([model(token, n)[0] for token, n in zip(tokens, lengths, strict=True)])
        found = best(logits, beam.scores, 6)
        choice = beam.advance(found)
        tokens, lengths = choice.tokens, lengths[choice.parents] + 1
        standings.append(beam.standing())
    winner = list(beam.hypotheses[0].tokens)
    for standing in standings:
        live = [list(row) == winner[: len(row)] for row in standing.live]
        done = standing.finished is not None and list(standing.finished.tokens) == winner
        assert any(live) or done
