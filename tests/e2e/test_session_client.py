"""Sessions through the client: what happens to the server is not noticed."""

import base64
import threading

import pytest

import stepwire
from stepwire.v1 import sessions_pb2
from support.replica import Replica
from support.tiny import CHARACTERS, write_classification, write_generation

QUICK = stepwire.Retry(max_attempts=200, first_pause_s=0.05, max_pause_s=0.2)
LOGITS = stepwire.Outputs(logits=True, every_step=True)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    write_generation(folder / "zoo")
    write_classification(folder / "zoo")
    keys = folder / "keys"
    keys.write_text(f"ours {base64.b64encode(bytes(range(32))).decode()}\n")
    both = [Replica(folder / "zoo", keys) for _ in range(2)]
    for replica in both:
        replica.start()
    yield both
    for replica in both:
        replica.end()


@pytest.fixture
def client(replicas):
    with stepwire.Client(replicas[0].address, retry=QUICK, timeout_s=30.0) as client:
        yield client


def logits_of(client, chunks, **fields):
    """What a session that nothing happens to is told."""
    with client.session("tiny", **fields) as session:
        return [session.step(chunk, outputs=LOGITS) for chunk in chunks]


def test_steps_are_numbered_and_told(client):
    with client.session("tiny") as session:
        assert (session.model, session.next_step) == ("tiny", 0)
        first = session.step("abc", outputs=stepwire.Outputs(top_k=2, entropy=True))
        assert (first.first_step, first.count, session.next_step) == (0, 3, 3)
        assert [token.text in CHARACTERS for token in first.last.tokens] == [True, True]
        assert first.last.entropy > 0
        assert session.step([4, 5]).first_step == 3


def test_text_and_its_tokens_are_the_same_steps(client):
    as_text = logits_of(client, ["abc", "d"])
    as_tokens = logits_of(client, [[CHARACTERS.index(c) for c in "abc"], [CHARACTERS.index("d")]])
    assert as_text == as_tokens


def test_a_chunk_is_the_same_as_its_steps_one_by_one(client):
    [whole] = logits_of(client, ["hello"])
    single = logits_of(client, list("hello"))
    assert whole.outputs == tuple(step.last for step in single)


def test_a_rollback_takes_back_what_was_stepped(client):
    options = stepwire.SessionOptions(max_snapshots=3)
    with client.session("tiny", options=options) as session:
        session.step("ab")
        kept = session.step("c", snapshot=True, outputs=LOGITS)
        session.step("zzz")
        session.roll_back(2)
        assert session.next_step == 2
        assert session.step("c", outputs=LOGITS).outputs == kept.outputs
        with pytest.raises(stepwire.RollbackUnavailable):
            session.roll_back(1)


def test_a_fork_goes_its_own_way(client):
    with client.session("tiny") as session:
        session.step("ab")
        with session.fork() as other:
            theirs = other.step("xy", outputs=LOGITS)
        ours = session.step("cd", outputs=LOGITS)
    assert [theirs.outputs] == [s.outputs for s in logits_of(client, ["ab", "xy"])[1:]]
    assert [ours.outputs] == [s.outputs for s in logits_of(client, ["ab", "cd"])[1:]]


def test_a_token_goes_on_elsewhere(client, replicas):
    with client.session("tiny") as session:
        session.step("ab")
        token = session.export()
        here = session.step("cd", outputs=LOGITS)
    with (
        stepwire.Client(replicas[1].address) as other,
        other.session(state_token=token) as session,
    ):
        assert session.next_step == 2
        assert session.step("cd", outputs=LOGITS) == here


def test_a_token_of_half_precision_must_be_accepted(client):
    with client.session("tiny") as session:
        exact = session.step("ab", outputs=LOGITS)
        token = session.export(half_precision=True)
        session.step("c")
    with pytest.raises(stepwire.StateTokenRefused) as refused:
        client.session(state_token=token)
    assert refused.value.reason == "STATE_TOKEN_INEXACT"
    options = stepwire.SessionOptions(accept_inexact=True)
    with client.session(state_token=token, options=options) as session:
        assert session.step("c", outputs=LOGITS).first_step == exact.count


def test_sessions_of_a_caller_are_listed_for_it_alone(replicas):
    me = stepwire.Client(replicas[0].address, caller="my secret")
    you = stepwire.Client(replicas[0].address, caller="yours")
    with me, you, me.session("tiny") as session:
        session.step("ab")
        assert [(info.id, info.next_step) for info in me.sessions()] == [(session.id, 2)]
        assert you.sessions() == []
        token = session.export()
        with pytest.raises(stepwire.StateTokenRefused):
            you.session(state_token=token)


@pytest.mark.parametrize("inputs", ["", [], [10**6], [[1.0, 2.0]], "x" * 10_000])
def test_inputs_that_cannot_be_are_refused_and_nothing_is_lost(client, inputs):
    with client.session("tiny") as session:
        session.step("ab")
        with pytest.raises(stepwire.InvalidRequest):
            session.step(inputs)
        assert session.step("c", outputs=LOGITS) == logits_of(client, ["ab", "c"])[1]


def test_a_model_that_cannot_be_stepped_is_refused(client):
    with pytest.raises(stepwire.InvalidRequest, match="can be stepped"):
        client.session("judge")


def test_a_closed_session_takes_no_step(client):
    session = client.session("tiny")
    session.close()
    session.close()
    with pytest.raises(stepwire.Cancelled):
        session.step("a")


