"""Uses a server through tritonclient, unmodified; prints what came of each check as JSON.

Runs in an environment that has tritonclient and nothing of ours: two definitions of the
protocol's messages cannot live in one process. Call it with the server's address, and with the
numbers that the model is known to give as JSON on standard input.
"""

import asyncio
import json
import queue
import sys
import traceback

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aio
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

ADDRESS = sys.argv[1]
KNOWN = json.load(sys.stdin)  # tokens, and the logits of each step
TOKENS = KNOWN["tokens"]
CHECKS = {}
TIMEOUT_S = 30


def check(function):
    CHECKS[function.__name__] = function
    return function


def token(value, kind=grpcclient):
    data = np.array([[value]], np.int64)
    given = kind.InferInput("token", data.shape, "INT64")
    given.set_data_from_numpy(data)
    return [given]


def texts(**values):
    inputs = []
    for name, value in values.items():
        data = np.array([value], np.object_ if isinstance(value, bytes) else None)
        given = grpcclient.InferInput(name, [1], "BYTES" if isinstance(value, bytes) else "BOOL")
        given.set_data_from_numpy(data)
        inputs.append(given)
    return inputs


def is_step(result, step):
    """Whether a result is the known one of a step, bit for bit."""
    logits = result.as_numpy("logits")
    assert logits.shape == (1, 1, len(KNOWN["logits"][0])), logits.shape
    assert (logits[0, 0] == np.array(KNOWN["logits"][step], np.float32)).all(), step


def flags(step):
    return {"sequence_start": step == 0, "sequence_end": step == len(TOKENS) - 1}


def refused(call, status, text):
    error = None
    try:
        call()
    except InferenceServerException as raised:
        error = raised
    assert error is not None
    assert status in str(error.status()), error
    assert text in error.message(), error


