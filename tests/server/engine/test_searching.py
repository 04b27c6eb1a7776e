"""Beam search inside the running batch."""

import itertools
from functools import partial

import numpy as np
import pytest

from stepwire_server.engine.job import Kind
from stepwire_server.errors import InternalError
from support.plain_beam import PlainBeam
from support.tiny import VOCABULARY, TinyCell

from .fakes import Caller, HandEngine, a_job, run

END = 3


def search(prompt, width, **options):
    """Makes a job that searches."""

    def make(caller):
        wanted = {"num_hypotheses": width, **options}
        return a_job(caller, prompt, samples=width, beam_width=width, kind=Kind.SEARCH, **wanted)

    return make


def sample(prompt, seed):
    return lambda caller: a_job(caller, prompt, temperature=1.0, seed=seed, logprobs=2)


def greedy(prompt):
    return lambda caller: a_job(caller, prompt)


def plainly(prompt, width, wanted=None, cell=None, edit=None, **options):
    """The same by lists and loops."""
    cell = cell or TinyCell()

    def step(token, states):
        logits, states = cell.compute(np.array([token]), states)
        return logits[0], states

    beam = PlainBeam(
        step=step,
        width=width,
        wanted=wanted or width,
        end=END,
        max_tokens=options.get("max_tokens", 8),
        edit=edit,
    )
    found = beam.run({name: value[None] for name, value in cell.start.items()}, list(prompt))
    return [hypothesis.tokens for hypothesis in found]


def hypotheses(*jobs, **settings):
    return [
        [list(h.tokens) for h in caller.hypotheses]
        for caller in run(*jobs, whole=True, end=END, **{"max_rows": 40, **settings})
    ]


@pytest.mark.parametrize("width", [2, 3, 5, 10])
@pytest.mark.parametrize("prompt", [(1,), (4, 9, 2)])
def test_a_search_finds_what_the_plain_search_finds(width, prompt):
    assert hypotheses(search(prompt, width)) == [plainly(prompt, width)]


MIXED = (
    *(search((n,), width) for n, width in enumerate((2, 10, 5, 5, 3, 2))),
    *(sample((n, n + 1), seed=n) for n in range(4)),
    *(greedy((n,)) for n in range(3)),
)


@pytest.mark.parametrize("max_rows", [10, 17, 64])
def test_widths_and_draws_share_a_batch_and_change_nothing(max_rows):
    together = run(*MIXED, whole=True, end=END, max_rows=max_rows)
    for make, caller in zip(MIXED, together, strict=True):
        [alone] = run(make, whole=True, end=END, max_rows=max_rows)
        assert alone.tokens == caller.tokens
        assert alone.logprobs == caller.logprobs
        assert alone.hypotheses == caller.hypotheses


def test_a_search_gives_all_its_slots_back():
    hand, caller = HandEngine(end=END, max_rows=8), Caller()
    hand.engine.submit([search((1,), 5)(caller)])
    hand.finish()
    assert len(hand.batch) == 0
    hand.engine.submit([search((2,), 8)(caller)])
    hand.finish()
    assert len(caller.hypotheses) == 8


@pytest.mark.parametrize("prompt", [(1,), (1, 4, 2)])
def test_a_search_tells_of_its_first_step_under_load(prompt):
    """The prompt is a token a step; what is told then has waited for nobody."""
    hand, early = HandEngine(max_rows=40, max_delay_s=60.0), Caller()
    hand.engine.submit([search((n + 1,), 5, max_tokens=50)(Caller()) for n in range(6)])
    hand.engine.submit([greedy((n + 1,))(Caller()) for n in range(4)])
    hand.step(5)
    hand.engine.submit([search(prompt, 5)(early)])
    for _ in prompt:
        assert early.standings == []
        # One turn of the engine's thread, which may keep what others wait for.
        hand.engine._turn()
    assert len(early.standings) == 1


def test_a_search_that_is_cancelled_leaves_the_others_alone():
    hand, leaver, stayer = HandEngine(end=END, max_rows=16), Caller(), Caller()
    gone = search((1,), 5)(leaver)
    hand.engine.submit([gone])
    hand.engine.submit([search((2,), 4)(stayer)])
    hand.step(3)
    hand.engine.cancel([gone])
    hand.finish()
    assert leaver.hypotheses == ()
    assert [list(h.tokens) for h in stayer.hypotheses] == plainly((2,), 4)


