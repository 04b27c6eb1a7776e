"""Real graphs in ONNX Runtime, on a real thread; the clock is set by hand."""

import threading

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.queueing import DynamicBatching, QueuePolicy
from stepwire_server.engine.tensor_batcher import TensorBatcher
from stepwire_server.engine.tensor_graph import TensorGraph
from stepwire_server.engine.tensor_queue import TensorQueue
from stepwire_server.engine.tensors import Asked
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    Overloaded,
    ShuttingDown,
)
from stepwire_server.metrics import Metrics, ModelMetrics
from support import foreign
from support.foreign import FEATURES, VOCABULARY

SCALE = np.ones(1, np.float32)


class Watched(TensorGraph):
    """Remembers how many rows its runs had; can be held in the midst of one, or broken."""

    def __init__(self, file, wiring):
        super().__init__(foreign.open_graph(file), wiring)
        self.rows = []
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()
        self.breaks = None

    def run(self, inputs):
        self.rows.append(inputs.rows)
        self.begun.set()
        assert self.may_end.wait(30)
        if self.breaks:
            raise self.breaks
        return super().run(inputs)


class Caller:
    def __init__(self, told):
        self.ended = threading.Event()
        self.answer = self.error = None
        self.told = told

    def done(self, answer):
        self.answer = answer
        self.told()
        self.ended.set()

    def failed(self, error):
        self.error = error
        self.ended.set()


class Hand:
    """A batcher that begins when it is told to."""

    def __init__(self, kind="classifier", *, max_rows=32, max_waiting=100, batching=None, **wiring):
        files = {
            "classifier": (foreign.classifier_file(), foreign.classifier_wiring()),
            "lstm": (
                foreign.lstm_file(lengths="lengths" in wiring),
                foreign.lstm_wiring(**wiring),
            ),
        }
        self.graph = Watched(*files[kind])
        self.metrics = Metrics(CollectorRegistry())
        self.hops = 0
        self.now = 0.0
        self.batcher = TensorBatcher(
            self.graph,
            TensorQueue(batching, max_rows, max_waiting),
            ModelMetrics(self.metrics, "m", "1"),
            Outbox(self.post, max_delay_s=0),
            clock=lambda: self.now,
        )
        self.thread = threading.Thread(target=self.batcher.run)
        self.callers = []

    def post(self, arrive):
        self.hops += 1
        arrive()

    def ask(self, tensors, *, wanted=("logits",), keeps=False, told=lambda: None, **fields):
        caller = Caller(told)
        rows = len(next(iter(tensors.values())))
        asked = Asked(tensors=tensors, rows=rows, wanted=wanted, **fields)
        caller.cancel = self.batcher.submit(asked, caller.done, caller.failed, keeps=keeps)
        self.callers.append(caller)
        return caller

    def classify(self, *ids, **fields):
        return self.ask({"ids": np.array([ids]), "scale": SCALE}, **fields)

    def start(self):
        self.thread.start()

    def finish(self, but=()):
        if not self.thread.ident:
            self.start()
        for caller in self.callers:
            assert caller in but or caller.ended.wait(30)
        self.stop()

    def stop(self):
        self.batcher.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def metric(self, name, **labels):
        labels = {"model": "m", "version": "1", **labels}
        return self.metrics.registry.get_sample_value(f"stepwire_{name}", labels)


def alone(*ids):
    graph = foreign.classifier()
    asked = Asked(tensors={"ids": np.array([ids]), "scale": SCALE}, rows=1, wanted=["logits"])
    inputs = graph.put_together([graph.prepare(asked, keeps=False)])
    return graph.take_apart(inputs, graph.run(inputs))[0][0]["logits"]


