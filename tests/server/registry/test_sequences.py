"""What a search tells while it goes on: text that nothing takes back."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.decoding.beam import BeamSearch, candidates
from stepwire_server.decoding.options import Options
from stepwire_server.engine.job import Ended, FinishReason, Job, Kind, SearchUpdate
from stepwire_server.registry.sequences import Searched, Writer, common_prefix
from support.kinds import KINDS

ENDED = Ended(FinishReason.END_OF_SEQUENCE, 0.0, 0.0, 0.0)


def messages(tokenizer, rng, *, width, wanted=1, max_tokens=9, haste=0.0, agree=0.0):
    """Searches with a made-up model; yields (text, tail) after each step, and the best answer.

    Args:
        tokenizer: of the texts.
        rng: of the model.
        width: of the beam.
        wanted: hypotheses.
        max_tokens: of each.
        haste: how early hypotheses end.
        agree: how much likelier one way to go on is than the others.
    """
    size = tokenizer.vocabulary_size
    end = size  # behind the vocabulary: the tokenizer never sees it
    options = Options(beam_width=width, num_hypotheses=wanted, max_tokens=max_tokens)
    search = BeamSearch(options, end)
    job = Job([0], options, sink=None, samples=width, kind=Kind.SEARCH)
    job.search = search
    told = Searched(Writer(tokenizer), job, end)
    while not search.is_over:
        rows = len(search.live)
        logits = rng.normal(size=(rows, size + 1)).astype(np.float32) * 3
        logits[:, rng.integers(1, size)] += agree
        logits[:, end] += haste
        [found] = candidates(
            logits,
            np.zeros(rows, int),
            np.arange(rows),
            np.array(search.scores[:rows]),
            2 * width,
        )
        search.advance(found)
        ended = ENDED if search.is_over else None
        news = told.absorb(SearchUpdate(job, search.standing(), ended))
        yield news.text, news.tail
    yield None, told.answers()[0].text


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(2, 5),
    haste=st.sampled_from([-5.0, 0.0, 5.0]),
    agree=st.sampled_from([0.0, 12.0]),
    data=st.data(),
)
def test_what_was_told_is_what_the_best_answer_begins_with(kind, seed, width, haste, agree, data):
    wanted = data.draw(st.integers(1, width))
    rng = np.random.default_rng(seed)
    *told, (_, best) = messages(
        KINDS[kind], rng, width=width, wanted=wanted, haste=haste, agree=agree
    )
    assert "".join(text for text, _ in told) == best
    assert told[-1][1] == ""  # nothing is left to guess


@pytest.mark.parametrize("kind", KINDS)
def test_text_comes_before_the_end_where_hypotheses_agree(kind):
    early = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        *told, _ = messages(KINDS[kind], rng, width=3, max_tokens=20, haste=-30.0, agree=15.0)
        early += any(text for text, _ in told[:-1])
    assert early >= 15


def test_a_hypothesis_that_ended_early_holds_the_text_back_only_while_it_can_win():
    tokenizer = KINDS["bytes"]
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        *told, (_, best) = messages(tokenizer, rng, width=3, max_tokens=12, haste=4.0)
        so_far = list(itertools.accumulate(text for text, _ in told))
        assert all(best.startswith(text) for text in so_far)
        held += not any(so_far[:-1])
    assert 0 < held < 200


@given(st.lists(st.text(max_size=5), min_size=1, max_size=5))
def test_the_common_prefix_is_the_longest_one(texts):
    prefix = common_prefix(texts)
    assert all(text.startswith(prefix) for text in texts)
    longer = {text[: len(prefix) + 1] for text in texts}
    assert len(longer) > 1 or prefix in texts
