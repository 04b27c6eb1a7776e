"""A server with small models, and the environments of other people's clients."""

import os
import subprocess
import sys

import pytest

from support.replica import server_process
from support.tiny import write_classification, write_generation

TRITONCLIENT = "tritonclient[grpc]==2.73.0"


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where a server answers that may be told to load and unload models."""
    zoo = tmp_path_factory.mktemp("zoo")
    write_generation(zoo)
    write_classification(zoo)
    flags = ("--model-control-mode", "explicit", "--load-model", "*")
    with server_process(zoo, *flags) as address:
        yield address


@pytest.fixture(scope="session")
def tritonclient_python(pytestconfig):
    """Python with tritonclient, whose protobuf is an older one than ours; kept between runs."""
    folder = pytestconfig.cache.mkdir("tritonclient-2.73.0")
    python, complete = folder / "bin/python", folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        install = ["-m", "pip", "--python", python, "install", "--quiet", TRITONCLIENT]
        done = subprocess.run(
            [sys.executable, *install], capture_output=True, text=True, timeout=240
        )
        if done.returncode:
            pytest.skip(f"{TRITONCLIENT} could not be installed: {done.stderr[-500:]}")
        complete.touch()
    return python


@pytest.fixture(scope="session")
def bare_variables():
    """An environment without anything of ours."""
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}
