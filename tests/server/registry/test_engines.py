import time

import numpy as np
import pytest

from stepwire_server.config import RuntimeConfig
from stepwire_server.registry.engines import LOOP_ROW_S, engines_for, row_seconds

ROWS = 32


class Clock:
    """Time that passes in runs alone."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


class Graph:
    """Takes a given time for a row, and at first more."""

    blank = np.array(0)

    def __init__(self, clock, row_s):
        self.start = {"h": np.zeros(3, np.float32)}
        self.clock, self.row_s, self.runs = clock, row_s, 0

    def step(self, inputs, states):
        assert len(states["h"]) == len(inputs)
        self.runs += 1
        self.clock.now += len(inputs) * self.row_s * (10 if self.runs == 1 else 1)


@pytest.fixture
def graph(monkeypatch):
    clock = Clock(monkeypatch)
    return lambda row_s: Graph(clock, row_s)


def test_a_rows_cost_is_that_of_an_undisturbed_run(graph):
    assert row_seconds(graph(70e-6), ROWS) == pytest.approx(70e-6)


@pytest.mark.parametrize(("loops", "engines"), [(0.2, 1), (1.1, 1), (2.5, 2), (3.5, 3), (9, 3)])
def test_a_model_gets_as_many_as_keep_the_loop_busy_and_the_machine_has(graph, loops, engines):
    runtime = RuntimeConfig(engines_per_model=0, most_engines=3)
    assert engines_for(graph(loops * LOOP_ROW_S), runtime, ROWS) == engines


@pytest.mark.parametrize(
    ("runtime", "engines"),
    [
        (RuntimeConfig(engines_per_model=4), 4),
        (RuntimeConfig(engines_per_model=0), 1),
        (RuntimeConfig(engines_per_model=2, most_engines=8), 2),
    ],
)
def test_nothing_is_measured_where_there_is_no_choice(graph, runtime, engines):
    dear = graph(1.0)
    assert engines_for(dear, runtime, ROWS) == engines
    assert not dear.runs
