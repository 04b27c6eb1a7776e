import json
import subprocess
from contextlib import contextmanager

import pytest

from support import tiny

# Imports every module of some packages, then says what came with them.
IMPORT_ALL = """
import importlib, importlib.util, json, pkgutil, sys
before = set(sys.modules)
for package in {packages!r}:
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
tops = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps({{
    "file": found.__file__,
    "imported": sorted(tops - sys.stdlib_module_names),
    "torch": importlib.util.find_spec("torch") is not None,
}}))
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    tiny.write_generation(folder)
    tiny.write_classification(folder)
    return folder


@contextmanager
def serving(server, repository):
    """Yields the address of the command `stepwire-server`; it must drain and end well."""
    command = [server.command("stepwire-server"), "--model-repository", str(repository)]
    process = subprocess.Popen(
        [*command, "--grpc-port", "0", "--metrics-port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=server.variables,
    )
    with process:
        try:
            yield f"127.0.0.1:{_grpc_port(process.stderr)}"
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def _grpc_port(lines):
    seen = []
    for line in lines:
        seen.append(line)
        if line.startswith("{") and json.loads(line)["event"] == "server ready":
            return json.loads(line)["grpc_port"]
    raise AssertionError(f"the server did not start: {''.join(seen)}")


def test_all_of_it_imports_where_torch_is_not(server):
    facts = server.evaluate(IMPORT_ALL.format(packages=["stepwire_zoo", "stepwire_server"]))
    assert not facts["torch"]
    assert ("site-packages" in facts["file"]) != server.checkout
    assert not {"torch", "stepwire_training", "matplotlib"} & set(facts["imported"])


def test_torch_cannot_be_imported(server_environment):
    assert server_environment.missing("torch") == "torch"
    assert server_environment.missing("stepwire_training.train") == "torch"


def test_the_zoo_is_read_with_numpy_alone(server):
    facts = server.evaluate(IMPORT_ALL.format(packages=["stepwire_zoo"]))
    assert set(facts["imported"]) == {"stepwire_zoo", "numpy"}


def test_a_bare_client_streams_from_a_server_without_torch(server, client_environment, repository):
    with serving(server, repository) as address:
        ask = ("--address", address, "--json")
        lines = client_environment.run("stepwire", "models", *ask).splitlines()
        assert {json.loads(line)["name"] for line in lines} == {"tiny", "judge"}
        options = ("--prompt", "hello", "--max-tokens", "8", "--seed", "1")
        answer = client_environment.run("stepwire", "generate", "tiny", *options, *ask)
        assert len(json.loads(answer)["token_ids"]) == 8
        answer = client_environment.run("stepwire", "classify", "judge", "abc", *ask)
        assert json.loads(answer)["label"] in {"negative", "positive"}


def test_the_zoo_command_lists_and_verifies(server, repository):
    for command in ("list", "verify"):
        output = server.run("stepwire-zoo", "--model-repository", str(repository), command)
        assert "tiny" in output
        assert "judge" in output