def test_what_waits_together_runs_together_and_changes_nothing():
    hand = Hand()
    callers = [hand.classify(n % VOCABULARY, 3) for n in range(40)]
    hand.finish()
    assert hand.graph.rows == [32, 8]
    for n, caller in enumerate(callers):
        assert (caller.answer.tensors["logits"] == alone(n % VOCABULARY, 3)).all()
        assert caller.answer.timing.batch == hand.graph.rows[n // 32]


def test_what_comes_during_a_run_shares_the_next_one():
    hand = Hand(max_rows=64)
    hand.graph.may_end.clear()
    hand.start()
    hand.classify(1)
    assert hand.graph.begun.wait(30)
    for n in range(64):
        hand.classify(n % VOCABULARY)
    hand.graph.may_end.set()
    hand.finish()
    assert hand.graph.rows == [1, 64]


def test_a_run_crosses_to_the_callers_in_one_hop():
    hand = Hand()
    for n in range(20):
        hand.classify(n)
    hand.finish()
    assert hand.hops == 1


def test_odd_shapes_run_by_themselves():
    hand = Hand()
    hand.classify(1)
    odd = hand.classify(1, 2, 3)
    hand.classify(2)
    hand.finish()
    assert hand.graph.rows == [2, 1]
    assert (odd.answer.tensors["logits"] == alone(1, 2, 3)).all()


def test_a_graph_whose_rows_change_each_other_runs_one_request_at_a_time():
    hand = Hand("lstm", merges=False)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(2, 3, FEATURES)).astype(np.float32)
        hand.ask({"x": x}, wanted=("y",))
    hand.finish()
    assert hand.graph.rows == [2, 2, 2]


@pytest.mark.parametrize("wild", [[5], [0], [31], [7, 8], [0, 15, 16, 31]])
def test_a_wild_index_fails_alone_and_its_batch_mates_never_notice(wild):
    hand = Hand()
    ids = [10**15 if n in wild else n % VOCABULARY for n in range(32)]
    callers = [hand.classify(one, 2) for one in ids]
    hand.finish()
    assert hand.graph.rows[0] == 32
    for n, caller in enumerate(callers):
        if n in wild:
            assert isinstance(caller.error, InvalidRequest)
            assert "idx=1000000000000000 must be within the inclusive range" in str(caller.error)
        else:
            assert (caller.answer.tensors["logits"] == alone(ids[n], 2)).all()


def test_every_request_may_be_wild():
    hand = Hand()
    callers = [hand.classify(-(10**12) - n) for n in range(32)]
    hand.finish()
    assert all(isinstance(caller.error, InvalidRequest) for caller in callers)


def test_a_failure_of_the_machine_is_not_the_callers_fault():
    hand = Hand()
    hand.graph.breaks = MemoryError("no memory left")
    caller = hand.classify(1)
    hand.finish()
    assert isinstance(caller.error, InternalError)
    assert str(caller.error) == "the model could not be run"


def test_the_batcher_goes_on_after_a_failure():
    hand = Hand()
    hand.graph.breaks = RuntimeError("broken")
    hand.start()
    broken = hand.classify(1)
    assert broken.ended.wait(30)
    hand.graph.breaks = None
    well = hand.classify(1)
    hand.finish()
    assert (well.answer.tensors["logits"] == alone(1)).all()


def test_states_that_follow_are_the_states_that_go_on():
    x = np.random.default_rng(1).normal(size=(1, 6, FEATURES)).astype(np.float32)
    hand = Hand("lstm")
    hand.start()
    whole = hand.ask({"x": x}, wanted=("y",), keeps=True)
    assert whole.ended.wait(30)
    states, steps = None, []
    for step in range(6):
        part = {"x": x[:, step : step + 1]}
        caller = hand.ask(part, wanted=("y",), keeps=True, states=states)
        assert caller.ended.wait(30)
        states = caller.answer.states
        steps.append(caller.answer.tensors["y"])
    hand.finish()
    assert (np.concatenate(steps, axis=1) == whole.answer.tensors["y"]).all()
    assert states == whole.answer.states


def test_padding_is_counted():
    hand = Hand("lstm", lengths=True)
    for steps in (5, 7, 8):
        hand.ask({"x": np.zeros((1, steps, FEATURES), np.float32)}, wanted=("last",))
    hand.finish()
    assert hand.graph.rows == [3]
    assert hand.metric("input_tokens_total") == 20
    assert hand.metric("padding_tokens_total") == 4


