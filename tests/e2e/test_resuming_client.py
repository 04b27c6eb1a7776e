"""Streams through the client outlive their server."""

import asyncio
import random
import threading
import time

import pytest

import stepwire
from e2e.test_session_client import QUICK, Replica
from support.tiny import write_generation
from support.tiny_translator import write_translation

SOURCES = ["hello", "the quick brown fox jumps", "ab", "xyz " * 9]


@pytest.fixture(scope="module")
def replica(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resuming")
    write_generation(folder / "zoo")
    write_translation(folder / "zoo")
    keys = folder / "keys"
    keys.write_text("ours " + "A" * 43 + "=\n")
    replica = Replica(folder / "zoo", keys)
    replica.start()
    yield replica
    replica.end()


@pytest.fixture
def client(replica):
    with stepwire.Client(replica.address, retry=QUICK, timeout_s=60.0) as client:
        yield client


@pytest.fixture
def killer(replica):
    """Kills the server and starts it again, until it is told to stop."""
    stopping, kills = threading.Event(), []

    def kill():
        rng = random.Random(5)
        while not stopping.wait(rng.uniform(0.05, 0.4)) and len(kills) < 5:
            replica.end()
            replica.start()
            kills.append(time.monotonic())

    thread = threading.Thread(target=kill)

    class Killing:
        count = property(lambda self: len(kills))

        def __enter__(self):
            thread.start()
            return self

        def __exit__(self, *_):
            stopping.set()
            thread.join()

    return Killing()


def options(**fields):
    values = {"max_tokens": 3000, "temperature": 1.1, "seed": 4, "resume_every": 16}
    return stepwire.DecodingOptions(**values | fields)


def gathered(pieces):
    """Text, tokens and end of each sequence."""
    texts, tokens, ends = {}, {}, {}
    for piece in pieces:
        key = piece.prompt_index, piece.sample_index
        assert key not in ends
        texts[key] = texts.get(key, "") + piece.text
        tokens.setdefault(key, []).extend(piece.token_ids)
        if piece.is_last:
            summary = piece.summary
            ends[key] = (summary.finish_reason, summary.generated_tokens, piece.hypotheses)
    return texts, tokens, ends


def test_a_stream_goes_on_from_a_token(client):
    whole = list(client.generate_many("tiny", ["hello"], options=options(max_tokens=400)))
    place = next(n for n, piece in enumerate(whole) if piece.resume_token)
    before = "".join(piece.text for piece in whole[: place + 1])
    rest = "".join(client.generate("tiny", whole[place].resume_token))
    assert before + rest == "".join(piece.text for piece in whole)


def test_killing_the_server_changes_no_stream(client, killer):
    prompts = ["hello", "abc", "x"]
    wanted = gathered(client.generate_many("tiny", prompts, n=2, options=options()))
    with killer:
        found = gathered(client.generate_many("tiny", prompts, n=2, options=options()))
        while killer.count < 2:
            found = gathered(client.generate_many("tiny", prompts, n=2, options=options()))
            assert found == wanted
    assert found == wanted


def test_killing_the_server_changes_no_search(client, killer):
    asked = options(temperature=None, max_tokens=600, beam_width=4, num_hypotheses=2)
    wanted = gathered(client.generate_many("tiny", ["hello", "abc"], options=asked))
    with killer:
        while killer.count < 2:
            found = gathered(client.generate_many("tiny", ["hello", "abc"], options=asked))
            assert found == wanted


def test_killing_the_server_changes_no_translation(client, killer):
    asked = options(temperature=None, max_tokens=32, beam_width=5, resume_every=3)
    wanted = [
        each.hypotheses for each in client.translate("tiny-translator", SOURCES, options=asked)
    ]
    with killer:
        while killer.count < 3:
            found = client.translate("tiny-translator", SOURCES, options=asked)
            assert [each.hypotheses for each in found] == wanted


async def test_an_asynchronous_stream_outlives_its_server_too(client, replica, killer):
    wanted = gathered(client.generate_many("tiny", ["hello"], options=options()))
    async with stepwire.AsyncClient(replica.address, retry=QUICK, timeout_s=60.0) as other:
        with killer:
            while killer.count < 2:
                stream = other.generate_many("tiny", ["hello"], options=options())
                assert gathered([piece async for piece in stream]) == wanted
                await asyncio.sleep(0)


def test_without_resume_tokens_a_lost_server_is_told(client, replica):
    stream = client.generate_many("tiny", ["hello"], options=options(resume_every=None))
    next(stream)
    replica.end()
    with pytest.raises(stepwire.Unavailable):
        list(stream)
    replica.start()
