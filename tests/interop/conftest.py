"""A server process with small models, for clients that are processes of their own."""

import json
import subprocess
import sys

import pytest

from support.tiny import write_classification, write_generation


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where a server answers that may be told to load and unload models."""
    zoo = tmp_path_factory.mktemp("zoo")
    write_generation(zoo)
    write_classification(zoo)
    command = [
        *(sys.executable, "-m", "stepwire_server", "--model-repository", str(zoo)),
        *("--grpc-port", "0", "--metrics-port", "0", "--exit-timeout-secs", "1"),
        *("--model-control-mode", "explicit", "--load-model", "*"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield f"127.0.0.1:{_port(process)}"
    finally:
        process.terminate()
        process.stderr.close()
        process.wait(20)


def _port(process):
    for line in process.stderr:
        if '"server ready"' in line:
            return json.loads(line)["grpc_port"]
    raise AssertionError("the server did not start")
