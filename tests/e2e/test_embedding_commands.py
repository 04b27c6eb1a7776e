"""`stepwire embed`, `stepwire neighbors` and `stepwire analogy` against a real server."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepwire.cli.lines import InputError
from stepwire.cli.vectors import question
from stepwire.embeddings import Question
from support.tiny_vectors import vector_of, write_vectors

CLIENT = Path(__file__).parents[2] / "clients" / "python"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_vectors(folder)
    return folder


@pytest.fixture
def command(app):
    """Runs the command to its end without holding up the server, which lives in this loop."""
    environment = os.environ | {
        "STEPWIRE_ADDRESS": f"127.0.0.1:{app.grpc_port}",
        "PYTHONPATH": str(CLIENT),
    }

    def run(args, stdin):
        done = subprocess.run(
            [sys.executable, "-m", "stepwire", *args],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    return lambda *args, stdin="": asyncio.to_thread(run, args, stdin)


async def test_an_analogy_is_typed_as_one_would_write_it(command):
    code, out, _ = await command("analogy", "vectors", "king", "-", "man", "+", "woman", "--k", "1")
    assert (code, out.split()[0]) == (0, "queen")


async def test_analogies_come_from_lines_and_a_blank_one_asks_nothing(command):
    lines = "king - man + woman\n\nking + xyzzy\n"
    code, out, _ = await command("analogy", "vectors", "--k", "2", stdin=lines)
    first, blank, lost = out.splitlines()
    assert (code, blank, lost) == (0, "", "no vector: xyzzy")
    assert first.startswith("queen ")
    assert len(first.split(", ")) == 2


async def test_neighbours_say_what_the_word_is_made_of(command):
    code, out, _ = await command("neighbors", "vectors", "king", "Kings", "xyzzy", "--k", "2")
    known, made, lost = (line.split("\t") for line in out.splitlines())
    assert (code, known[0], made[0], lost) == (
        0,
        "king",
        "Kings (by its parts)",
        ["xyzzy (no vector)", ""],
    )
    assert len(known[1].split(", ")) == 2


async def test_lines_of_json_are_for_programs(command):
    code, out, _ = await command("neighbors", "vectors", "--json", "--k", "1", stdin="king\n")
    found = json.loads(out)
    assert code == 0
    assert (found["text"], found["origin"], len(found["neighbors"])) == ("king", "word", 1)
    code, out, _ = await command("embed", "vectors", "--json", "--text", "king xyzzy")
    found = json.loads(out)
    assert [word["origin"] for word in found["words"]] == ["word", "none"]
    assert len(found["vector"]) == 3


async def test_vectors_are_printed_behind_their_words(command):
    code, out, _ = await command("embed", "vectors", "king")
    word, values = out.rstrip("\n").split("\t")
    assert (code, word) == (0, "king")
    assert [float(value) for value in values.split()] == pytest.approx(vector_of("king").tolist())


async def test_a_line_that_is_refused_is_named(command):
    code, _, error = await command("neighbors", "vectors", stdin="king\n\nNew York\n")
    assert code == 1
    assert "line 3 of standard input: words[1] must be one word without white space" in error
    code, _, error = await command("analogy", "vectors", "- man")
    assert code == 1
    assert "questions[0].positive must hold at least one word, got none" in error


@pytest.mark.parametrize(
    ("line", "positive", "negative"),
    [
        ("king - man + woman", ["king", "woman"], ["man"]),
        ("- man + king", ["king"], ["man"]),
        ("well-known", ["well-known"], []),
    ],
)
def test_signs_stand_between_words(line, positive, negative):
    assert question(line) == Question(positive=positive, negative=negative)


@pytest.mark.parametrize("line", ["king man", "king -", "+", "king - - man", "king * man"])
def test_what_is_no_analogy_is_told_how_to_be_one(line):
    with pytest.raises(InputError, match="must read like 'king - man \\+ woman'"):
        question(line)
