"""Clients in other languages, and a proxy in between."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from support.foreign_tools import debian_package, needed, node_packages, run
from support.replica import free_port
from support.tiny import TinyCell

HERE = Path(__file__).parent
PROTOS = HERE.parents[1] / "protos"
PROTO = PROTOS / "inference" / "inference.proto"
BUF = Path(sys.executable).with_name("buf")


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    return node_packages(
        tmp_path_factory.mktemp("node"), "@grpc/grpc-js@1.14", "@grpc/proto-loader@0.8"
    )


@pytest.fixture(scope="session")
def proxy(tmp_path_factory, address):
    """nginx in front of the server."""
    folder = tmp_path_factory.mktemp("nginx")
    program = debian_package("nginx", folder) / "usr/sbin/nginx"
    needed(program, "-v")
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(
        f"""
        daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 64; }}
        http {{
          access_log off;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
          scgi_temp_path {folder}/scgi;
          # The proxy's connections are not its callers': it says whose each request is.
          map $http_x_stepwire_caller $caller {{
            "" $remote_addr:$remote_port;
            default $http_x_stepwire_caller;
          }}
          server {{
            listen 127.0.0.1:{port} http2;
            client_max_body_size 0;
            grpc_set_header x-stepwire-caller $caller;
            location / {{ grpc_pass grpc://{address}; grpc_read_timeout 60s; }}
          }}
        }}
        """
    )
    process = subprocess.Popen([str(program), "-c", str(settings), "-p", str(folder)])
    try:
        gives_up_at = time.monotonic() + 20
        while not (folder / "pid").exists():
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < gives_up_at
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def by_hand(tokens):
    return TinyCell().run(np.array([tokens]))[0]


def assert_steps(node, target):
    script = node / "grpc_js.cjs"
    script.write_text((HERE / "grpc_js.cjs").read_text())
    status, told = run("node", script, target, PROTO, folder=node)
    assert status == 0, told
    given = json.loads(told.splitlines()[-1])
    assert given["name"] == "tiny"
    assert given["inputs"] == ["token"]
    assert given["ids"] == ["2/3", "2/4"]
    np.testing.assert_allclose(given["unary"], by_hand([3, 4]), atol=1e-4)
    assert given["streamed"] == given["unary"]


def test_node_steps_over_calls_and_over_a_stream(node, address):
    assert_steps(node, address)


def test_so_it_does_behind_nginx(node, proxy):
    assert_steps(node, proxy)


def test_buf_curl_asks_what_there_is(address):
    url = f"http://{address}/inference.GRPCInferenceService"
    ask = (BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--schema", PROTOS)
    status, told = run(*ask, "-d", '{"name": "tiny"}', f"{url}/ModelMetadata")
    assert status == 0, told
    assert json.loads(told)["name"] == "tiny"
    status, told = run(*ask, "-d", "{}", f"{url}/RepositoryIndex")
    assert {"tiny", "tiny.generate", "judge"} <= {
        each["name"] for each in json.loads(told)["models"]
    }


def test_buf_curl_needs_no_schema_thanks_to_reflection(address):
    url = f"http://{address}/inference.GRPCInferenceService/ServerMetadata"
    status, told = run(
        BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", "{}", url
    )
    assert status == 0, told
    assert "statistics" in json.loads(told)["extensions"]