@check
def health(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert not client.is_model_ready("tiny", "7")
    assert not client.is_model_ready("nobody")


@check
def metadata(client):
    server = client.get_server_metadata(as_json=True)
    assert server["name"] == "stepwire"
    assert "statistics" in server["extensions"]
    model = client.get_model_metadata("tiny", as_json=True)
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": "token", "datatype": "INT64", "shape": ["-1", "-1"]}]


@check
def config(client):
    told = client.get_model_config("tiny", as_json=True)["config"]
    assert "sequence_batching" in told
    assert told["max_batch_size"] > 0
    assert [state["input_name"] for state in told["sequence_batching"]["state"]] == ["h", "c"]
    told = client.get_model_config("tiny.generate", as_json=True)["config"]
    assert told["model_transaction_policy"] == {"decoupled": True}


@check
def sequence_of_a_number(client):
    for step, value in enumerate(TOKENS):
        is_step(client.infer("tiny", token(value), sequence_id=1, **flags(step)), step)


@check
def sequence_of_a_text(client):
    for step, value in enumerate(TOKENS):
        result = client.infer(
            "tiny", token(value), request_id=f"r{step}", sequence_id="1", **flags(step)
        )
        is_step(result, step)
        assert result.get_response().id == f"r{step}"


@check
def sequence_that_never_began(client):
    text = "inference request for sequence 77 to model 'tiny' must specify the START flag"
    refused(lambda: client.infer("tiny", token(1), sequence_id=77), "NOT_FOUND", text)


@check
def two_clients_with_the_same_number(client):
    with grpcclient.InferenceServerClient(
        ADDRESS, channel_args=[("grpc.use_local_subchannel_pool", 1)]
    ) as other:
        for step, value in enumerate(TOKENS):
            for each in (client, other):
                is_step(each.infer("tiny", token(value), sequence_id=5, **flags(step)), step)


@check
def requested_outputs(client):
    best = [grpcclient.InferRequestedOutput("logits", class_count=2)]
    result = client.infer("judge", judge_inputs(), outputs=best)
    found = [each.decode().split(":") for each in result.as_numpy("logits")[0]]
    assert {label for _, _, label in found} == {"negative", "positive"}
    assert float(found[0][0]) >= float(found[1][0])


@check
def unknown_output(client):
    outputs = [grpcclient.InferRequestedOutput("nothing")]
    refused(
        lambda: client.infer("judge", judge_inputs(), outputs=outputs),
        "INVALID_ARGUMENT",
        "requested outputs must be among logits",
    )


def judge_inputs():
    tokens = np.array([[1, 2, 3, 4]], np.int64)
    given = grpcclient.InferInput("tokens", tokens.shape, "INT64")
    given.set_data_from_numpy(tokens)
    return [given]


@check
def compression_headers_and_times(client):
    for compression in ("gzip", "deflate", None):
        client.infer(
            "judge",
            judge_inputs(),
            headers={"x-request-id": "from-triton"},
            client_timeout=TIMEOUT_S,
            compression_algorithm=compression,
            priority=1,
            timeout=30_000_000,
            parameters={"note": "a", "count": 3, "share": 0.5, "flag": True},
        )


@check
def async_infer(client):
    found = queue.Queue()
    for _ in range(8):
        client.async_infer(
            "judge", judge_inputs(), lambda result, error: found.put(error or result)
        )
    for _ in range(8):
        result = found.get(timeout=TIMEOUT_S)
        assert result.as_numpy("logits").shape == (1, 2)
    context = client.async_infer("judge", judge_inputs(), lambda result, error: None)
    context.cancel()


@check
def stream_of_sequences(client):
    found = queue.Queue()
    client.start_stream(lambda result, error: found.put((result, error)))
    ids = [1, 2, "1", "two"]
    for step, value in enumerate(TOKENS):
        for place, each in enumerate(ids):
            client.async_stream_infer(
                "tiny", token(value), request_id=f"{place}/{step}", sequence_id=each, **flags(step)
            )
    client.stop_stream()
    seen = {}
    while not found.empty():
        result, error = found.get()
        assert error is None, error
        place, step = map(int, result.get_response().id.split("/"))
        is_step(result, step)
        seen.setdefault(place, []).append(step)
    assert seen == {place: list(range(len(TOKENS))) for place in range(len(ids))}


@check
def stream_goes_on_after_an_error(client):
    found = queue.Queue()
    client.start_stream(lambda result, error: found.put((result, error)))
    client.async_stream_infer("tiny", token(1), sequence_id=99)
    _, error = found.get(timeout=TIMEOUT_S)
    assert "START flag" in error.message()
    client.async_stream_infer("tiny", token(TOKENS[0]), sequence_id=99, sequence_start=True)
    result, error = found.get(timeout=TIMEOUT_S)
    assert error is None, error
    is_step(result, 0)
    client.stop_stream()


@check
def stream_that_ends_with_an_error(client):
    found = queue.Queue()
    client.start_stream(
        lambda result, error: found.put(error), headers={"triton_grpc_error": "true"}
    )
    client.async_stream_infer("tiny", token(1), sequence_id=98)
    error = found.get(timeout=TIMEOUT_S)
    assert "NOT_FOUND" in str(error.status()), error
    client.stop_stream()


@check
def decoupled(client):
    found = queue.Queue()
    client.start_stream(lambda result, error: found.put((result, error)))
    client.async_stream_infer(
        "tiny.generate",
        texts(text_input=b"once"),
        request_id="g",
        enable_empty_final_response=True,
        parameters={"max_tokens": 5},
    )
    tokens, finals = [], []
    while True:
        result, error = found.get(timeout=TIMEOUT_S)
        assert error is None, error
        response = result.get_response()
        assert response.id == "g"
        finals.append(response.parameters["triton_final_response"].bool_param)
        if finals[-1]:
            assert not response.outputs
            break
        tokens += result.as_numpy("token_ids").tolist()
    client.stop_stream()
    assert len(tokens) == 5
    assert finals == [False] * (len(finals) - 1) + [True]


@check
def decoupled_without_a_stream(client):
    result = client.infer("tiny.generate", texts(text_input=b"once"), parameters={"max_tokens": 5})
    assert len(result.as_numpy("token_ids")) == 5
    assert result.as_numpy("finish_reason").tolist() == [b"length"]


@check
def statistics(client):
    def count():
        told = client.get_inference_statistics("judge", as_json=True)["model_stats"][0]
        names = ("success", "queue", "compute_input", "compute_infer", "compute_output")
        return [int(told["inference_stats"][name].get("count", 0)) for name in names]

    before = count()
    client.infer("judge", judge_inputs())
    assert count() == [number + 1 for number in before]
    assert len(client.get_inference_statistics().model_stats) >= 5


@check
def repository(client):
    index = client.get_model_repository_index(as_json=True)["models"]
    assert {"name": "tiny.generate", "version": "1", "state": "READY"} in index
    client.unload_model("spare")
    assert not client.is_model_ready("spare")
    states = {m.name: m.state for m in client.get_model_repository_index().models}
    assert states["spare"] == "UNAVAILABLE"
    client.load_model("spare")
    assert client.is_model_ready("spare")
    refused(lambda: client.load_model("spare", config="{}"), "INVALID_ARGUMENT", "be left out: ")
    refused(
        lambda: client.load_model("spare", config="{}", files={"file:1/model.onnx": b"x"}),
        "INVALID_ARGUMENT",
        "be left out: ",
    )
    refused(lambda: client.load_model("nobody"), "NOT_FOUND", "nobody")


@check
def settings(client):
    assert client.get_trace_settings(as_json=True)["settings"]["trace_level"]["value"] == ["OFF"]
    client.get_trace_settings("tiny")
    refused(
        lambda: client.update_trace_settings(settings={"trace_level": "TIMESTAMPS"}),
        "UNIMPLEMENTED",
        "nothing is traced",
    )
    log = client.get_log_settings(as_json=True)["settings"]
    assert log["log_error"] == {"bool_param": True}
    client.update_log_settings({"log_error": True})
    refused(
        lambda: client.update_log_settings({"log_error": False}), "UNIMPLEMENTED", "--log-level"
    )


@check
def shared_memory(client):
    text = "shares no memory"
    refused(lambda: client.get_system_shared_memory_status(), "UNIMPLEMENTED", text)
    refused(lambda: client.unregister_system_shared_memory(), "UNIMPLEMENTED", text)
    refused(lambda: client.get_cuda_shared_memory_status(), "UNIMPLEMENTED", text)
    refused(lambda: client.register_system_shared_memory("a", "/a", 8), "UNIMPLEMENTED", text)


@check
def aio_sequences(client):
    async def run():
        async with aio.InferenceServerClient(ADDRESS) as client:
            assert await client.is_server_live()
            assert await client.is_model_ready("tiny")
            assert (await client.get_model_config("tiny")).config.name == "tiny"
            for each in (11, "11"):
                for step, value in enumerate(TOKENS):
                    is_step(
                        await client.infer("tiny", token(value), sequence_id=each, **flags(step)),
                        step,
                    )

    asyncio.run(run())


@check
def aio_stream(client):
    async def requests():
        for step, value in enumerate(TOKENS):
            for each in (21, "21"):
                yield {
                    "model_name": "tiny",
                    "inputs": token(value),
                    "request_id": f"{each!r}/{step}",
                    "sequence_id": each,
                    **flags(step),
                }

    async def run():
        seen = {}
        async with aio.InferenceServerClient(ADDRESS) as client:
            async for result, error in client.stream_infer(requests()):
                assert error is None, error
                each, step = result.get_response().id.split("/")
                is_step(result, int(step))
                seen.setdefault(each, []).append(int(step))
        steps = list(range(len(TOKENS)))
        assert seen == {"21": steps, "'21'": steps}

    asyncio.run(run())


@check
def aio_decoupled(client):
    async def requests():  # this client has no way to ask for an empty final response
        yield {
            "model_name": "tiny.generate",
            "inputs": texts(text_input=b"once"),
            "parameters": {"max_tokens": 4},
        }

    async def run():
        tokens, reasons = [], []
        async with aio.InferenceServerClient(ADDRESS) as client:
            async for result, error in client.stream_infer(requests()):
                assert error is None, error
                tokens += result.as_numpy("token_ids").tolist()
                reasons += result.as_numpy("finish_reason").tolist()
        assert len(tokens) == 4
        assert reasons == [b""] * (len(reasons) - 1) + [b"length"]

    asyncio.run(run())


def main():
    results = {}
    for name, function in CHECKS.items():
        try:
            with grpcclient.InferenceServerClient(ADDRESS) as client:
                function(client)
            results[name] = "passed"
        except Exception:
            results[name] = traceback.format_exc()
    modules = (model_config_pb2, service_pb2)
    protocol = [module.DESCRIPTOR.serialized_pb.hex() for module in modules]
    print(json.dumps({"results": results, "protocol": protocol}))


if __name__ == "__main__":
    main()
