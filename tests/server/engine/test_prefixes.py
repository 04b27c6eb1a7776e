import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.engine.prefixes import LEAST_TOKENS, Beginning, PrefixTree

PLENTY = 1 << 30
SYSTEM = [7, 1, 5] * 30  # what some prompts share


def read(tree, prompt, owner="ann", until=None):
    """Reads a prompt as a row does; returns how many of its tokens were known."""
    known = tree.begin(Beginning.of(owner, prompt))
    if known is None:
        return 0
    assert bool(known.packed) == bool(known.depth)
    if known.depth:
        assert known.packed == state_of(prompt[: known.depth], owner)
    for node in reversed(known.wanted):
        if until is not None and node.depth > until:
            break
        if tree.wants(node):
            tree.keep(node, state_of(prompt[: node.depth], owner))
    return known.depth


def state_of(tokens, owner):
    return repr((list(tokens), owner)).encode()


def test_nothing_is_known_of_the_first_prompt():
    assert read(PrefixTree(PLENTY), SYSTEM) == 0


def test_all_but_the_last_token_is_known_of_the_same_prompt():
    tree = PrefixTree(PLENTY)
    read(tree, SYSTEM)
    assert read(tree, SYSTEM) == len(SYSTEM) - 1


def test_a_longer_prompt_goes_on_from_the_end_of_a_shorter_one():
    tree = PrefixTree(PLENTY)
    read(tree, SYSTEM)
    assert read(tree, [*SYSTEM, 3, 4, 5]) == len(SYSTEM) - 1


def test_a_prompt_knows_half_of_what_it_shares_with_a_single_other_one():
    tree = PrefixTree(PLENTY)
    read(tree, SYSTEM + [2] * 50)
    assert read(tree, SYSTEM + [3] * 50) == 64


@pytest.mark.parametrize("tail_length", [1, 5, 40])
@pytest.mark.parametrize("shared", range(LEAST_TOKENS, len(SYSTEM)))
def test_a_third_prompt_knows_what_two_have_shared(shared, tail_length):
    tree = PrefixTree(PLENTY)
    first, second, third = (SYSTEM[:shared] + [tail] * tail_length for tail in (20, 21, 22))
    read(tree, first)
    read(tree, second)
    assert shared - LEAST_TOKENS < read(tree, third) <= shared


def test_a_prompt_too_short_to_be_worth_it_is_not_looked_at():
    tree = PrefixTree(PLENTY)
    assert tree.begin(Beginning.of("ann", SYSTEM[:LEAST_TOKENS])) is None
    assert tree.size_bytes == 0


def test_owners_know_nothing_of_each_other():
    tree = PrefixTree(PLENTY)
    read(tree, SYSTEM, "ann")
    assert read(tree, SYSTEM, "bob") == 0
    assert read(tree, SYSTEM, "ann") > 0


def test_what_a_prompt_did_not_come_to_is_not_known():
    tree = PrefixTree(PLENTY)
    read(tree, SYSTEM, until=32)  # its caller left
    assert read(tree, SYSTEM) == 32
    assert read(tree, SYSTEM) == len(SYSTEM) - 1


def test_what_was_used_last_stays():
    tree = PrefixTree(most_bytes=40_000)
    for other in range(200):
        read(tree, [100 + other] * 40)
        assert (read(tree, SYSTEM) > 0) == (other > 0)
    assert read(tree, [299] * 40) == 39
    assert read(tree, [100] * 40) == 0


def test_a_place_that_was_forgotten_is_not_wanted_any_more():
    tree = PrefixTree(most_bytes=10_000)
    known = tree.begin(Beginning.of("ann", SYSTEM))
    for other in range(50):
        read(tree, [100 + other] * 40)
    assert not any(tree.wants(node) for node in known.wanted)


def test_nothing_is_left_when_it_is_cleared():
    tree = PrefixTree(PLENTY)
    read(tree, SYSTEM)
    tree.clear()
    assert tree.size_bytes == 0
    assert read(tree, SYSTEM) == 0


def test_it_takes_no_more_memory_than_it_says():
    tree = PrefixTree(PLENTY)
    tracemalloc.start()
    try:
        for owner in range(20):
            for tail in range(50):
                read(tree, [owner + 30] * 20 + [tail, *range(40)], str(owner))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < tree.size_bytes < 3 * taken


prompts = st.lists(st.integers(0, 2), min_size=1, max_size=14)
visits = st.tuples(prompts, st.sampled_from(["ann", "bob"]), st.none() | st.integers(0, 14))


@settings(deadline=None)
@given(st.lists(visits, max_size=30), st.integers(1, 4))
def test_it_knows_the_longest_beginning_that_was_kept(all_visits, least):
    tree, kept = PrefixTree(PLENTY, least), set()
    for prompt, owner, until in all_visits:
        known = tree.begin(Beginning.of(owner, prompt))
        ways = [tuple(prompt[:length]) for length in range(len(prompt))]
        best = max((len(way) for way in ways if (owner, way) in kept), default=0)
        if known is None:
            assert len(prompt) <= least
            continue
        assert known.depth == best
        assert known.packed == (state_of(prompt[:best], owner) if best else b"")
        for node in reversed(known.wanted):
            assert best < node.depth < len(prompt)
            if tree.wants(node) and (until is None or node.depth <= until):
                tree.keep(node, state_of(prompt[: node.depth], owner))
                kept.add((owner, tuple(prompt[: node.depth])))


@settings(deadline=None)
@given(st.lists(visits, max_size=40), st.integers(0, 20_000))
def test_it_never_takes_more_than_it_may_and_never_knows_what_is_wrong(all_visits, most_bytes):
    tree, late = PrefixTree(most_bytes, least_tokens=1), []
    for prompt, owner, until in all_visits:
        known = tree.begin(Beginning.of(owner, prompt))
        assert tree.size_bytes <= most_bytes
        if known is None:
            continue
        if known.depth:
            assert known.packed == state_of(prompt[: known.depth], owner)
        late += [(node, state_of(prompt[: node.depth], owner)) for node in known.wanted]
        for node, state in late[: until or 0]:  # prompts are read side by side
            if tree.wants(node):
                tree.keep(node, state)
            assert tree.size_bytes <= most_bytes
    tree.clear()
    assert tree.size_bytes == 0
