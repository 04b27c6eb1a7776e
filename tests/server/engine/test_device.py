"""States that stay on the device: here the CPU, by the very path that a GPU takes."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.engine.device import HeldStates
from stepwire_server.engine.graph import EncodeGraph, Graph, StepGraph
from stepwire_server.engine.job import Job, Kind
from stepwire_server.engine.sources import Source
from stepwire_server.engine.visits import Visit
from stepwire_server.registry.opening import Opener
from stepwire_zoo.bundle import open_bundle
from support.tiny import HIDDEN, VOCABULARY, TinyCell, generation_manifest

from .fakes import Caller, HandEngine, a_job
from .test_stepping import steps

ZOO = Path(__file__).parents[3] / "model_zoo/bundles"
PUBLISHED = [("shakespeare-rnn", "float32"), ("shakespeare-rnn", "int8")]
TRANSLATORS = [("multi30k-en-de", "float32"), ("multi30k-en-de", "int8")]
ROWS = 12


def tiny_graph(*, hold_states):
    spec = generation_manifest().graphs["step"]
    graph = Graph(TinyCell().graph(), spec, RuntimeConfig(hold_states=hold_states))
    return StepGraph(graph, spec)


PLAIN = tiny_graph(hold_states=False)


@cache
def published(name, precision, *, hold_states):
    bundle = open_bundle(ZOO / name / "1")
    spec, _ = bundle.manifest.graph("step", precision)
    graph = Graph(bundle.read(spec.file), spec, RuntimeConfig(hold_states=hold_states))
    return StepGraph(graph, spec)


@cache
def sources(name, precision):
    """Three sentences that a translator has read."""
    bundle = open_bundle(ZOO / name / "1")
    step, _ = bundle.manifest.graph("step", precision)
    spec, _ = bundle.manifest.graph("encode", precision)
    encode = EncodeGraph(Graph(bundle.read(spec.file), spec, RuntimeConfig()), spec, step)
    tokens = np.random.default_rng(0).integers(4, 1000, (3, 8))
    # The engine by hand has one batch only, for rows of one padded length.
    return [replace(each, bucket=0) for each in encode.run(tokens, np.array([8, 3, 5]))]


@dataclass
class Scene:
    """An engine, and everything that its callers were told."""

    hand: HandEngine
    sources: Sequence[Source] = ()  # that jobs look at, in turn
    told: list = field(default_factory=list)
    jobs: list = field(default_factory=list)

    def ask(self, **fields):
        caller = Caller()
        width = fields.get("beam_width", 1)
        if width > 1:
            fields |= {"kind": Kind.SEARCH, "samples": width}
        self._submit(a_job(caller, **fields), caller)

    def session(self, inputs):
        caller = Caller()
        self._submit(steps(caller, inputs), caller)

    def come_by(self, tokens):
        if self.sources:  # nobody visits a translator
            return
        visits = [
            Visit(
                reads=token,
                packed=b"",
                wanted=frozenset(),
                taken=lambda given, place: self.told.append(
                    (given.outputs["logits"][place].tobytes(), given.packed(place))
                ),
                failed=self.told.append,
            )
            for token in tokens
        ]
        self.hand.engine.visit(visits)

    def cancel(self, number):
        self.hand.engine.cancel([self.jobs[number % len(self.jobs)]] if self.jobs else [])

    def park(self, number):
        if self.jobs:
            job = self.jobs[number % len(self.jobs)]
            self.hand.engine.park(job)
            self.hand.step(1 + number % 3)
            self.hand.engine.unpark(job)

    def finish(self):
        self.hand.finish()
        return [what if not isinstance(what, Caller) else heard(what) for what in self.told]

    def _submit(self, job: Job, caller):
        if self.sources:
            job.source = self.sources[len(self.jobs) % len(self.sources)]
        self.hand.engine.submit([job])
        self.jobs.append(job)
        self.told.append(caller)


def heard(caller):
    """Everything that a caller was told, to the last bit."""
    assert not caller.errors
    saved = [each.saved for each in caller.deliveries if each.saved]
    stepped = [(taken.output("logits").tobytes(), taken.packed) for taken in caller.taken]
    told = caller.tokens, caller.logprobs, caller.ended, caller.hypotheses
    return (*told, saved, caller.standings, stepped)


tokens = st.integers(0, VOCABULARY - 1)
asked = st.fixed_dictionaries(
    {"prompt": st.lists(tokens, min_size=1, max_size=5), "max_tokens": st.integers(1, 9)},
    optional={"save_every": st.sampled_from([1, 3]), "seed": st.integers(0, 2**64 - 1)},
)
drawn = st.builds(
    lambda request, samples: {**request, "temperature": 0.9, "samples": samples, "logprobs": 2},
    asked,
    st.integers(1, 3),
)
searched = st.builds(
    lambda request, width: {**request, "beam_width": width, "num_hypotheses": width},
    asked,
    st.integers(2, 5),
)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), asked | drawn | searched),
        st.tuples(st.just("session"), st.lists(tokens, min_size=1, max_size=4)),
        st.tuples(st.just("come_by"), st.lists(tokens, min_size=1, max_size=3)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("park"), st.integers(0, 9)),
        st.tuples(st.just("step"), st.integers(1, 4)),
    ),
    max_size=14,
)


def play(script, graph, vocabulary=VOCABULARY, looked_at=()):
    scene = Scene(HandEngine(graph, end=3, vocabulary=vocabulary, max_rows=ROWS), looked_at)
    for name, what in script:
        if name == "step":
            scene.hand.step(what)
        elif name == "ask":
            scene.ask(**what)
        else:
            getattr(scene, name)(what)
    return scene.finish()


@settings(max_examples=60, deadline=None)
@given(happenings)
def test_nobody_is_told_anything_else_when_states_are_held(script):
    assert play(script, tiny_graph(hold_states=True)) == play(script, PLAIN)


def compare(name, precision, script, looked_at=()):
    vocabulary = open_bundle(ZOO / name / "1").manifest.tokenizer.vocabulary_size
    held, arrays = (
        play(script, published(name, precision, hold_states=hold), vocabulary, looked_at)
        for hold in (True, False)
    )
    assert held == arrays


@pytest.mark.parametrize(("name", "precision"), PUBLISHED)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=happenings)
def test_nor_is_anybody_who_asks_a_published_model(name, precision, script):
    compare(name, precision, script)


@pytest.mark.parametrize(("name", "precision"), TRANSLATORS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=happenings)
def test_nor_is_anybody_who_asks_a_translator(name, precision, script):
    compare(name, precision, script, sources(name, precision))


BEAM = {"beam_width": 4, "num_hypotheses": 4, "max_tokens": 100}


def a_busy_scene(**fields):
    """Rows that search, draw and begin to search while nothing is copied to the host."""
    graph = tiny_graph(hold_states=True)
    scene = Scene(HandEngine(graph, max_rows=ROWS))
    scene.ask(prompt=(1, 2), **BEAM)
    scene.ask(prompt=(4,), max_tokens=100, temperature=1.0, samples=2, **fields)
    scene.hand.step(4)
    return scene, graph.holder


def test_states_never_leave_the_device_while_rows_come_go_and_move():
    scene, holder = a_busy_scene()
    for length in range(1, 9):
        scene.ask(prompt=(length,), max_tokens=length)
        scene.hand.step(3)
    scene.ask(prompt=(5, 6), **{**BEAM, "max_tokens": 4})
    scene.hand.step(8)
    assert len(scene.hand.batch) == 6
    assert holder.rows_read == 0


def test_only_the_rows_that_are_saved_are_copied():
    scene, holder = a_busy_scene(save_every=1)
    before = holder.rows_read
    scene.hand.step(10)
    assert holder.rows_read - before == 10 * 2


def test_only_the_row_that_is_parked_is_copied():
    scene, holder = a_busy_scene()
    scene.ask(prompt=(3,), max_tokens=100)
    scene.hand.step(3)
    scene.park(2)
    assert holder.rows_read == 1


def test_only_what_visits_take_along_is_copied():
    scene, holder = a_busy_scene()
    scene.come_by([1, 2, 3])
    scene.hand.step()
    assert len(scene.told) == 2 + 3
    assert holder.rows_read == 3


def test_states_can_be_read_when_their_model_is_gone():
    spec = generation_manifest().graphs["step"]
    graph = tiny_graph(hold_states=True)
    states = {name: np.ones((3, HIDDEN), np.float32) for name in graph.start}
    _, held, _ = graph.step(np.array([1, 2, 3]), states)
    _, arrays, _ = tiny_graph(hold_states=False).step(np.array([1, 2, 3]), states)
    assert isinstance(held, HeldStates)
    part = held.taken(np.array([2, 1, 0])).taken(np.array([0, 2]))
    del graph, held
    gc.collect()
    assert [*part] == [state.input for state in spec.states]
    for name in part:
        np.testing.assert_array_equal(part[name], arrays[name][[2, 0]])


def test_a_step_changes_nothing_that_an_earlier_one_gave():
    graph = tiny_graph(hold_states=True)
    states = {name: np.ones((2, HIDDEN), np.float32) for name in graph.start}
    first = graph.step(np.array([1, 2]), states)
    kept = {name: value.copy() for name, value in first.states.items()}
    states = first.states
    for _ in range(5):
        states = graph.step(np.array([3, 4]), states).states
    for name, value in kept.items():
        np.testing.assert_array_equal(first.states[name], value)


def test_what_is_proved_before_a_model_serves_is_the_path_that_serves():
    opener = Opener(batching=BatchingConfig(max_rows=4), runtime=RuntimeConfig(hold_states=True))
    opened = opener.open(open_bundle(ZOO / "shakespeare-rnn/1"))
    assert opened.graph.holder.rows_read > 0
    assert opened.stands_alone


@pytest.mark.parametrize(("provider", "held"), [("cpu", False), ("cuda", True)])
def test_states_are_held_where_copying_them_costs(provider, held):
    assert RuntimeConfig(provider=provider).holds_states is held
