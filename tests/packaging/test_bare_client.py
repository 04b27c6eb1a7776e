import pytest

HEAVY = ("numpy", "onnx", "onnxruntime", "tokenizers", "torch", "prometheus_client", "tqdm")
# Imports every module of the client, then says what came with them.
IMPORT_ALL = f"""
import importlib, importlib.metadata, importlib.util, json, pkgutil, sys
before = set(sys.modules)
import stepwire
for module in pkgutil.walk_packages(stepwire.__path__, "stepwire."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
# Extension modules make modules of their own that were never imported; they have no spec.
new = [name for name in set(sys.modules) - before if sys.modules[name].__spec__]
tops = {{name.split(".")[0] for name in new}}
print(json.dumps({{
    "file": stepwire.__file__,
    "imported": sorted(tops - sys.stdlib_module_names),
    "importable": [name for name in {HEAVY!r} if importlib.util.find_spec(name)],
    "installed": sorted(it.metadata["Name"] for it in importlib.metadata.distributions()),
}}))
"""


@pytest.fixture
def facts(client):
    return client.evaluate(IMPORT_ALL)


def test_it_installs_with_three_packages_and_what_they_ask_for(client_environment):
    installed = client_environment.evaluate(IMPORT_ALL)["installed"]
    ours, theirs = {"stepwire"}, {"grpcio", "protobuf", "googleapis-common-protos"}
    assert set(installed) - {"typing_extensions"} == ours | theirs


def test_all_of_it_imports_where_nothing_heavy_is(facts):
    assert facts["importable"] == []
    assert set(facts["imported"]) <= {"stepwire", "grpc", "google", "typing_extensions"}


def test_it_is_the_client_that_was_meant(facts, client):
    assert ("site-packages" in facts["file"]) != client.checkout


def test_the_command_explains_itself(client):
    assert "generate" in client.run("stepwire", "--help")
    assert client.run("stepwire", "--version").startswith("stepwire ")


def test_the_server_is_not_there_without_its_extra(client_environment):
    missing = client_environment.missing("stepwire_server.app")
    assert missing in (*HEAVY, "grpc_health")
