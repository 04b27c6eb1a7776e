"""`stepwire step` and `stepwire session` against a real server."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stepwire

CLIENT = Path(__file__).parents[2] / "clients" / "python"


@pytest.fixture
def command(app):
    """Runs the command to its end without holding up the server, which lives in this loop."""
    environment = os.environ | {
        "STEPWIRE_ADDRESS": f"127.0.0.1:{app.grpc_port}",
        "STEPWIRE_CALLER": "me",
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
        return done.returncode, done.stdout.splitlines(), done.stderr

    return lambda *args, stdin="": asyncio.to_thread(run, args, stdin)


async def test_every_line_is_answered(command):
    code, lines, err = await command("step", "tiny", "--top-k", "2", "--json", stdin="ab\nc\n")
    assert code == 0, err
    first, second = map(json.loads, lines)
    assert (first["first_step"], first["count"]) == (0, 2)
    assert (second["first_step"], second["count"]) == (2, 1)
    assert len(second["tokens"]) == 2


async def test_a_session_is_saved_and_loaded(command, tmp_path):
    token = str(tmp_path / "token")
    assert (await command("step", "tiny", "--save", token, stdin="ab\n"))[0] == 0
    _, [went_on], _ = await command("step", "tiny", "--load", token, stdin="c\n")
    _, whole, _ = await command("step", "tiny", stdin="ab\nc\n")
    assert went_on == whole[1]


async def test_tokens_may_be_given_by_number(command):
    code, lines, _ = await command("step", "tiny", "--tokens", stdin="1 2 3\n4\n")
    assert (code, len(lines)) == (0, 2)
    code, _, err = await command("step", "tiny", "--tokens", stdin="1\nx\n")
    assert code == 1
    assert "line 2" in err


async def test_sessions_are_listed_copied_exported_and_closed(app, command, tmp_path):
    async with (
        stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}", caller="me") as client,
        client.session("tiny") as session,
    ):
        await session.step("abc")
        _, [line], _ = await command("session", "list", "--json")
        assert json.loads(line)["id"] == session.id
        _, [line], _ = await command("session", "fork", session.id, "--json")
        copy = json.loads(line)
        assert copy["next_step"] == 3
        path = tmp_path / "token"
        assert (await command("session", "export", copy["id"], "--out", str(path)))[0] == 0
        assert (await command("session", "close", copy["id"]))[0] == 0
        code, _, err = await command("session", "export", copy["id"], "--out", str(path))
        assert code == 1
        assert "no such session" in err
        async with client.session(state_token=path.read_bytes()) as resumed:
            assert resumed.next_step == 3
        _, lines, _ = await command("session", "list")
        assert len(lines) == 2  # a heading, and the one that is left


async def test_hidden_units_are_printed(command):
    code, lines, err = await command("step", "tiny", "--hidden", "2", "--hidden", "0", stdin="ab\n")
    assert code == 0, err
    number, hidden = lines[0].split("\t")
    assert (number, len(hidden.split())) == ("2", 3)
    assert hidden.startswith("hidden ")
