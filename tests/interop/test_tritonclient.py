"""tritonclient, unmodified, against a real server."""

import ast
import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from stepwire_server.app import App
from stepwire_server.config import BatchingConfig, ModelControl, ServerConfig
from stepwire_server.oip import inference_pb2
from support.alone import Alone
from support.tiny import write_classification, write_generation

SCRIPT = Path(__file__).with_name("tritonclient_script.py")
CHECKS = [
    node.name
    for node in ast.parse(SCRIPT.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any(isinstance(d, ast.Name) and d.id == "check" for d in node.decorator_list)
]
TOKENS = [3, 1, 4, 1, 5]


@pytest.fixture(scope="module")
def told(tmp_path_factory, tritonclient_python, bare_variables):
    """What the script says after all its checks."""
    repository = tmp_path_factory.mktemp("repository")
    folder = write_generation(repository)
    write_classification(repository)
    write_classification(repository, "spare")
    steps, _ = Alone(folder).run(TOKENS)
    known = {"tokens": TOKENS, "logits": [list(step["logits"]) for step in steps]}
    config = ServerConfig(
        model_repositories=(repository,),
        grpc_port=0,
        metrics=False,
        exit_timeout_s=1,
        batching=BatchingConfig(max_rows=8),
        control=ModelControl(mode="explicit", load_at_start=("*",)),
    )

    async def run():
        async with App(config).running() as app:
            return await asyncio.to_thread(
                subprocess.run,
                [tritonclient_python, SCRIPT, f"127.0.0.1:{app.grpc_port}"],
                input=json.dumps(known),
                capture_output=True,
                text=True,
                timeout=200,
                env=bare_variables,
            )

    done = asyncio.run(run())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("check", CHECKS)
def test_it_works_unmodified(told, check):
    assert told["results"][check] == "passed", told["results"][check]


def test_names_and_numbers_are_those_that_it_knows(told):
    theirs = {}
    for file in told["protocol"]:
        theirs |= described(bytes.fromhex(file))
    ours = described(inference_pb2.DESCRIPTOR.serialized_pb)
    assert ours.keys() == theirs.keys()
    assert ours == theirs


def described(serialized):
    file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
    found = {}
    for message in file.message_type:
        found |= dict(_of_message("", message))
    for enum in file.enum_type:
        found |= dict(_of_enum("", enum))
    for service in file.service:
        for method in service.method:
            sides = [method.client_streaming, method.server_streaming]
            kind = [method.input_type, method.output_type, *sides]
            found[f"{service.name}/{method.name}"] = kind
    return found


def _of_message(inside, message):
    name = f"{inside}{message.name}"
    for field in message.field:
        of = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        yield f"{name}.{field.name}", [field.number, field.type, field.label, field.type_name, of]
    for nested in message.nested_type:
        yield from _of_message(f"{name}.", nested)
    for enum in message.enum_type:
        yield from _of_enum(f"{name}.", enum)


def _of_enum(inside, enum):
    for value in enum.value:
        yield f"{inside}{enum.name}.{value.name}", value.number
