"""The server as an operator meets it: a process with flags, logs and signals."""

import json
import os
import signal
import subprocess
import sys
import threading

import grpc
import pytest

from stepwire.v1 import generation_pb2_grpc
from stepwire_server.logs import CallersLeave, JsonLines
from support.calls import a_request


class Process:
    """`stepwire-server` as a child process."""

    def __init__(self, *flags, **environment):
        environment = {**os.environ, **environment}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "stepwire_server", *map(str, flags)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.events = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._child.stderr:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == "server ready":
                self._ready.set()
        self._ready.set()

    def wait_until_ready(self):
        assert self._ready.wait(60)
        return next(event for event in self.events if event["event"] == "server ready")

    def signal(self, number):
        self._child.send_signal(number)

    def wait(self, limit_s=60):
        code = self._child.wait(limit_s)
        self._reader.join()
        self._child.stderr.close()
        return code


@pytest.fixture
def start():
    started = []

    def start(*flags, **environment):
        started.append(Process(*flags, **environment))
        return started[-1]

    yield start
    for process in started:
        if process._child.poll() is None:
            process._child.kill()
            process.wait()


PORTS = ("--grpc-port", 0, "--metrics-port", 0)


def test_sigterm_lets_a_running_stream_finish_and_exits_cleanly(start, repository):
    process = start("--model-repository", repository, *PORTS)
    ready = process.wait_until_ready()
    with grpc.insecure_channel(f"127.0.0.1:{ready['grpc_port']}") as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        stream = stub.Generate(a_request("a", max_tokens=4000))
        pieces = list(next(stream).pieces)
        process.signal(signal.SIGTERM)
        for response in stream:
            pieces += response.pieces
    assert process.wait() == 0
    assert pieces[-1].summary.generated_tokens == 4000
    assert [event["event"] for event in process.events][-2:] == ["draining", "stopped"]


def test_it_says_what_it_found_and_picked(start, repository):
    flags = ("--engines-per-model", 3, "--sequence-workers", 2)
    process = start("--model-repository", repository, *PORTS, *flags)
    process.wait_until_ready()
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    events = {(event["event"], event.get("model")): event for event in process.events}
    picked = events["picked", None]
    assert (picked["most_engines"], picked["sequence_workers"], picked["cores"]) == (
        *(3, 2),
        len(os.sched_getaffinity(0)),
    )
    assert events["model ready", "tiny"]["threads"] == 3
    assert events["model ready", "judge"]["threads"] == 2


def test_flags_may_come_from_the_environment(start, repository):
    process = start(
        STEPWIRE_MODEL_REPOSITORY=str(repository),
        STEPWIRE_GRPC_PORT="0",
        STEPWIRE_NO_METRICS="1",
    )
    ready = process.wait_until_ready()
    assert ready["models"] == 2
    assert ready["metrics_port"] == 0
    process.signal(signal.SIGINT)
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ((), "model-repository must be given at least once"),
        (("--model-repository", "/nowhere"), "/nowhere cannot be read"),
        (("--model-repository", ".", "--provider", "cuda"), "provider 'cuda' is not there"),
        (("--model-repository", ".", "--max-rows", 0), "max_rows must be at least 1, got 0"),
        (("--model-repository", ".", "--max-beam-width", 0), "max_beam_width must be at least 1"),
        (("--model-repository", ".", "--source-cache-bytes", -1), "source_cache_bytes must be at"),
        (("--model-repository", ".", "--grpc-port", 99999), "grpc_port must be in [0, 65535]"),
        (("--model-repository", ".", "--grpc-server-cert", "a.pem"), "must be given together"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(start, flags, reason):
    process = start(*flags)
    assert process.wait() == 1
    [event] = process.events
    assert event["event"] == "cannot start"
    assert reason in event["reason"]


def test_a_model_that_is_refused_can_stop_the_start(start, repository):
    (repository / "tiny/1/step.onnx").write_bytes(b"cut")
    process = start("--model-repository", repository, *PORTS, "--exit-on-error")
    assert process.wait() == 1
    refused = next(event for event in process.events if event["event"] == "bundle refused")
    assert refused["model"] == "tiny"
    assert refused["reason"].startswith("FileMismatch")


def test_a_log_line_is_one_json_object(caplog):
    import logging

    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "모델 %s", ("준비",), None)
    record.load_s = 0.5
    line = JsonLines().format(record)
    event = json.loads(line)
    assert "\n" not in line
    assert (event["event"], event["level"], event["load_s"]) == ("모델 준비", "info", 0.5)


def test_a_caller_that_left_is_no_error_in_the_log():
    import logging

    record = logging.LogRecord(
        "grpc", logging.ERROR, "x.py", 1, "ExecuteBatchError raised in core by ...", (), None
    )
    assert not CallersLeave().filter(record)


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate for localhost, made by OpenSSL."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return key, certificate


def test_calls_can_be_encrypted(start, repository, certificate):
    key, chain = certificate
    flags = ("--grpc-server-cert", chain, "--grpc-server-key", key)
    process = start("--model-repository", repository, *PORTS, *flags)
    port = process.wait_until_ready()["grpc_port"]
    trust = grpc.ssl_channel_credentials(chain.read_bytes())
    with grpc.secure_channel(f"localhost:{port}", trust) as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        assert list(stub.Generate(a_request("a")))
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            list(stub.Generate(a_request("a")))
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


def test_a_certificate_that_cannot_be_read_is_named(start, repository):
    flags = ("--grpc-server-cert", "/nowhere.pem", "--grpc-server-key", "/nowhere.pem")
    process = start("--model-repository", repository, *PORTS, *flags)
    assert process.wait() == 1
    assert "/nowhere.pem cannot be read" in process.events[-1]["reason"]


def test_a_flag_takes_the_place_of_its_environment_variable(start, repository):
    process = start("--model-repository", repository, *PORTS, STEPWIRE_MODEL_REPOSITORY="/nowhere")
    assert process.wait_until_ready()["models"] == 2


def test_a_choice_from_the_environment_is_checked_too():
    command = [sys.executable, "-m", "stepwire_server", "--model-repository", "."]
    environment = {**os.environ, "STEPWIRE_LOG_LEVEL": "loud"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "STEPWIRE_LOG_LEVEL must be one of debug, info, warning, got 'loud'" in ended.stderr
