"""Times are small whole numbers of seconds; requests are named by letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.engine.queueing import DynamicBatching, QueuePolicy
from stepwire_server.engine.tensor_queue import LEVEL_S, TensorQueue, Ticket
from stepwire_server.errors import Overloaded

LEVELS = {"priority_levels": 3, "default_priority_level": 2}


def make_queue(max_rows=8, max_waiting=100, **batching):
    return TensorQueue(DynamicBatching(**batching) if batching else None, max_rows, max_waiting)


def ticket(name, *, rows=1, group="g", **fields):
    return Ticket(work=name, rows=rows, group=group, **fields)


def add(queue, names, now=0, **fields):
    tickets = [ticket(name, **fields) for name in names]
    for one in tickets:
        queue.add(one, now)
    return tickets


def take(queue, now=0):
    return "".join(one.work for one in queue.take(now))


def test_a_single_request_goes_at_once():
    queue = make_queue()
    add(queue, "a")
    assert (take(queue), take(queue), len(queue)) == ("a", "", 0)


def test_what_waits_in_a_group_runs_together_up_to_the_limit_of_rows():
    queue = make_queue(max_rows=3)
    add(queue, "abcd")
    assert (take(queue), take(queue)) == ("abc", "d")


def test_a_request_is_never_split_and_never_overtaken_in_its_group():
    queue = make_queue(max_rows=4)
    add(queue, "a", rows=2)
    add(queue, "b", rows=3)
    add(queue, "c", rows=1)
    assert (take(queue), take(queue)) == ("a", "bc")


def test_the_group_that_has_waited_longest_goes_first_however_small_it_is():
    queue = make_queue()
    add(queue, "a", now=1, group="odd")
    add(queue, "bcd", now=2)
    add(queue, "e", now=3, group="odd")
    assert (take(queue, 4), take(queue, 4)) == ("ae", "bcd")


def test_requests_without_a_group_run_alone_in_their_turn():
    queue = make_queue()
    add(queue, "ab", group=None)
    add(queue, "cd")
    assert [take(queue) for _ in range(3)] == ["a", "b", "cd"]


class TestCompany:
    """A batch may wait for company, and knows how long."""

    def test_a_batch_waits_as_long_as_it_may_and_no_longer(self):
        queue = make_queue(max_queue_delay_s=5)
        add(queue, "a", now=1)
        add(queue, "b", now=4)
        assert (take(queue, 5), queue.next_at(), take(queue, 6)) == ("", 6, "ab")

    def test_a_full_batch_does_not_wait(self):
        queue = make_queue(max_rows=2, max_queue_delay_s=5)
        add(queue, "abc")
        assert (take(queue), take(queue)) == ("ab", "")

    def test_a_batch_that_the_next_request_would_burst_does_not_wait(self):
        queue = make_queue(max_rows=4, max_queue_delay_s=5)
        add(queue, "ab", rows=3)
        assert (take(queue), take(queue)) == ("a", "")

    def test_another_group_may_go_while_one_waits(self):
        queue = make_queue(max_rows=2, max_queue_delay_s=5)
        add(queue, "a", now=0, group="odd")
        add(queue, "bc", now=1)
        assert (take(queue, 2), take(queue, 5)) == ("bc", "a")

    def test_the_largest_preferred_size_goes_at_once(self):
        queue = make_queue(preferred_batch_sizes=(2, 4), max_queue_delay_s=5)
        add(queue, "abcde")
        assert (take(queue), take(queue), take(queue, 5)) == ("abcd", "", "e")

    def test_preferred_sizes_are_only_preferred_where_nothing_may_wait(self):
        queue = make_queue(preferred_batch_sizes=(4,))
        add(queue, "abcdef")
        assert (take(queue), take(queue)) == ("abcd", "ef")

    def test_preferred_sizes_count_rows(self):
        queue = make_queue(preferred_batch_sizes=(4,), max_queue_delay_s=5)
        add(queue, "ab", rows=2)
        add(queue, "c", rows=1)
        assert take(queue) == "ab"


class TestPriorities:
    """Higher levels go first, lower ones do not starve."""

    def test_the_higher_priority_goes_first(self):
        queue = make_queue(max_rows=2, **LEVELS)
        add(queue, "a", priority=3)
        add(queue, "b", priority=2)
        add(queue, "cd", priority=1)
        assert (take(queue), take(queue)) == ("cd", "ba")

    def test_none_and_unknown_priorities_are_the_default(self):
        queue = make_queue(max_rows=1, **LEVELS)
        add(queue, "a", priority=3)
        add(queue, "b", priority=0)
        add(queue, "c", priority=9)
        add(queue, "d", priority=1)
        assert [take(queue) for _ in range(4)] == ["d", "b", "c", "a"]

    def test_a_low_priority_goes_before_what_comes_much_later(self):
        queue = make_queue(max_rows=1, **LEVELS)
        add(queue, "a", now=0, priority=2)
        add(queue, "b", now=LEVEL_S / 2, priority=1)
        add(queue, "c", now=LEVEL_S * 2, priority=1)
        assert [take(queue, 3) for _ in range(3)] == ["b", "a", "c"]

    def test_priorities_hold_between_groups(self):
        queue = make_queue(**LEVELS)
        add(queue, "ab", priority=2)
        add(queue, "c", priority=1, group="odd")
        assert (take(queue), take(queue)) == ("c", "ab")

    def test_without_levels_priorities_mean_nothing(self):
        queue = make_queue(max_rows=1)
        add(queue, "a", priority=7)
        add(queue, "b", priority=1)
        assert (take(queue), take(queue)) == ("a", "b")


class TestTime:
    """Timeouts and deadlines."""

    def names(self, tickets):
        return "".join(one.work for one in tickets)

    def test_a_deadline_that_has_passed_takes_the_request_out(self):
        queue = make_queue()
        add(queue, "a", deadline=5)
        add(queue, "b")
        assert self.names(queue.expire(4)) == ""
        assert queue.next_at() is not None
        assert (self.names(queue.expire(5)), take(queue, 5)) == ("a", "b")

    def test_the_policy_refuses_what_waited_too_long(self):
        queue = make_queue(default_policy=QueuePolicy(default_timeout_s=3))
        add(queue, "a", now=1)
        add(queue, "b", now=2)
        assert (self.names(queue.expire(4)), take(queue, 4)) == ("a", "b")

    def test_or_lets_it_go_behind_what_has_come_since(self):
        queue = make_queue(max_rows=1, default_policy=QueuePolicy(default_timeout_s=3, delays=True))
        add(queue, "a", now=1)
        add(queue, "b", now=3)
        assert self.names(queue.expire(4)) == ""
        add(queue, "c", now=5)
        assert [take(queue, 5) for _ in range(3)] == ["b", "a", "c"]

    def test_what_went_behind_still_has_its_deadline(self):
        queue = make_queue(default_policy=QueuePolicy(default_timeout_s=3, delays=True))
        add(queue, "a", deadline=7)
        assert self.names(queue.expire(3)) == ""
        assert self.names(queue.expire(7)) == "a"

    @pytest.mark.parametrize(
        ("policy", "own", "over_at"),
        [
            (QueuePolicy(default_timeout_s=3), 1, 3),
            (QueuePolicy(default_timeout_s=3, allow_timeout_override=True), 1, 1),
            (QueuePolicy(default_timeout_s=3, allow_timeout_override=True), 9, 3),
            (QueuePolicy(allow_timeout_override=True), 9, 9),
            (QueuePolicy(), 9, None),
        ],
    )
    def test_a_request_may_shorten_the_wait_where_the_policy_lets_it(self, policy, own, over_at):
        queue = make_queue(default_policy=policy)
        add(queue, "a", timeout_s=own)
        over = [now for now in range(12) if queue.expire(now)]
        assert over == ([over_at] if over_at is not None else [])

    def test_a_model_without_a_policy_keeps_to_the_request(self):
        queue = make_queue()
        add(queue, "a", timeout_s=2)
        assert self.names(queue.expire(2)) == "a"

    def test_each_level_has_its_policy(self):
        queue = make_queue(
            priority_levels=2,
            default_priority_level=2,
            policies={1: QueuePolicy(default_timeout_s=1)},
        )
        add(queue, "a", priority=1)
        add(queue, "b", priority=2)
        assert (self.names(queue.expire(9)), take(queue, 9)) == ("a", "b")


class TestRoom:
    """A queue has an end."""

    def test_a_full_queue_refuses(self):
        queue = make_queue(max_waiting=2)
        add(queue, "ab")
        with pytest.raises(Overloaded, match="2 requests are waiting, 2 may"):
            add(queue, "c")
        assert take(queue) == "ab"

    def test_a_full_level_refuses_and_others_do_not(self):
        queue = make_queue(
            priority_levels=2,
            default_priority_level=2,
            default_policy=QueuePolicy(max_queue_size=1),
            policies={1: QueuePolicy()},
        )
        add(queue, "a")
        with pytest.raises(Overloaded, match="1 requests are waiting, 1 may"):
            add(queue, "b")
        add(queue, "cd", priority=1)
        assert take(queue) == "cda"

    def test_what_was_taken_out_makes_room(self):
        queue = make_queue(max_waiting=1)
        [a] = add(queue, "a")
        assert queue.remove(a)
        assert not queue.remove(a)
        add(queue, "b")
        assert take(queue) == "b"

    def test_everything_can_be_taken_out(self):
        queue = make_queue()
        add(queue, "ab", deadline=3)
        add(queue, "c", group=None)
        assert sorted(one.work for one in queue.drain()) == ["a", "b", "c"]
        assert (len(queue), queue.next_at(), queue.expire(9)) == (0, None, [])


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.integers(1, 4),  # rows
            st.sampled_from(["g", "odd", None]),
            st.integers(0, 3),  # priority
            st.one_of(st.none(), st.integers(0, 10)),  # timeout
        ),
        st.tuples(st.just("take")),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("wait"), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(
    EVENTS,
    st.builds(
        DynamicBatching,
        preferred_batch_sizes=st.sampled_from([(), (2,), (2, 4)]),
        max_queue_delay_s=st.sampled_from([0, 3]),
        priority_levels=st.just(2),
        default_priority_level=st.just(2),
        default_policy=st.builds(
            QueuePolicy, default_timeout_s=st.sampled_from([0, 4]), delays=st.booleans()
        ),
        policies=st.just({1: QueuePolicy(allow_timeout_override=True)}),
    ),
)
def test_every_request_leaves_exactly_once_and_in_a_run_that_fits(events, batching):
    queue, now, tickets, gone = TensorQueue(batching, 4, 100), 0, [], []
    for event, *details in events:
        if event == "add":
            rows, group, priority, timeout = details
            tickets.append(
                ticket(len(tickets), rows=rows, group=group, priority=priority, timeout_s=timeout)
            )
            queue.add(tickets[-1], now)
        elif event == "take":
            gone += queue.expire(now)
            batch = queue.take(now)
            assert sum(one.rows for one in batch) <= 4
            assert len({one.group for one in batch}) <= 1
            assert all(one.group for one in batch) or len(batch) == 1
            gone += batch
        elif event == "cancel" and details[0] < len(tickets):
            gone += [tickets[details[0]]] * queue.remove(tickets[details[0]])
        elif event == "wait":
            now += details[0]
    while len(queue):
        now = max(now, queue.next_at())
        gone += queue.expire(now) + queue.take(now)
    assert sorted(one.work for one in gone) == list(range(len(tickets)))


@given(st.lists(st.sampled_from(["g", "odd", "rare"]), min_size=1, max_size=40))
def test_nothing_is_passed_over_for_ever(groups):
    # Each moment one request comes and one run is made: whoever came first is among the
    # first who go, however popular the others' shapes are.
    queue, waiting = make_queue(max_rows=1), []
    for now, group in enumerate(groups):
        add(queue, "a", now=now, group=group)
        waiting.append(group)
        [taken] = queue.take(now)
        assert taken.arrived_at <= now
        assert taken.group == waiting.pop(0)