def test_a_step_that_waits_when_its_client_is_closed_is_cancelled(replicas):
    client = stepwire.Client(replicas[0].address, retry=QUICK, timeout_s=30.0)
    session = client.session("tiny")

    def step_on():
        while True:
            session.step("a" * 400, outputs=LOGITS)

    closing = threading.Timer(0.2, client.close)
    closing.start()
    with pytest.raises(stepwire.Cancelled):
        step_on()
    closing.join()


def test_a_session_that_somebody_else_took_over_says_so(client):
    with client.session("tiny") as session:
        session.step("a")
        thief = client.session("tiny")
        thief._script.session.CopyFrom(session._script.session)
        thief._drop_stream()
        thief._script.next_step = 1
        thief.step("b")
        with pytest.raises(stepwire.StaleEpoch):
            session.step("c")


@pytest.mark.parametrize("checkpoint_steps", [0, 3, 64])
def test_a_server_killed_and_started_again_is_not_noticed(client, replicas, checkpoint_steps):
    chunks = ["ab", "c", "def", "g", "hi", "j"]
    wanted = logits_of(client, chunks)
    options = stepwire.SessionOptions(checkpoint_steps=checkpoint_steps)
    with client.session("tiny", options=options) as session:
        found = []
        for number, chunk in enumerate(chunks):
            if number in (2, 5):
                replicas[0].end()
                replicas[0].start()
            found.append(session.step(chunk, outputs=LOGITS))
    assert [step.outputs for step in found] == [step.outputs for step in wanted]
    assert [step.first_step for step in found] == [step.first_step for step in wanted]


@pytest.mark.parametrize("checkpoint_steps", [0, 2, 64])
def test_a_rollback_outlives_the_server_that_had_the_snapshot(client, replicas, checkpoint_steps):
    options = stepwire.SessionOptions(max_snapshots=2, checkpoint_steps=checkpoint_steps)
    wanted = logits_of(client, ["ab", "cd", "ef"])
    with client.session("tiny", options=options) as session:
        session.step("ab")
        session.step("xyz", snapshot=True)
        session.step("z")
        session.step("zz", export=True)
        session.roll_back(2)
        found = session.step("cd", outputs=LOGITS, snapshot=True)
        session.step("y", snapshot=True, export=True)
        replicas[0].end()
        replicas[0].start()
        session.roll_back(4)
        replicas[0].end()
        replicas[0].start()
        last = session.step("ef", outputs=LOGITS)
        with pytest.raises(stepwire.RollbackUnavailable):
            session.roll_back(0)
    assert [found.outputs, last.outputs] == [step.outputs for step in wanted[1:]]


def test_a_rollback_whose_answer_is_lost_is_made_once_more(client):
    options = stepwire.SessionOptions(max_snapshots=2)
    wanted = logits_of(client, ["ab", "ef"])
    with client.session("tiny", options=options) as session:
        session.step("ab")
        session.step("cd", snapshot=True)
        session.export()
        session.step("z")
        request = sessions_pb2.RollBackSessionRequest(session_id=session.id, step=2)
        session._calls.roll_back(request, 5.0)
        session._drop_stream()
        session.roll_back(2)
        assert session.step("ef", outputs=LOGITS).outputs == wanted[1].outputs


def test_a_fork_outlives_the_server_that_made_it(client, replicas):
    wanted = logits_of(client, ["ab", "cd"])
    with client.session("tiny") as session:
        session.step("ab")
        replicas[0].end()
        replicas[0].start()
        with session.fork() as other:
            replicas[0].end()
            replicas[0].start()
            assert other.step("cd", outputs=LOGITS).outputs == wanted[1].outputs


AHEAD = stepwire.SessionOptions(window=6)


def many(count):
    return [[number % 20, 3] for number in range(count)]


def test_steps_sent_ahead_give_what_steps_one_by_one_give(client):
    wanted = logits_of(client, many(30))
    for options in (AHEAD, stepwire.SessionOptions()):
        with client.session("tiny", options=options) as session:
            assert list(session.steps(many(30), outputs=LOGITS)) == wanted
            assert session.next_step == 60


def test_texts_may_be_among_what_is_sent_ahead(client):
    inputs = [[3], "ab", [4], [5], "c"]
    with client.session("tiny", options=AHEAD) as session:
        assert list(session.steps(inputs, outputs=LOGITS)) == logits_of(client, inputs)


def test_what_was_sent_ahead_is_taken_also_if_nobody_reads_on(client):
    with client.session("tiny", options=AHEAD) as session:
        steps = session.steps(many(30), outputs=LOGITS)
        first = next(steps)
        steps.close()
        taken = session.next_step // 2
        assert 1 <= taken <= 7
        behind = session.step([9], outputs=LOGITS)
    wanted = logits_of(client, [*many(taken), [9]])
    assert (first, behind) == (wanted[0], wanted[-1])


def test_an_input_that_is_refused_ends_the_steps_and_nothing_else(client):
    inputs = [[3], [4], [9999], [5]]
    with client.session("tiny", options=AHEAD) as session:
        steps = session.steps(inputs, outputs=LOGITS)
        found = [next(steps), next(steps)]
        with pytest.raises(stepwire.InvalidRequest, match="ids"):
            next(steps)
        found.append(session.step([5], outputs=LOGITS))
    assert found == logits_of(client, [[3], [4], [5]])


def test_steps_sent_ahead_outlive_their_server(client, replicas):
    wanted = logits_of(client, many(400))
    options = stepwire.SessionOptions(window=6, checkpoint_steps=20)
    with client.session("tiny", options=options) as session:
        found = []
        for stepped in session.steps(many(400), outputs=LOGITS):
            found.append(stepped)
            if len(found) in (50, 200):
                replicas[0].end()
                replicas[0].start()
    assert [each.outputs for each in found] == [each.outputs for each in wanted]
