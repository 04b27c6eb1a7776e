"""Streams of generated text, all begun at once."""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise

import grpc

from benchmarks.ledger import percentile
from benchmarks.load.channels import connections
from stepwire.v1.generation_pb2 import GenerateRequest, GenerateResponse

PATH = "/stepwire.v1.GenerationService/Generate"
TIMEOUT_S = 120.0


@dataclass
class StreamTimes:
    """When the messages of one stream came, on the monotonic clock."""

    began_at: float
    arrived_at: list[float] = field(default_factory=list)
    tokens: int = 0  # none of a stream that failed
    failed: bool = False


@dataclass(frozen=True)
class GenerateRun:
    """What one measured run gave."""

    took_s: float
    streams: list[StreamTimes]

    @property
    def tokens(self) -> int:
        """Tokens of whole streams, by the server's own count."""
        return sum(stream.tokens for stream in self.streams)

    def values(self) -> dict[str, float]:
        """The figures of this run."""
        whole = [stream for stream in self.streams if not stream.failed]
        first_s = [stream.arrived_at[0] - stream.began_at for stream in whole]
        whole_s = [stream.arrived_at[-1] - stream.began_at for stream in whole]
        gaps_s = [b - a for stream in whole for a, b in pairwise(stream.arrived_at)] or [0.0]
        messages = sum(len(stream.arrived_at) for stream in self.streams)
        return {
            "tokens_per_s": self.tokens / self.took_s,
            "messages_per_s": messages / self.took_s,
            "first_piece_p50_ms": 1e3 * percentile(first_s, 50),
            "first_piece_p99_ms": 1e3 * percentile(first_s, 99),
            "stream_p50_ms": 1e3 * percentile(whole_s, 50),
            "piece_interval_p50_ms": 1e3 * percentile(gaps_s, 50),
            "piece_interval_p99_ms": 1e3 * percentile(gaps_s, 99),
            "failed_streams": len(self.streams) - len(whole),
        }


async def run_streams(
    address: str, requests: list[GenerateRequest], *, at_once: bool = True
) -> GenerateRun:
    """Makes every call, all together or one after the other, and reads it to its end.

    A stream may fail: gRPC itself cancels a call that a server has not taken up for 30
    seconds, and on a busy machine a server that blocks its event loop comes to that.

    Raises:
        RuntimeError: every stream failed.
    """
    async with connections(address, len(requests) if at_once else 1) as channels:
        # Without a deserializer a message stays bytes: parsing would load the callers.
        calls = [
            channel.unary_stream(PATH, request_serializer=GenerateRequest.SerializeToString)
            for channel in channels
        ]
        began = time.perf_counter()
        streams = [_read(calls[n % len(calls)], request) for n, request in enumerate(requests)]
        if at_once:
            times = list(await asyncio.gather(*streams))
        else:
            times = [await stream for stream in streams]
        if all(stream.failed for stream in times):
            raise RuntimeError(f"{address} finished none of {len(times)} streams")
        return GenerateRun(time.perf_counter() - began, times)


async def tokens_for(
    address: str, request: GenerateRequest, *, streams: int, duration_s: float
) -> float:
    """Keeps so many streams going, each followed by another, until the time is up.

    Returns:
        Tokens a second, of the messages that came in time.
    """
    async with connections(address, streams) as channels:
        calls = [
            channel.unary_stream(
                PATH,
                request_serializer=GenerateRequest.SerializeToString,
                response_deserializer=GenerateResponse.FromString,
            )
            for channel in channels
        ]
        ends_at = time.perf_counter() + duration_s
        readers = [_read_until(ends_at, calls[n % len(calls)], request) for n in range(streams)]
        return sum(await asyncio.gather(*readers)) / duration_s


async def _read_until(
    ends_at: float, call: grpc.aio.UnaryStreamMultiCallable, request: GenerateRequest
) -> int:
    """Tokens of one stream after the other."""
    tokens = 0
    while time.perf_counter() < ends_at:
        reading = call(request, timeout=TIMEOUT_S)
        async for message in reading:
            if time.perf_counter() >= ends_at:
                reading.cancel()
                break
            tokens += sum(len(piece.token_ids) for piece in message.pieces)
    return tokens


async def _read(call: grpc.aio.UnaryStreamMultiCallable, request: GenerateRequest) -> StreamTimes:
    times = StreamTimes(time.perf_counter())
    last = b""
    try:
        async for message in call(request, timeout=TIMEOUT_S):
            times.arrived_at.append(time.perf_counter())
            last = message
    except grpc.aio.AioRpcError:
        times.failed = True
        return times
    times.tokens = GenerateResponse.FromString(last).pieces[-1].summary.generated_tokens
    if times.tokens != request.options.max_tokens:
        raise RuntimeError(f"{times.tokens} tokens came, not {request.options.max_tokens}")
    return times
