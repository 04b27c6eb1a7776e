from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.engine.fakes import Caller, HandEngine, a_job
from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.graph import Graph, StepGraph
from stepwire_server.engine.job import Kind
from stepwire_server.engine.prefixes import LEAST_TOKENS, Beginning
from stepwire_zoo.bundle import open_bundle
from support.tiny import VOCABULARY, TinyCell

ZOO = Path(__file__).parents[3] / "model_zoo/bundles"
PLENTY = 1 << 24
SYSTEM = [token % VOCABULARY for token in range(100, 180)]


def ask(hand, prompt, owner="ann", **fields):
    """Submits a job whose prompt may share its beginning."""
    caller, width = Caller(), fields.get("beam_width", 1)
    if width > 1:
        fields = {**fields, "kind": Kind.SEARCH, "samples": width}
    job = a_job(caller, prompt, beginning=Beginning.of(owner, prompt), **fields)
    hand.engine.submit([job])
    return caller


def heard(caller):
    """Everything that a caller was told, to the last bit."""
    assert not caller.errors
    saved = {each.saved for each in caller.deliveries if each.saved}
    return caller.tokens, caller.logprobs, caller.ended, caller.hypotheses, saved


def steps_of(hand):
    return len(hand.cell.batch_sizes)


def test_the_same_prompt_is_not_read_again():
    hand = HandEngine(prefix_cache_bytes=PLENTY)
    first = ask(hand, SYSTEM, max_tokens=3)
    hand.finish()
    assert steps_of(hand) == len(SYSTEM) + 2
    again = ask(hand, SYSTEM, max_tokens=3)
    hand.finish()
    assert steps_of(hand) == len(SYSTEM) + 2 + 3
    assert heard(again) == heard(first)
    assert hand.value("stepwire_prefix_cache_hits_total") == 1
    assert hand.value("stepwire_prefix_cache_misses_total") == 1
    assert hand.value("stepwire_prefix_cache_tokens_total") == len(SYSTEM) - 1
    assert hand.value("stepwire_prefix_cache_bytes") == hand.tree.size_bytes > 0
    assert hand.value("stepwire_input_tokens_total") == len(SYSTEM) + 1  # that were read


def test_a_prompt_that_waited_begins_where_those_before_it_have_been():
    hand = HandEngine(max_rows=1, prefix_cache_bytes=PLENTY)
    callers = [ask(hand, SYSTEM, max_tokens=1) for _ in range(3)]
    hand.finish()
    assert steps_of(hand) == len(SYSTEM) + 2
    assert heard(callers[0]) == heard(callers[1]) == heard(callers[2])


def test_prompts_that_are_read_together_keep_one_state():
    hand, alone = HandEngine(prefix_cache_bytes=PLENTY), HandEngine(prefix_cache_bytes=PLENTY)
    for _ in range(5):
        ask(hand, SYSTEM)
    ask(alone, SYSTEM)
    hand.finish()
    alone.finish()
    assert hand.tree.size_bytes == alone.tree.size_bytes


def test_a_third_prompt_is_spared_what_two_have_shared():
    hand = HandEngine(prefix_cache_bytes=PLENTY)
    for tail in (1, 2, 3):
        ask(hand, SYSTEM + [tail] * 10, max_tokens=1)
        before = steps_of(hand)
        hand.finish()
    assert steps_of(hand) - before == 10


def test_callers_are_kept_apart():
    hand = HandEngine(prefix_cache_bytes=PLENTY)
    for owner in ("ann", "bob", "ann"):
        ask(hand, SYSTEM, owner)
        hand.finish()
    assert hand.value("stepwire_prefix_cache_hits_total") == 1


def test_callers_share_where_the_operator_says_so():
    hand = HandEngine(prefix_cache_bytes=PLENTY, prefix_cache_isolation="none")
    for owner in ("ann", "bob", "ann"):
        ask(hand, SYSTEM, owner)
        hand.finish()
    assert hand.value("stepwire_prefix_cache_hits_total") == 2


def test_a_job_that_shares_with_nobody_leaves_nothing_behind():
    hand, caller = HandEngine(prefix_cache_bytes=PLENTY), Caller()
    hand.engine.submit([a_job(caller, SYSTEM)])
    hand.finish()
    assert hand.tree.size_bytes == 0
    assert hand.value("stepwire_prefix_cache_misses_total") == 0


def test_a_caller_that_leaves_half_way_leaves_what_was_read():
    hand, leaver = HandEngine(prefix_cache_bytes=PLENTY), Caller()
    job = a_job(leaver, SYSTEM, beginning=Beginning.of("ann", SYSTEM))
    hand.engine.submit([job])
    hand.step(40)
    hand.engine.cancel([job])
    hand.step()
    before = steps_of(hand)
    ask(hand, SYSTEM, max_tokens=1)
    hand.finish()
    assert steps_of(hand) - before == len(SYSTEM) - 32


