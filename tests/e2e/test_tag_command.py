"""`stepwire tag` and `stepwire evaluate` against a real server."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.tiny_tagger import LABELS, TinyTagger, write_tagger

CLIENT = Path(__file__).parents[2] / "clients" / "python"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_tagger(folder)
    write_tagger(folder, "pos-en")  # what the zoo's has, this one has not
    write_tagger(folder, "slots", judges=True)
    return folder


@pytest.fixture
def command(app):
    """Runs the command to its end without holding up the server, which lives in this loop."""
    environment = os.environ | {
        "STEPWIRE_ADDRESS": f"127.0.0.1:{app.grpc_port}",
        "PYTHONPATH": str(CLIENT),
    }

    def run(args, stdin, changes):
        done = subprocess.run(
            [sys.executable, "-m", "stepwire", *args],
            input=stdin,
            env=environment | changes,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    return lambda *args, stdin="", **changes: asyncio.to_thread(run, args, stdin, changes)


def tags_of(*words):
    shares = TinyTagger().tags(words)
    return [(LABELS[row.argmax()], row.max()) for row in shares]


async def test_a_line_of_json_tells_every_word_where_it_stands_and_its_tag(command):
    code, out, _ = await command("tag", "tagger", "--json", "😀 dog.")
    [line] = out.splitlines()
    found = json.loads(line)
    assert code == 0
    assert list(found) == ["tokens"]
    assert [[token[key] for key in ("text", "start", "end")] for token in found["tokens"]] == [
        ["😀", 0, 1],
        ["dog", 2, 5],
        [".", 5, 6],
    ]
    for token, (tag, score) in zip(found["tokens"], tags_of("😀", "dog", "."), strict=True):
        assert token["tag"] == tag
        assert token["score"] == pytest.approx(score, abs=1e-5)


async def test_what_a_text_is_stands_before_its_words_and_behind_them_in_json(command):
    verdict = TinyTagger().verdict(["The", "dog"])
    label = max(verdict, key=verdict.get)
    code, out, _ = await command("tag", "slots", stdin="The dog\n\n")
    first, blank = out.splitlines()
    assert code == 0
    assert first.startswith(f"{label}\tThe/")
    assert blank == ""

    _, out, _ = await command("tag", "slots", "--json", "The dog", "")
    told, blank = map(json.loads, out.splitlines())
    assert list(told) == ["tokens", "labels"]
    scores = {each["label"]: each["score"] for each in told["labels"]}
    assert scores == pytest.approx(verdict, abs=1e-5)
    assert blank == {"tokens": []}

    _, out, _ = await command("classify", "slots", "The dog")
    assert out.startswith(f"{label}\t{verdict[label]:.4f}\tThe dog")


async def test_lines_are_tagged_in_their_order_blank_ones_too(command):
    code, out, _ = await command("tag", "tagger", stdin="The dog.\n\n  \nbarks\n")
    first, last = tags_of("The", "dog", "."), tags_of("barks")
    words = ("The", "dog", ".")
    wanted = " ".join(f"{word}/{tag}" for word, (tag, _) in zip(words, first, strict=True))
    assert (code, out.splitlines()) == (0, [wanted, "", "", f"barks/{last[0][0]}"])


async def test_words_that_are_cut_already_stay_as_they_are(command):
    code, out, _ = await command("tag", "tagger", "--tokens", "dog. the", "", "--json")
    tokens = [json.loads(line)["tokens"] for line in out.splitlines()]
    assert code == 0
    assert [[token["text"] for token in line] for line in tokens] == [["dog.", "the"], []]


async def test_a_line_that_is_refused_is_named(command):
    code, out, error = await command("tag", "tagger", stdin=f"dog\n\n{'dog ' * 17}\n")
    assert (code, out) == (1, "")
    assert "line 3 of standard input: inputs[1].text must have at most 16 words" in error


async def test_long_lines_are_cut_if_the_caller_says_so(command):
    code, out, _ = await command("tag", "tagger", "--truncate", stdin="dog " * 10_000)
    assert code == 0
    assert len(out.split()) == 16


async def test_evaluating_says_what_it_knows(command):
    code, _, error = await command("evaluate", "tagger")
    assert code == 1
    assert "model must be one of" in error
    assert "got 'tagger'" in error


async def test_evaluating_says_that_the_card_lacks_the_figure(command):
    code, _, error = await command("evaluate", "pos-en")
    assert code == 1
    assert "pos-en must tell accuracy on test, got no such metric" in error
