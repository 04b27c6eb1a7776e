from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.decoding.options import Options
from stepwire_server.decoding.sampling import Sampler

V, END = 6, 0


def a_sampler(capacity=8, end=END, suppressed=()):
    return Sampler(capacity, V, end=end, suppressed=suppressed)


def choose(sampler, rows, logits):
    """Places rows in slots and chooses for each from its logits."""
    for slot, row in enumerate(rows):
        sampler.place(slot, row)
    return sampler.choose(np.array(logits, np.float32), np.arange(len(rows))).tolist()


@dataclass
class Row:
    options: Options
    sample: int
    prompt: tuple
    generated: list
    wish: tuple = ()


def a_row(prompt=(1,), generated=(), sample=0, **options):
    return Row(Options(max_tokens=100, **options), sample, prompt, list(generated))


RISING = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_greedy_takes_the_likeliest():
    assert choose(a_sampler(), [a_row()], [RISING]) == [5]


def test_suppressed_tokens_are_never_chosen():
    assert choose(a_sampler(suppressed=(5, 4)), [a_row()], [RISING]) == [3]


def test_a_bias_moves_the_choice():
    assert choose(a_sampler(), [a_row(logit_bias={1: 10.0})], [RISING]) == [1]


def test_no_end_before_min_tokens():
    falling = [[5.0, 1.0, 2.0, 0.0, 0.0, 0.0]]
    row = a_row(min_tokens=2, stop_token_ids=(2,))
    assert choose(a_sampler(), [row], falling) == [1]
    later = a_row(generated=(3, 3), min_tokens=2, stop_token_ids=(2,))
    assert choose(a_sampler(), [later], falling) == [END]


def test_a_penalty_counts_what_was_generated_since_the_row_was_placed():
    sampler = a_sampler()
    sampler.place(0, a_row(presence_penalty=1.5))
    picks = [
        int(sampler.choose(np.array([RISING], np.float32), np.array([0]))[0]) for _ in range(3)
    ]
    assert picks == [5, 4, 5]  # 5, then 5 - 1.5 < 4, then 4 - 1.5 < 5 - 1.5


def test_a_row_that_comes_back_is_penalised_for_what_it_generated_before():
    row = a_row(generated=[5], presence_penalty=1.5)
    assert choose(a_sampler(), [row], [RISING]) == [4]


def test_no_ngram_occurs_twice():
    row = a_row(prompt=(3, 5, 3), no_repeat_ngram_size=2)
    assert choose(a_sampler(), [row], [RISING]) == [4]


def test_a_row_that_comes_back_knows_the_ngrams_it_made_before():
    row = a_row(prompt=(3,), generated=(5, 3), no_repeat_ngram_size=2)
    assert choose(a_sampler(), [row], [RISING]) == [4]


@pytest.mark.parametrize("penalty", [0.01, 10.0])
def test_the_strongest_penalty_leaves_numbers_that_can_be_drawn_from(penalty):
    row = a_row(prompt=tuple(range(V)), repetition_penalty=penalty, temperature=0.01, top_k=2)
    assert choose(a_sampler(), [row], [[80.0, -80.0, 0.0, 1.0, 2.0, 3.0]])[0] in range(V)


def test_when_everything_would_repeat_something_is_chosen_all_the_same():
    row = a_row(prompt=tuple(range(V)), no_repeat_ngram_size=1)
    assert choose(a_sampler(), [row], [RISING]) == [5]


def test_samples_of_one_seed_differ_and_repeat_exactly():
    rows = [a_row(temperature=1.0, seed=5, sample=sample) for sample in range(8)]
    flat = [[0.0] * V] * 8
    first = choose(a_sampler(), rows, flat)
    assert len(set(first)) > 1
    assert choose(a_sampler(), rows, flat) == first


options = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        "top_k": st.integers(0, V),
        "top_p": st.sampled_from([0.1, 0.6, 1.0]),
        "min_p": st.sampled_from([0.0, 0.2]),
        "repetition_penalty": st.sampled_from([0.5, 1.0, 1.7]),
        "presence_penalty": st.sampled_from([-1.0, 0.0, 1.0]),
        "frequency_penalty": st.sampled_from([0.0, 0.5]),
        "no_repeat_ngram_size": st.integers(0, 3),
        "min_tokens": st.integers(0, 3),
        "logit_bias": st.dictionaries(st.integers(0, V - 1), st.floats(-5, 5)),
        "seed": st.integers(0, 2**64 - 1),
    },
)


@settings(max_examples=60)
@given(st.lists(options, min_size=2, max_size=8), st.integers(0, 2**32 - 1))
def test_neighbours_never_change_a_choice(all_options, seed):
    table = np.random.default_rng(seed).normal(size=(5, len(all_options), V)) * 3
    prompts = [tuple((index + k) % V for k in range(index % 4 + 1)) for index in range(8)]

    def run(indices):
        rows = [a_row(prompt=prompts[i], **all_options[i]) for i in indices]
        sampler = a_sampler()
        for slot, row in enumerate(rows):
            sampler.place(slot, row)
        for logits in table.astype(np.float32):
            picks = sampler.choose(logits[indices].copy(), np.arange(len(rows)))
            for row, token in zip(rows, picks.tolist(), strict=True):
                row.generated.append(token)
        return [row.generated for row in rows]

    together = run(list(range(len(all_options))))
    assert [run([index])[0] for index in range(len(all_options))] == together


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_draws_follow_the_softmax(top_p):
    logits = np.log(np.array([0.5, 0.3, 0.1, 0.1, 1e-9, 1e-9], np.float32))
    sampler = a_sampler(capacity=1)
    sampler.place(0, a_row(temperature=1.0, top_p=top_p, seed=3))
    picks = [int(sampler.choose(logits[None].copy(), np.array([0]))[0]) for _ in range(4000)]
    share = np.bincount(picks, minlength=V) / 4000
    whole = np.array([0.5, 0.3, 0.1, 0.1, 0, 0])
    nucleus = np.array([5 / 8, 3 / 8, 0, 0, 0, 0])
    np.testing.assert_allclose(share, whole if top_p == 1.0 else nucleus, atol=0.03)
