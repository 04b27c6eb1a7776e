from stepwire_server.engine.outbox import Outbox


class Loop:
    """An event loop that runs when it is told to."""

    def __init__(self):
        self.posted = []

    def post(self, function):
        self.posted.append(function)

    def run(self):
        posted, self.posted = self.posted, []
        for function in posted:
            function()


def test_calls_cross_in_one_hop_and_in_order():
    loop, seen = Loop(), []
    outbox = Outbox(loop.post, 0)
    for number in range(3):
        outbox.add(seen.append, number)
    outbox.flush()
    assert len(loop.posted) == 1
    loop.run()
    assert seen == [0, 1, 2]


def test_what_is_added_while_a_hop_is_under_way_joins_it():
    loop, seen = Loop(), []
    outbox = Outbox(loop.post, 0)
    outbox.add(seen.append, 1)
    outbox.flush()
    outbox.add(seen.append, 2)
    outbox.flush()
    assert len(loop.posted) == 1
    loop.run()
    assert seen == [1, 2]


def test_an_empty_outbox_posts_nothing():
    loop = Loop()
    Outbox(loop.post, 0).flush()
    assert not loop.posted


def test_a_busy_loop_is_not_sent_to_again_at_once():
    loop = Loop()
    outbox = Outbox(loop.post, max_delay_s=60)
    outbox.add(print)
    assert outbox.is_due(pause_s=60)
    outbox.flush()
    assert not outbox.is_due(pause_s=0)  # what comes joins the hop under way
    loop.run()
    assert not outbox.is_due(pause_s=60)
    assert outbox.is_due(pause_s=0)


def test_a_closed_loop_is_no_error():
    def closed(function):
        raise RuntimeError("Event loop is closed")

    outbox = Outbox(closed, 0)
    outbox.add(print)
    outbox.flush()