class SickCell(TinyCell):
    """Gives no number for one token behind token 7."""

    def __init__(self, number):
        super().__init__()
        self._number = number

    def compute(self, tokens, states):
        logits, states = super().compute(tokens, states)
        logits[tokens == 7, 2] = self._number
        return logits, states


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_search_whose_numbers_are_none_fails_alone(number):
    hand, sick, healthy, drawn = HandEngine(SickCell(number), end=END), *(Caller() for _ in "123")
    hand.engine.submit([search((7,), 3)(sick)])
    hand.engine.submit([search((2,), 3, suppress_tokens=(7,))(healthy)])
    hand.finish()
    assert [type(error) for _, error in sick.errors] == [InternalError]
    assert len(healthy.hypotheses) == 3
    hand.engine.submit([search((7,), 3)(sick), greedy((2,))(drawn)])
    hand.finish()
    assert len(sick.errors) == 2
    assert drawn.tokens[0, 0]


def test_a_repetition_penalty_follows_each_hypothesis():
    def edit(tokens, logits):
        seen = list({*tokens, 1})
        values = logits[seen]
        logits[seen] = np.where(values > 0, values / np.float32(1.5), values * np.float32(1.5))
        return logits

    wanted = plainly((1,), 4, edit=edit)
    assert hypotheses(search((1,), 4, repetition_penalty=1.5)) == [wanted]
    assert wanted != plainly((1,), 4)


def test_no_ngram_repeats_within_a_hypothesis():
    def edit(tokens, logits):
        known = [1, *tokens]
        last = known[-1]
        for first, second in itertools.pairwise(known):
            if first == last:
                logits[second] = -np.inf
        return logits

    wanted = plainly((1,), 4, edit=edit, max_tokens=12)
    found = hypotheses(search((1,), 4, no_repeat_ngram_size=2, max_tokens=12))
    assert found == [wanted]


def test_min_tokens_and_suppressed_tokens_hold_in_a_search():
    def edit(tokens, logits):
        logits[[4, 5, 6]] = -np.inf
        if len(tokens) < 4:
            logits[END] = -np.inf
        return logits

    wanted = plainly((1,), 3, edit=edit)
    found = hypotheses(search((1,), 3, min_tokens=4, suppress_tokens=(4, 5, 6)))
    assert found == [wanted]
    assert all(len(tokens) >= 4 for tokens in wanted)


def test_a_wish_makes_a_beginning_likelier():
    wish = [7, 8, 9, 10]
    plain = hypotheses(search((1,), 3))[0][0]

    def wishing(share):
        return search((1,), 3, prefix_bias_beta=share, wish=wish)

    assert hypotheses(wishing(0.999))[0][0][:4] == wish
    assert hypotheses(wishing(1e-9))[0][0] == plain


def test_a_search_tells_the_models_own_logprobs():
    [caller] = run(search((1,), 3, logprobs=2), whole=True, end=END)
    for hypothesis in caller.hypotheses:
        assert len(hypothesis.logprobs) == len(hypothesis.tokens)
        by_end = 0.0
        total = sum(entry.logprob for entry in hypothesis.logprobs)
        if hypothesis.by_end is not None:
            by_end = hypothesis.logprob - total
        assert by_end <= 1e-6
        assert hypothesis.logprob == pytest.approx(total + by_end, abs=1e-4)
        assert all(len(entry.top) == 2 for entry in hypothesis.logprobs)


def test_scoring_a_text_gives_the_log_probability_of_each_token():
    prompt = (1, 5, 9, 2, 2)

    [scored, *_] = run(
        partial(a_job, prompt=prompt, kind=Kind.SCORE), *MIXED[:4], whole=True, end=END, max_rows=40
    )
    logits = TinyCell().run(np.array([prompt]))[0].astype(np.float64)
    values = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = values[np.arange(len(prompt) - 1), prompt[1:]]
    np.testing.assert_allclose([d.logprob for d in scored.deliveries], wanted, atol=1e-5)
    assert [token for d in scored.deliveries for token in d.tokens] == list(prompt[1:])
    assert scored.deliveries[-1].ended


def test_a_search_never_chooses_outside_the_vocabulary():
    [found] = hypotheses(search((1,), VOCABULARY // 2, max_tokens=3), max_rows=40)
    assert all(0 <= token < VOCABULARY for tokens in found for token in tokens)
