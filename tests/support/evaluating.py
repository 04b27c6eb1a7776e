"""Runs `stepwire evaluate` as a user does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STEPWIRE_DATA") or ROOT.parent / "shared/data")


def evaluate(address, name, *flags, needs):
    """The exit code, and what is told of each figure; skips where the split is not at hand.

    Args:
        address: of the server.
        name: of the bundle.
        flags: of the command.
        needs: a file of the split, below the data folder.
    """
    if not (DATA / needs).exists():
        pytest.skip(f"{needs} is not at hand; set STEPWIRE_DATA")
    environment = os.environ | {
        "STEPWIRE_ADDRESS": address,
        "STEPWIRE_DATA": str(DATA),
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("clients/python", "training")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "stepwire", "evaluate", name, "--json", *flags],
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.stdout, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]
