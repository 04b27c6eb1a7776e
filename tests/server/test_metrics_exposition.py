"""What a real server shows at /metrics, as Prometheus reads it."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import stepwire
from stepwire.v1 import (
    generation_pb2,
    generation_pb2_grpc,
    sessions_pb2,
    sessions_pb2_grpc,
    streaming_pb2,
    streaming_pb2_grpc,
)
from stepwire_server.oip import inference_pb2, inference_pb2_grpc
from support import tiny
from support.tiny_translator import write_translation

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules.yml"
GUIDE = ROOT / "docs/operations.md"
OF_MODEL = {"model", "version"}
OF_CALL = {"grpc_type", "grpc_service", "grpc_method"}
# Name as Prometheus knows the family, its type, and its labels.
FAMILIES = {
    "grpc_server_started": ("counter", OF_CALL),
    "grpc_server_handled": ("counter", OF_CALL | {"grpc_code"}),
    "grpc_server_handling_seconds": ("histogram", OF_CALL | {"grpc_code"}),
    "grpc_server_msg_received": ("counter", OF_CALL),
    "grpc_server_msg_sent": ("counter", OF_CALL),
    "stepwire_cores": ("gauge", set()),
    "stepwire_picked_info": (
        "gauge",
        {
            *("most_engines", "sequence_workers", "threads_per_run"),
            *("precision", "event_loop"),
        },
    ),
    "stepwire_model_info": ("gauge", OF_MODEL | {"task", "provider", "digest"}),
    "stepwire_model_load_seconds": ("gauge", OF_MODEL),
    "stepwire_models_refused": ("counter", {"reason"}),
    "stepwire_model_loads": ("counter", {"result"}),
    "stepwire_model_unloads": ("counter", set()),
    "stepwire_models": ("gauge", {"state"}),
    "stepwire_golden_failures": ("counter", OF_MODEL),
    "stepwire_step_seconds": ("histogram", OF_MODEL),
    "stepwire_step_rows": ("histogram", OF_MODEL),
    "stepwire_queue_seconds": ("histogram", OF_MODEL),
    "stepwire_first_piece_seconds": ("histogram", OF_MODEL),
    "stepwire_piece_interval_seconds": ("histogram", OF_MODEL),
    "stepwire_input_tokens": ("counter", OF_MODEL),
    "stepwire_output_tokens": ("counter", OF_MODEL),
    "stepwire_padding_tokens": ("counter", OF_MODEL),
    "stepwire_engines": ("gauge", OF_MODEL),
    "stepwire_slots": ("gauge", OF_MODEL),
    "stepwire_slots_in_use": ("gauge", OF_MODEL),
    "stepwire_waiting": ("gauge", OF_MODEL),
    "stepwire_parked": ("gauge", OF_MODEL),
    "stepwire_cancelled": ("counter", OF_MODEL | {"stage"}),
    "stepwire_deadline_dropped": ("counter", OF_MODEL),
    "stepwire_encode_seconds": ("histogram", OF_MODEL),
    "stepwire_encode_rows": ("histogram", OF_MODEL),
    "stepwire_encode_queue_seconds": ("histogram", OF_MODEL),
    "stepwire_encode_waiting": ("gauge", OF_MODEL),
    "stepwire_resumes": ("counter", OF_MODEL),
    "stepwire_prefix_cache_hits": ("counter", OF_MODEL),
    "stepwire_prefix_cache_misses": ("counter", OF_MODEL),
    "stepwire_prefix_cache_tokens": ("counter", OF_MODEL),
    "stepwire_prefix_cache_bytes": ("gauge", OF_MODEL),
    "stepwire_sources": ("counter", OF_MODEL | {"how"}),
    "stepwire_source_cache_bytes": ("gauge", OF_MODEL),
    "stepwire_sessions": ("gauge", {"state"}),
    "stepwire_session_bytes": ("gauge", set()),
    "stepwire_sessions_opened": ("counter", {"origin"}),
    "stepwire_sessions_ended": ("counter", {"reason"}),
    "stepwire_session_steps": ("counter", set()),
    "stepwire_session_repeats": ("counter", set()),
    "stepwire_sequences": ("gauge", set()),
    "stepwire_sequence_bytes": ("gauge", set()),
    "stepwire_sequences_begun": ("counter", set()),
    "stepwire_sequences_restarted": ("counter", set()),
    "stepwire_sequences_ended": ("counter", {"reason"}),
}
MADE_UP = "made-up-by-a-caller"
TOKENS = 20


@contextlib.contextmanager
def running_server(repository):
    """A server as a user starts it; yields the fields of its line `server ready`."""
    command = [sys.executable, "-m", "stepwire_server", "--model-repository", str(repository)]
    process = subprocess.Popen(
        [*command, "--grpc-port", "0", "--metrics-port", "0"], stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith("{") and json.loads(line)["event"] == "server ready":
                    break
            else:
                pytest.fail(f"the server did not start: {''.join(lines)}")
            yield json.loads(lines[-1])
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture(scope="module")
def exposition(tmp_path_factory):
    """The text of /metrics after a generation, a classification, and calls that fail."""
    repository = tmp_path_factory.mktemp("zoo")
    tiny.write_generation(repository)
    tiny.write_classification(repository)
    write_translation(repository)
    broken = tiny.write_generation(repository, "broken", cell=WrongCell())
    with running_server(repository) as ready:
        target = f"127.0.0.1:{ready['grpc_port']}"
        with stepwire.Client(target) as client:
            options = stepwire.DecodingOptions(max_tokens=TOKENS, seed=1)
            with client.generate("tiny", "hello", options=options) as stream:
                assert "".join(stream)
            assert client.classify("judge", ["abc", "hello"])
            with pytest.raises(stepwire.StepwireError):
                client.classify(MADE_UP, ["abc"])
        translate(target)
        step_a_session(target)
        step_a_sequence(target)
        call_unknown_method(target)
        url = f"http://127.0.0.1:{ready['metrics_port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            text = response.read().decode()
    assert broken.exists()
    return text


class WrongCell(tiny.TinyCell):
    """Its golden case is of another model than its graph."""

    def run(self, tokens):
        return super().run(tokens) + 1


def translate(target):
    with grpc.insecure_channel(target) as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        sources = [generation_pb2.Source(text="hello")]
        request = generation_pb2.TranslateRequest(model="tiny-translator", sources=sources)
        assert list(stub.Translate(request, timeout=10))


def step_a_sequence(target):
    request = inference_pb2.ModelInferRequest(model_name="tiny")
    for name in ("sequence_start", "sequence_end"):
        request.parameters[name].bool_param = True
    request.parameters["sequence_id"].int64_param = 1
    request.inputs.add(name="token", datatype="INT64", shape=[1, 1]).contents.int64_contents[:] = [
        1
    ]
    with grpc.insecure_channel(target) as channel:
        inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=10)


def step_a_session(target):
    with grpc.insecure_channel(target) as channel:
        desk = sessions_pb2_grpc.SessionServiceStub(channel)
        request = sessions_pb2.OpenSessionRequest(model="tiny")
        session = desk.OpenSession(request, timeout=10).session
        name, step = session.id, streaming_pb2.StepRequest
        inputs = streaming_pb2.Inputs(epoch=1, text="abc")
        messages = [step(session_id=name, attach=streaming_pb2.Attach())]
        messages += [step(session_id=name, inputs=inputs)] * 2  # the second repeats the first
        stub = streaming_pb2_grpc.StreamingServiceStub(channel)
        kinds = [answer.WhichOneof("result") for answer in stub.Step(iter(messages), timeout=10)]
        assert kinds[:2] == ["attached", "taken"]
        desk.CloseSession(sessions_pb2.CloseSessionRequest(session_id=name), timeout=10)


def call_unknown_method(target):
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(f"/stepwire.v1.{MADE_UP}/{MADE_UP}")
        with pytest.raises(grpc.RpcError) as failure:
            call(b"", timeout=10, metadata=[("x-request-id", MADE_UP)])
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture(scope="module")
def families(exposition):
    return {family.name: family for family in text_string_to_metric_families(exposition)}


def value(families, name, **labels):
    (found,) = (
        sample.value
        for sample in families[name.removesuffix("_total").removesuffix("_count")].samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_its_type_and_its_labels(families, name):
    kind, labels = FAMILIES[name]
    family = families[name]
    assert family.type == kind
    assert family.documentation
    found = {frozenset(sample.labels) - {"le"} for sample in family.samples}
    assert found == {frozenset(labels)}


def test_no_family_is_missing_from_this_list(families):
    ours = {name for name in families if name.startswith(("stepwire_", "grpc_"))}
    assert {name for name in ours if not name.endswith("_created")} == set(FAMILIES)


def test_histograms_of_seconds_have_buckets_of_seconds(families):
    for name, (kind, _) in FAMILIES.items():
        if kind != "histogram" or not name.endswith("_seconds"):
            continue
        limits = {float(s.labels["le"]) for s in families[name].samples if "le" in s.labels}
        assert min(limits) <= 0.001, name
        assert 1 <= max(limits - {float("inf")}) <= 600, name
        assert float("inf") in limits, name


def test_steps_have_buckets_from_50_microseconds(families):
    limits = [
        float(s.labels["le"]) for s in families["stepwire_step_seconds"].samples if "le" in s.labels
    ]
    assert min(limits) == 50e-6


def test_what_was_done_is_counted(families):
    assert value(families, "stepwire_output_tokens_total", model="tiny") == TOKENS
    assert value(families, "stepwire_queue_seconds_count", model="tiny") == 3  # a prompt, two steps
    assert value(families, "stepwire_first_piece_seconds_count", model="tiny") == 1
    assert value(families, "stepwire_input_tokens_total", model="judge") == len("abc" + "hello")
    assert value(families, "stepwire_queue_seconds_count", model="judge") == 2
    handled = "grpc_server_handled_total"
    assert value(families, handled, grpc_method="Generate", grpc_code="OK") == 1
    assert value(families, handled, grpc_method="Classify", grpc_code="OK") == 1
    assert value(families, handled, grpc_method="Classify", grpc_code="NOT_FOUND") == 1


def test_a_golden_case_that_fails_is_counted(families):
    assert value(families, "stepwire_models_refused_total", reason="GoldenMismatch") == 1
    assert value(families, "stepwire_golden_failures_total", model="broken") == 1
    ready = {sample.labels["model"] for sample in families["stepwire_model_info"].samples}
    assert ready == {"tiny", "judge", "tiny-translator"}


def test_no_label_takes_what_a_caller_makes_up(families):
    values = {
        label for family in families.values() for s in family.samples for label in s.labels.values()
    }
    assert not [label for label in values if MADE_UP in label]


def test_the_alert_rules_ask_for_metrics_that_exist(families):
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    asked = {
        name
        for rule in rules
        for name in re.findall(r"(?:stepwire|grpc_server|process)_\w+", rule["expr"])
    }
    served = {sample.name for family in families.values() for sample in family.samples}
    assert len(rules) > 10
    assert asked <= served


def test_the_guide_explains_every_metric_and_every_alert():
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    explained = {re.match(r"\| `(\w+)", row)[1]: row for row in rows if re.match(r"\| `\w", row)}
    assert {name for name in explained if name.startswith(("stepwire_", "grpc_"))} == set(FAMILIES)
    for name, (kind, _) in FAMILIES.items():
        assert f"| {kind} |" in explained[name]
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert {name for name in explained if name.startswith("Stepwire")} == alerts


def test_promtool_finds_no_fault(exposition):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=exposition, text=True, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")],
    ids=["config", "rules"],
)
def test_promtool_accepts_what_is_deployed(arguments):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    done = subprocess.run(
        [promtool, *arguments], cwd=RULES.parent, text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
