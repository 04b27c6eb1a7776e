import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig
from stepwire_server.engine import batcher
from stepwire_server.engine.batcher import Batcher, Judged, SequenceJob
from stepwire_server.engine.outbox import Outbox
from stepwire_server.errors import DeadlineExceeded, InternalError, Overloaded, ShuttingDown
from stepwire_server.metrics import Metrics, ModelMetrics
from support.tiny import BUCKETS, VOCABULARY, TinyJudge


class Recorder(TinyJudge):
    """Remembers the shapes that were run; can be told to break."""

    def __init__(self):
        super().__init__()
        self.shapes = []
        self.broken = False

    def run(self, tokens, lengths):
        self.shapes.append(tokens.shape)
        if self.broken:
            raise RuntimeError("the graph broke")
        return [Judged(logits) for logits in super().run(tokens, lengths)]


class Caller:
    def __init__(self):
        self.left = False
        self.results = {}
        self.errors = []

    def deliver(self, index, result):
        self.results[index] = result.logits

    def fail(self, error):
        self.errors.append(error)


class HandBatcher:
    """Runs in the test's thread until its queue is empty."""

    def __init__(self, **config):
        self.model = Recorder()
        metrics = ModelMetrics(Metrics(CollectorRegistry()), "judge", "1")
        self.batcher = Batcher(
            self.model, BUCKETS, BatchingConfig(**config), metrics, Outbox(lambda f: f(), 0)
        )

    def submit(self, caller, *texts, deadline=None):
        jobs = [
            SequenceJob(tokens=text, reader=caller, index=index, deadline=deadline)
            for index, text in enumerate(texts)
        ]
        self.batcher.submit(jobs)

    def finish(self):
        thread = threading.Thread(target=self.batcher.run)
        thread.start()
        limit = time.monotonic() + 5
        while self.batcher._waiting and time.monotonic() < limit:
            time.sleep(0.001)
        self.batcher.stop()
        thread.join()


def judge(*texts, **config):
    hand, caller = HandBatcher(**config), Caller()
    hand.submit(caller, *texts)
    hand.finish()
    assert not caller.errors
    return [caller.results[index].tolist() for index in range(len(texts))], hand.model.shapes


texts = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=BUCKETS[-1]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(texts, st.integers(1, 5))
def test_sharing_a_batch_changes_no_result(all_texts, max_batch):
    alone = [judge(text)[0][0] for text in all_texts]
    assert judge(*all_texts, max_batch=max_batch)[0] == alone


def test_a_text_is_padded_to_its_own_bucket_whatever_its_neighbours_are():
    _, shapes = judge([1] * 3, [1] * 16, [1] * 4, [1] * 5)
    assert sorted(shapes) == [(1, 8), (1, 16), (2, 4)]


def test_no_batch_is_larger_than_the_limit():
    _, shapes = judge(*[[1]] * 5, max_batch=2)
    assert shapes == [(2, 4), (2, 4), (1, 4)]


def test_a_full_queue_turns_a_request_away_as_a_whole():
    hand, caller = HandBatcher(max_waiting_sequences=3), Caller()
    hand.submit(caller, [1], [2])
    with pytest.raises(Overloaded, match="2 texts are waiting, 3 may"):
        hand.submit(caller, [3], [4])
    hand.finish()
    assert hand.model.shapes == [(2, 4)]


def test_texts_of_a_caller_that_left_are_not_run():
    hand, gone, here = HandBatcher(), Caller(), Caller()
    hand.submit(gone, [1], [2])
    hand.submit(here, [3])
    gone.left = True
    hand.finish()
    assert hand.model.shapes == [(1, 4)]
    assert list(here.results) == [0]


def test_texts_whose_deadline_passed_are_not_run():
    hand, late = HandBatcher(), Caller()
    hand.submit(late, [1], deadline=time.monotonic() - 1)
    hand.finish()
    assert [type(error) for error in late.errors] == [DeadlineExceeded]
    assert not hand.model.shapes


def test_a_batch_that_breaks_fails_its_callers_and_the_batcher_goes_on():
    hand, caller = HandBatcher(), Caller()
    hand.model.broken = True
    hand.submit(caller, [1])
    hand.finish()
    assert [type(error) for error in caller.errors] == [InternalError]


def test_numbers_that_are_not_finite_fail_their_own_text_alone():
    hand, caller = HandBatcher(), Caller()
    hand.model.embed[5] = np.nan
    hand.submit(caller, [5], [1])
    hand.finish()
    assert [type(error) for error in caller.errors] == [InternalError]
    assert list(caller.results) == [1]


def test_stopping_fails_whatever_waits():
    hand, caller = HandBatcher(), Caller()
    hand.submit(caller, [1])
    hand.batcher.stop()
    hand.batcher.run()
    assert [type(error) for error in caller.errors] == [ShuttingDown]
    with pytest.raises(ShuttingDown):
        hand.submit(caller, [1])


@pytest.fixture
def awake(monkeypatch):
    """A batcher that runs; it waits very long for company, so that one can tell."""
    monkeypatch.setattr(batcher, "QUIET_S", 0.3)
    monkeypatch.setattr(batcher, "LONGEST_GATHERING_S", 60.0)
    hand = HandBatcher()
    thread = threading.Thread(target=hand.batcher.run)
    thread.start()
    yield hand
    hand.batcher.stop()
    thread.join()


def ask(hand, *texts):
    caller = Caller()
    hand.submit(caller, *texts)
    return caller


def wait_for(*callers):
    limit = time.monotonic() + 20
    while not all(caller.results for caller in callers):
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_those_who_were_there_together_are_waited_for(awake):
    wait_for(ask(awake, *[[1]] * 5))
    wait_for(*[ask(awake, [1]) for _ in range(5)])
    assert awake.model.shapes == [(5, 4), (5, 4)]


def test_who_is_alone_never_waits(awake, monkeypatch):
    monkeypatch.setattr(batcher, "QUIET_S", 60.0)
    for _ in range(3):
        wait_for(ask(awake, [1]))
    assert awake.model.shapes == [(1, 4)] * 3


def test_if_nobody_comes_any_more_nobody_is_waited_for(awake):
    wait_for(ask(awake, *[[1]] * 5))
    wait_for(ask(awake, [1]))  # after a while
    assert awake.batcher._expected == 1
    assert awake.model.shapes == [(5, 4), (1, 4)]