class TestTime:
    """Deadlines, timeouts, and waiting for company."""

    def test_what_is_too_late_is_not_run(self):
        hand = Hand()
        late = hand.classify(1, deadline=5.0)
        in_time = hand.classify(1, deadline=7.0)
        hand.now = 6.0
        hand.finish()
        assert isinstance(late.error, DeadlineExceeded)
        assert "the deadline passed before the work began" in str(late.error)
        assert in_time.answer.timing.queue_s == 6.0
        assert hand.graph.rows == [1]
        assert hand.metric("deadline_dropped_total") == 1

    def test_a_request_says_itself_how_long_it_may_wait(self):
        hand = Hand()
        late = hand.classify(1, timeout_s=0.25)
        hand.now = 1.0
        hand.finish()
        assert isinstance(late.error, DeadlineExceeded)
        assert "may wait for 0.25 s" in str(late.error)

    def test_what_may_be_late_runs_behind_the_others(self):
        policy = QueuePolicy(default_timeout_s=2, delays=True)
        hand = Hand(max_rows=1, batching=DynamicBatching(default_policy=policy))
        order = []
        late = hand.classify(1, told=lambda: order.append("late"))
        hand.now = 1.5
        hand.classify(2, told=lambda: order.append("in time"))
        hand.now = 2.5
        hand.finish()
        assert order == ["in time", "late"]
        assert late.answer.timing.queue_s == 2.5

    def test_a_batch_waits_for_company_until_it_is_full(self):
        # The clock stands still: only a full batch can begin.
        hand = Hand(max_rows=4, batching=DynamicBatching(max_queue_delay_s=60))
        hand.start()
        for n in range(4):
            hand.classify(n)
        hand.finish()
        assert hand.graph.rows == [4]


class TestLeaving:
    """Callers leave, and servers end."""

    def test_what_nobody_waits_for_is_not_run(self):
        hand = Hand()
        gone, here = hand.classify(1), hand.classify(2)
        gone.cancel()
        hand.finish(but=[gone])
        assert hand.graph.rows == [1]
        assert here.answer
        assert gone.answer is gone.error is None
        assert hand.metric("cancelled_total", stage="waiting") == 1

    def test_a_caller_who_leaves_during_the_run_is_not_told(self):
        hand = Hand()
        hand.graph.may_end.clear()
        hand.start()
        gone = hand.classify(1)
        assert hand.graph.begun.wait(30)
        gone.cancel()
        hand.graph.may_end.set()
        hand.classify(2)
        hand.finish(but=[gone])
        assert gone.answer is gone.error is None

    def test_a_caller_who_breaks_does_not_take_the_others_along(self, caplog):
        hand = Hand()
        broken = hand.classify(1, told=lambda: 1 / 0)
        well = hand.classify(1)
        hand.finish(but=[broken])
        assert well.answer
        assert "an answer could not be taken" in caplog.text

    def test_a_full_queue_refuses(self):
        hand = Hand(max_waiting=2)
        hand.classify(1)
        hand.classify(2)
        with pytest.raises(Overloaded, match="2 requests are waiting, 2 may"):
            hand.classify(3)
        hand.finish()

    def test_a_level_has_a_queue_of_its_own(self):
        policies = {1: QueuePolicy(max_queue_size=1)}
        batching = DynamicBatching(priority_levels=2, default_priority_level=2, policies=policies)
        hand = Hand(batching=batching)
        hand.classify(1, priority=1)
        with pytest.raises(Overloaded):
            hand.classify(1, priority=1)
        hand.classify(1)
        hand.finish()

    def test_what_waits_when_the_server_ends_is_told(self):
        hand = Hand()
        hand.graph.may_end.clear()
        hand.start()
        running = hand.classify(1)
        assert hand.graph.begun.wait(30)
        waiting = hand.classify(2)
        hand.batcher.stop()
        with pytest.raises(ShuttingDown):
            hand.classify(3)
        hand.graph.may_end.set()
        hand.stop()
        assert running.answer
        assert isinstance(waiting.error, ShuttingDown)