def test_a_step_that_fails_keeps_nothing():
    class Breaking(TinyCell):
        def step(self, tokens, states, view=None, wanted=frozenset()):
            if len(self.batch_sizes) == 70:
                self.batch_sizes.append(0)
                raise RuntimeError("no more")
            return super().step(tokens, states, view, wanted)

    hand = HandEngine(Breaking(), prefix_cache_bytes=PLENTY)
    failed = ask(hand, SYSTEM)
    hand.finish()
    assert failed.errors
    later = ask(hand, SYSTEM)
    hand.finish()
    undisturbed = HandEngine()
    wanted = ask(undisturbed, SYSTEM)
    undisturbed.finish()
    assert heard(later) == heard(wanted)


def test_a_model_that_stops_lets_go_of_everything():
    hand = HandEngine(prefix_cache_bytes=PLENTY)
    ask(hand, SYSTEM)
    hand.finish()
    hand.engine.stop()
    hand.engine.run()
    assert hand.tree.size_bytes == 0
    assert hand.value("stepwire_prefix_cache_bytes") == 0


stems = st.sampled_from([SYSTEM, SYSTEM[:40], SYSTEM[:33] + SYSTEM, SYSTEM[5:]])
prompts = st.tuples(
    stems, st.integers(0, 80), st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)
).map(lambda parts: parts[0][: parts[1]] + parts[2])
ways = st.one_of(
    st.fixed_dictionaries({"temperature": st.sampled_from([0.0, 1.0])}),
    st.fixed_dictionaries({"samples": st.just(3), "temperature": st.just(0.9)}),
    st.fixed_dictionaries({"beam_width": st.integers(2, 4), "num_hypotheses": st.just(2)}),
)
requests = st.builds(
    lambda way, more: {**more, **way},
    ways,
    st.fixed_dictionaries(
        {
            "prompt": prompts,
            "owner": st.sampled_from(["ann", "bob"]),
            "max_tokens": st.integers(1, 5),
            "repetition_penalty": st.sampled_from([1.0, 1.3]),
            "no_repeat_ngram_size": st.sampled_from([0, 2]),
            "seed": st.integers(0, 2**64 - 1),
            "logprobs": st.sampled_from([None, 2]),
            "save_every": st.sampled_from([0, 2]),
        }
    ),
)
waves = st.lists(st.lists(requests, min_size=1, max_size=5), min_size=1, max_size=4)


@cache
def published(name):
    """A published generator's step."""
    bundle = open_bundle(ZOO / name / "1")
    spec = bundle.manifest.graphs["step"]
    step = StepGraph(Graph(bundle.read(spec.file), spec, RuntimeConfig()), spec)
    return step, bundle.manifest.tokenizer.vocabulary_size


def alone(request, cell, vocabulary):
    hand = HandEngine(cell, vocabulary=vocabulary)
    caller = ask(hand, **request)
    hand.finish()
    return heard(caller)


def compare(all_waves, cell, vocabulary, most_bytes, isolation):
    """Runs requests wave by wave with a cache, and each alone without one."""
    hand = HandEngine(
        cell,
        vocabulary=vocabulary,
        prefix_cache_bytes=most_bytes,
        prefix_cache_isolation=isolation,
    )
    for wave in all_waves:
        callers = [ask(hand, **request) for request in wave]
        hand.finish()
        assert hand.tree.size_bytes <= most_bytes
        for caller, request in zip(callers, wave, strict=True):
            assert heard(caller) == alone(request, cell, vocabulary)


bounds = st.sampled_from([1, 3_000, 12_000, PLENTY])
isolations = st.sampled_from(["caller", "none"])


@settings(max_examples=60, deadline=None)
@given(waves, bounds, isolations)
def test_no_result_depends_on_what_is_kept(all_waves, most_bytes, isolation):
    compare(all_waves, TinyCell(), VOCABULARY, most_bytes, isolation)


@pytest.mark.parametrize("name", ["shakespeare-rnn", "shakespeare-lstm"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(waves, st.sampled_from([60_000, PLENTY]), isolations)
def test_no_result_of_a_published_model_does(name, all_waves, most_bytes, isolation):
    compare(all_waves, *published(name), most_bytes, isolation)


def test_short_prompts_are_left_alone():
    hand = HandEngine(prefix_cache_bytes=PLENTY)
    for _ in range(2):
        ask(hand, SYSTEM[:LEAST_TOKENS])
        hand.finish()
    assert hand.tree.size_bytes == 0
