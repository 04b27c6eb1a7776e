"""Where rows' states stand, whether they are arrays or held by the graph that gave them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.graph import Graph, StepGraph
from stepwire_server.engine.standing import Standing
from support.tiny import HIDDEN, VOCABULARY, TinyCell, generation_manifest

SPEC = generation_manifest().graphs["step"]
CAPACITY = 5


def step_graph(*, hold_states):
    runtime = RuntimeConfig(hold_states=hold_states)
    return StepGraph(Graph(TinyCell().graph(), SPEC, runtime), SPEC)


GRAPHS = {"arrays": step_graph(hold_states=False), "held": step_graph(hold_states=True)}


class Rows:
    """The same by lists: each row has a state of its own, and steps by itself."""

    def __init__(self, graph):
        self.graph = graph
        self.standing = Standing(CAPACITY, graph.start)
        self.alone = {}  # by slot: the state, [1, *] each

    def enter(self, number):
        if len(self.alone) < CAPACITY:
            state = {
                name: np.full(HIDDEN, number / 10, np.float32) + n
                for n, name in enumerate(self.graph.start)
            }
            slot = self.standing.enter(state)
            self.alone[slot] = {name: value[None] for name, value in state.items()}

    def bring(self, number):
        """A state that is written once the slot is there."""
        if len(self.alone) < CAPACITY:
            slot = self.standing.take()
            states = {
                name: np.full((1, HIDDEN), number / 7, np.float32) for name in self.graph.start
            }
            self.standing.write(np.array([slot]), states)
            self.alone[slot] = states

    def twin(self, number):
        if self.alone and len(self.alone) < CAPACITY:
            slot = self.chosen(number)
            self.alone[self.standing.twin(slot)] = self.alone[slot]

    def leave(self, number):
        if self.alone:
            slot = self.chosen(number)
            self.standing.leave(slot)
            del self.alone[slot]

    def move(self, number):
        if self.alone:
            slots = sorted(self.alone)
            rng = np.random.default_rng(number)
            slots = rng.permutation(slots)[: rng.integers(1, len(slots) + 1)]
            origins = rng.choice(sorted(self.alone), len(slots))
            self.standing.move(slots, origins)
            moved = [self.alone[origin] for origin in origins]
            self.alone |= dict(zip(slots.tolist(), moved, strict=True))

    def step(self, number):
        slots = np.array(sorted(self.alone))
        if not len(slots):
            return
        tokens = (np.arange(len(slots)) + number) % VOCABULARY
        logits, following, _ = self.graph.step(tokens, self.standing.together(slots))
        self.standing.follow(slots, following)
        for place, slot in enumerate(slots.tolist()):
            wanted, state, _ = GRAPHS["arrays"].step(tokens[[place]], self.alone[slot])
            np.testing.assert_array_equal(logits[place], wanted[0])
            self.alone[slot] = state

    def check(self):
        """Looks at some rows at once, and at one by itself."""
        slots = np.array(sorted(self.alone), np.int64)[::-1]
        if not len(slots):
            return
        found = self.standing.gather(slots)
        for name in self.graph.start:
            wanted = [self.alone[slot][name][0] for slot in slots.tolist()]
            np.testing.assert_array_equal(found[name], wanted)
            one = self.standing.read(int(slots[0]))[name]
            np.testing.assert_array_equal(one, wanted[0])

    def chosen(self, number):
        return sorted(self.alone)[number % len(self.alone)]


what = st.sampled_from(["enter", "bring", "twin", "leave", "move", "step", "step", "check"])


@pytest.mark.parametrize("kind", GRAPHS)
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(what, st.integers(0, 99)), max_size=40))
def test_every_row_keeps_its_own_state_whatever_the_others_do(kind, happenings):
    rows = Rows(GRAPHS[kind])
    for name, number in happenings:
        if name == "check":
            rows.check()
        else:
            getattr(rows, name)(number)
    rows.check()


def test_what_feeds_a_step_is_what_the_last_one_gave_while_nobody_moves():
    standing, slots = Standing(CAPACITY, GRAPHS["arrays"].start), np.arange(3)
    for _ in slots:
        standing.enter()
    tokens = np.array([1, 2, 3])
    for _ in range(3):
        _, following, _ = GRAPHS["arrays"].step(tokens, standing.together(slots))
        standing.follow(slots, following)
        assert standing.together(slots) is following
