import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stepwire_server.decoding import filters

logits_of_rows = arrays.arrays(
    np.float32, (3, 7), elements=st.floats(-20, 20, width=32), unique=True
)


def slow_truncate(probabilities, top_k, top_p, min_p):
    """One row, token by token, likeliest first, as the papers tell it."""
    kept = list(probabilities[:top_k] if top_k else probabilities)
    total, before, nucleus = np.sum(kept), 0.0, []
    for probability in kept:
        if before < top_p * total or top_p == 1:
            nucleus.append(probability)
        before += probability
    kept = [p for p in nucleus if p >= min_p * nucleus[0]]
    return kept + [0.0] * (len(probabilities) - len(kept))


@given(
    logits_of_rows,
    st.integers(0, 7),
    st.sampled_from([0.05, 0.3, 0.5, 0.9, 1.0]),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_truncation_keeps_what_the_slow_way_keeps(logits, top_k, top_p, min_p):
    ranked = -np.sort(-filters.softmax(logits.astype(np.float64)), axis=-1)
    rows = len(logits)
    fast = filters.truncate(
        ranked, np.full(rows, top_k), np.full(rows, top_p), np.full(rows, min_p)
    )
    for row, given_row in zip(fast, ranked, strict=True):
        np.testing.assert_allclose(row, slow_truncate(given_row, top_k, top_p, min_p))


@given(
    arrays.arrays(np.float32, (3, 50), elements=st.floats(-30, 30, width=32)),
    st.sampled_from([-3000.0, -90.0, 0.0, 60.0, 90.0, 3000.0]),
)
def test_log_sum_exp_is_exact_wherever_the_logits_lie(logits, middle):
    logits = logits + np.float32(middle)
    wanted = np.logaddexp.reduce(logits.astype(np.float64), axis=-1)
    np.testing.assert_allclose(filters.log_sum_exp(logits), wanted, rtol=1e-9, atol=1e-6)


def test_log_sum_exp_does_not_depend_on_the_other_rows():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(64, 4003)).astype(np.float32)
    logits[::7] += 500
    together = filters.log_sum_exp(logits)
    alone = [filters.log_sum_exp(row[None])[0] for row in logits]
    assert together.tolist() == alone


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_log_sum_exp_of_what_is_no_number_is_none(number):
    logits = np.zeros((2, 9), np.float32)
    logits[1, 4] = number
    assert np.isnan(filters.log_sum_exp(logits)).tolist() == [False, True]


def test_the_likeliest_token_always_stays():
    ranked = np.array([[0.4, 0.3, 0.3]])
    kept = filters.truncate(ranked, np.array([0]), np.array([1e-9]), np.array([1.0]))
    assert (kept[0] > 0).tolist() == [True, False, False]


def test_draws_follow_the_weights():
    weights = np.tile([0.0, 0.7, 0.1, 0.2], (20_000, 1))
    numbers = np.random.default_rng(0).random(20_000)
    share = np.bincount(filters.pick(weights, numbers), minlength=4) / 20_000
    np.testing.assert_allclose(share, [0, 0.7, 0.1, 0.2], atol=0.015)


@pytest.mark.parametrize("number", [0.0, 0.5, 1 - 2**-53])
def test_a_draw_never_takes_what_has_no_weight(number):
    weights = np.array([[0.0, 3.0, 0.1, 0.0]])
    assert filters.pick(weights, np.array([number]))[0] in (1, 2)


def test_repetition_shrinks_positive_logits_and_sinks_negative_ones():
    logits = np.array([[2.0, -2.0, 2.0]], np.float32)
    penalised = filters.penalise(
        logits,
        filters.Penalties(
            np.array([2.0], np.float32),
            np.array([0.0], np.float32),
            np.array([0.0], np.float32),
            np.array([[True, True, False]]),
            np.zeros((1, 3), np.int32),
        ),
    )
    assert penalised.tolist() == [[1.0, -4.0, 2.0]]


def test_presence_counts_once_and_frequency_each_time():
    penalised = filters.penalise(
        np.zeros((1, 3), np.float32),
        filters.Penalties(
            np.array([1.0], np.float32),
            np.array([0.5], np.float32),
            np.array([0.25], np.float32),
            np.array([[True, True, True]]),
            np.array([[0, 1, 4]], np.int32),
        ),
    )
    assert penalised.tolist() == [[0.0, -0.75, -1.5]]


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5), st.integers(0, 30))
def test_forbidden_tokens_are_exactly_those_that_would_repeat_an_ngram(tokens, size, split):
    def ngrams(sequence):
        return [tuple(sequence[i : i + size]) for i in range(len(sequence) - size + 1)]

    index = filters.NgramIndex(size)
    index.add(tokens[:split])
    index.add(tokens[split:])
    forbidden = set(index.repeats())
    for token in range(4):
        longer = [*tokens, token]
        repeats = len(longer) >= size and ngrams(longer)[-1] in ngrams(tokens)
        assert (token in forbidden) == repeats


@given(logits_of_rows)
def test_log_softmax_is_the_logarithm_of_softmax(logits):
    expected = np.log(filters.softmax(logits.astype(np.float64)))
    np.testing.assert_allclose(filters.log_softmax(logits), expected, atol=1e-9)


@given(
    rows=st.lists(st.lists(st.integers(-4, 4), min_size=40, max_size=40), min_size=1, max_size=4),
    most=st.integers(1, 40),
)
def test_the_likeliest_are_found_as_by_sorting_all_of_them(rows, most):
    # Few different numbers: ties are everywhere, and the lower token comes first.
    logits = np.array(rows, np.float32)
    found = filters.rank(logits, most)

    np.testing.assert_array_equal(found, np.argsort(-logits, axis=-1, kind="stable")[:, :most])


def test_tokens_that_may_not_be_chosen_are_ranked_last():
    logits = np.full((2, 50), -np.inf, np.float32)
    logits[0, [7, 3]] = 1.0
    logits[1, 20] = -5.0

    assert filters.rank(logits, 3).tolist() == [[3, 7, 0], [20, 0, 1]]
