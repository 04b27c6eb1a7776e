"""Calls of the echo server, with a fixed number of them at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc

from benchmarks.echo import MESSAGE, SERVICE
from benchmarks.load.channels import connections

KINDS = ("unary", "server streaming", "bidi")
TIMEOUT_S = 60.0

# Makes calls until a moment of the performance counter; returns the messages answered.
Caller = Callable[[grpc.aio.Channel, float], Awaitable[int]]


async def echo_for(address: str, kind: str, *, calls: int, duration_s: float) -> float:
    """Returns the messages answered in a second."""
    caller = _CALLERS[kind]
    async with connections(address, calls) as channels:
        began = time.perf_counter()
        ends_at = began + duration_s
        counts = await asyncio.gather(
            *(caller(channels[n % len(channels)], ends_at) for n in range(calls))
        )
        return sum(counts) / (time.perf_counter() - began)


async def _unary(channel: grpc.aio.Channel, ends_at: float) -> int:
    call = channel.unary_unary(f"/{SERVICE}/Unary")
    count = 0
    while time.perf_counter() < ends_at:
        await call(MESSAGE, timeout=TIMEOUT_S)
        count += 1
    return count


async def _streaming(channel: grpc.aio.Channel, ends_at: float) -> int:
    call = channel.unary_stream(f"/{SERVICE}/Stream")
    count = 0
    while time.perf_counter() < ends_at:
        async for _ in call(MESSAGE, timeout=TIMEOUT_S):
            count += 1
    return count


async def bidi_for(address: str, *, calls: int, duration_s: float) -> tuple[float, list[float]]:
    """Messages answered in a second on bidirectional calls, and the seconds that each took."""
    latencies_s: list[float] = []
    async with connections(address, calls) as channels:
        began = time.perf_counter()
        ends_at = began + duration_s
        await asyncio.gather(
            *(_bidi_timed(channels[n % len(channels)], ends_at, latencies_s) for n in range(calls))
        )
        return len(latencies_s) / (time.perf_counter() - began), latencies_s


async def _bidi_timed(channel: grpc.aio.Channel, ends_at: float, latencies_s: list[float]) -> None:
    call = channel.stream_stream(f"/{SERVICE}/Bidi")(timeout=TIMEOUT_S)
    while (began := time.perf_counter()) < ends_at:
        await call.write(MESSAGE)
        await call.read()
        latencies_s.append(time.perf_counter() - began)
    await call.done_writing()


async def _bidi(channel: grpc.aio.Channel, ends_at: float) -> int:
    call = channel.stream_stream(f"/{SERVICE}/Bidi")(timeout=TIMEOUT_S)
    count = 0
    while time.perf_counter() < ends_at:
        await call.write(MESSAGE)
        await call.read()
        count += 1
    await call.done_writing()
    return count


_CALLERS: dict[str, Caller] = dict(zip(KINDS, (_unary, _streaming, _bidi), strict=True))
