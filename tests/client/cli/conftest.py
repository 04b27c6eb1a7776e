import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepwire import cli

CLIENT = Path(__file__).parents[3] / "clients" / "python"


@pytest.fixture
def environment(address):
    # LC_ALL=C, so that nothing hangs on the locale of whoever runs the tests.
    return os.environ | {"STEPWIRE_ADDRESS": address, "PYTHONPATH": str(CLIENT), "LC_ALL": "C"}


@pytest.fixture
def main(address, monkeypatch, capfd):
    """Runs the command within this process; gives what `stepwire` gives, sooner."""
    monkeypatch.setenv("STEPWIRE_ADDRESS", address)

    def run(*args):
        code = cli.main(args)
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def stepwire(environment):
    """Runs the command to its end; gives exit code, standard output and standard error."""

    def run(*args, stdin=b"", **also):
        done = subprocess.run(
            [sys.executable, "-m", "stepwire", *args],
            input=stdin,
            env=environment | also,
            capture_output=True,
            timeout=60,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


@pytest.fixture
def begin(environment):
    """Starts the command; whatever still runs at the end is killed."""
    begun = []

    def start(*args, **streams):
        process = subprocess.Popen(
            [sys.executable, "-m", "stepwire", *args], env=environment, **streams
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()
