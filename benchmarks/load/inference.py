"""The same work as in labeling.py and stepping.py, through the Open Inference Protocol."""

import asyncio
import struct
import time
from collections.abc import Sequence

import grpc

from benchmarks.load.channels import connections
from benchmarks.load.labeling import ClassifyRun, call_for
from benchmarks.load.stepping import TOKENS, StepRun
from stepwire_server.oip import inference_pb2 as pb

_SERVICE = "/inference.GRPCInferenceService"
INFER = f"{_SERVICE}/ModelInfer"
STREAM = f"{_SERVICE}/ModelStreamInfer"
TIMEOUT_S = 300.0


async def classify_for(
    address: str, model: str, texts: Sequence[str], *, in_flight: int, duration_s: float
) -> ClassifyRun:
    """Sends one text after the other, over and over, until the time is up."""
    requests = [_text_request(model, text) for text in texts]
    return await call_for(address, INFER, requests, in_flight=in_flight, duration_s=duration_s)


def _text_request(model: str, text: str) -> pb.ModelInferRequest:
    written = text.encode()
    request = pb.ModelInferRequest(model_name=f"{model}.classify")
    request.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(struct.pack("<I", len(written)) + written)
    return request


async def step_for(
    address: str, model: str, *, sequences: int, streams: int, duration_s: float
) -> StepRun:
    """Steps so many sequences side by side, a token a request, until the time is up.

    Each waits for its answer before it goes on; a stream carries an equal share of them.
    """
    run = StepRun()
    async with connections(address, streams) as channels:
        shares = [
            _Share(channels[n % len(channels)], model, sequences // streams, n)
            for n in range(streams)
        ]
        await asyncio.gather(*(share.begin() for share in shares))
        began = time.perf_counter()
        ends_at = began + duration_s
        await asyncio.gather(*(share.step_until(ends_at, run.latencies_s) for share in shares))
        run.took_s = time.perf_counter() - began
        for share in shares:
            share.end()
    return run


class _Share:
    """The sequences of one stream."""

    def __init__(self, channel: grpc.aio.Channel, model: str, count: int, number: int) -> None:
        self._call = channel.stream_stream(
            STREAM, request_serializer=pb.ModelInferRequest.SerializeToString
        )(timeout=TIMEOUT_S)
        first = 1 + number * count
        self._requests = {str(first + n): _step_request(model, first + n) for n in range(count)}
        self._sent_at: dict[str, float] = {}

    async def begin(self) -> None:
        """Starts every sequence, and waits for the first answers."""
        for name in self._requests:
            await self._send(name)
        for _ in self._requests:
            await self._answered()
        for request in self._requests.values():
            del request.parameters["sequence_start"]

    async def step_until(self, ends_at: float, latencies_s: list[float]) -> None:
        """Steps every sequence whenever it is answered, until the time is up."""
        for name in self._requests:
            await self._send(name)
        going = len(self._requests)
        while going:
            name = await self._answered()
            now = time.perf_counter()
            latencies_s.append(now - self._sent_at[name])
            if now < ends_at:
                await self._send(name)
            else:
                going -= 1

    def end(self) -> None:
        """Ends the stream."""
        self._call.cancel()

    async def _send(self, name: str) -> None:
        request = self._requests[name]
        [token] = struct.unpack("<q", request.raw_input_contents[0])
        request.raw_input_contents[0] = struct.pack("<q", (token + 1) % TOKENS)
        self._sent_at[name] = time.perf_counter()
        await self._call.write(request)

    async def _answered(self) -> str:
        """Waits for an answer; gives the name of its sequence."""
        content = await self._call.read()
        if len(self._requests) == 1:  # parsing would load the callers
            return next(iter(self._requests))
        answer = pb.ModelStreamInferResponse.FromString(content)
        if answer.error_message:
            raise RuntimeError(answer.error_message)
        return str(answer.infer_response.id)


def _step_request(model: str, number: int) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model, id=str(number))
    request.parameters["sequence_id"].int64_param = number
    request.parameters["sequence_start"].bool_param = True
    request.inputs.add(name="token", datatype="INT64", shape=[1, 1])
    request.raw_input_contents.append(struct.pack("<q", 0))
    return request
