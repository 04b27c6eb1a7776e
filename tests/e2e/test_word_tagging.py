"""A tagger that reads word by word, on a real server: in sessions, by Tag, and as tensors."""

import asyncio
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import stepwire
from e2e.conftest import server_config
from stepwire_server.config import BatchingConfig
from support.tiny_tagger import LABELS, TinyTagger
from support.tiny_word_tagger import MOST_WORDS, write_word_tagger

CLIENT = Path(__file__).parents[2] / "clients" / "python"
WORDS = ["The", "dog", "barks", "strangely", "."]
EVERY = stepwire.Outputs(labels=True, every_step=True)


@pytest.fixture
def config(tmp_path):
    write_word_tagger(tmp_path / "zoo")
    return server_config(tmp_path / "zoo", batching=BatchingConfig(max_rows=4))


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        yield client


def told_of(labels):
    return {label.label: label.score for label in labels}


def wanted_of(words):
    return [dict(zip(LABELS, shares, strict=True)) for shares in TinyTagger().tags(words)]


async def test_each_words_tag_is_told_as_the_word_comes(client):
    async with client.session("stream") as session:
        told = [told_of((await session.step(word)).last.labels) for word in WORDS]
    for found, wanted in zip(told, wanted_of(WORDS), strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)


async def test_a_text_is_as_many_steps_as_it_has_words(client):
    async with client.session("stream") as session:
        first = await session.step("The dog ", outputs=EVERY)
        second = await session.step(" barks strangely.", outputs=EVERY)
    assert (first.count, second.first_step, second.count) == (2, 2, 3)
    found = [told_of(step.labels) for step in (*first.outputs, *second.outputs)]
    for each, wanted in zip(found, wanted_of(WORDS), strict=True):
        assert each == pytest.approx(wanted, abs=1e-5)


async def test_tag_says_of_a_text_what_its_steps_say(client):
    text = "The dog barks strangely."
    [tagged] = await client.tag("stream", [text], top_k=3)
    async with client.session("stream") as session:
        stepped = await session.step(text, outputs=EVERY)
    assert [token.text for token in tagged.tokens] == WORDS
    assert [token.tags for token in tagged.tokens] == [step.labels for step in stepped.outputs]


async def test_a_text_gets_the_same_tags_alone_and_among_others(client):
    texts = [" ".join(WORDS[(i * k) % 5] for k in range(1 + i % MOST_WORDS)) for i in range(60)]
    together = await client.tag("stream", texts, top_k=2)
    alone = await asyncio.gather(*(client.tag("stream", [text], top_k=2) for text in texts))
    assert together == [result for [result] in alone]


async def test_places_are_those_of_the_text_as_it_came(client):
    apart = unicodedata.normalize("NFD", "서울 \U0001d4b3 😀 barks")
    given, cut = await client.tag("stream", [["서울", "barks"], apart])
    assert [apart[token.start : token.end] for token in cut.tokens] == apart.split()
    assert [token.text for token in given.tokens] == ["서울", "barks"]
    async with client.session("stream") as one, client.session("stream") as other:
        assert (await one.step("서울")).last == (
            await other.step(unicodedata.normalize("NFD", "서울"))
        ).last


async def test_white_space_has_no_words_and_is_no_step(client):
    [tagged] = await client.tag("stream", [" \n "])
    assert tagged.tokens == ()
    async with client.session("stream") as session:
        with pytest.raises(stepwire.InvalidRequest, match="inputs must hold between 1 and 16"):
            await session.step(" \n ")
        assert (await session.step("dog")).first_step == 0


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("dog " * 17, r"inputs\.text must have at most 16 words, got 17 words"),
        ("dog " * 10_000, r"inputs\.text must have at most 16 words, got 40000 characters"),
        ([1, 2], r"inputs\.tokens must not be set: the model reads words, as text"),
        ([[1.0, 2.0]], r"inputs\.features\.values must not be set: the model reads words"),
    ],
)
async def test_what_cannot_be_stepped_is_named(client, inputs, message):
    async with client.session("stream") as session:
        with pytest.raises(stepwire.InvalidRequest, match=message):
            await session.step(inputs)


async def test_a_session_goes_on_from_what_was_exported(client):
    async with client.session("stream") as session:
        await session.step("The dog")
        token = await session.export()
        straight_on = await session.step("barks")
    async with client.session("stream", state_token=token) as session:
        assert (await session.step("barks")).last == straight_on.last


async def test_the_command_tells_the_tag_of_every_word(app):
    environment = os.environ | {
        "STEPWIRE_ADDRESS": f"127.0.0.1:{app.grpc_port}",
        "PYTHONPATH": str(CLIENT),
    }

    def run(*flags):
        command = [sys.executable, "-m", "stepwire", "step", "stream", "--every-step", *flags]
        done = subprocess.run(
            command,
            input="The dog\nbarks\n",
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    wanted = wanted_of(["The", "dog", "barks"])
    best = [max(shares, key=shares.__getitem__) for shares in wanted]
    told = await asyncio.to_thread(run)
    assert [line.split() for line in told] == [
        [str(number), tag, f"{shares[tag]:.4f}"]
        for number, (tag, shares) in enumerate(zip(best, wanted, strict=True), start=1)
    ]
    parsed = list(map(json.loads, await asyncio.to_thread(run, "--json", "--top-k", "2")))
    assert [(each["first_step"], each["count"]) for each in parsed] == [(0, 1), (1, 1), (2, 1)]
    assert [each["labels"][0]["label"] for each in parsed] == best
    assert all(len(each["labels"]) == 2 for each in parsed)
