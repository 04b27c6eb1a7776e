"""Texts to classify, one a call, with a fixed number of calls in flight."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import grpc
from google.protobuf.message import Message

from benchmarks.ledger import percentile
from benchmarks.load.channels import connections
from stepwire.v1.labeling_pb2 import ClassifyRequest

PATH = "/stepwire.v1.LabelingService/Classify"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class ClassifyRun:
    """What one measured run gave."""

    took_s: float
    latencies_s: list[float]

    def values(self) -> dict[str, float]:
        """The figures of this run."""
        return {
            "texts_per_s": len(self.latencies_s) / self.took_s,
            "latency_p50_ms": 1e3 * percentile(self.latencies_s, 50),
            "latency_p99_ms": 1e3 * percentile(self.latencies_s, 99),
        }


async def classify_for(
    address: str, model: str, texts: Sequence[str], *, in_flight: int, duration_s: float
) -> ClassifyRun:
    """Sends one text after the other, over and over, until the time is up."""
    # Made beforehand, and told apart by nothing but the text.
    requests = [ClassifyRequest(model=model, texts=[text]) for text in texts]
    return await call_for(address, PATH, requests, in_flight=in_flight, duration_s=duration_s)


async def call_for(
    address: str, path: str, requests: Sequence[Message], *, in_flight: int, duration_s: float
) -> ClassifyRun:
    """Makes one unary call after the other, over and over, until the time is up."""
    endless = cycle(requests)
    async with connections(address, in_flight) as channels:
        calls = [
            channel.unary_unary(path, request_serializer=type(requests[0]).SerializeToString)
            for channel in channels
        ]
        latencies_s: list[float] = []
        began = time.perf_counter()
        callers = [
            _call_until(began + duration_s, calls[n % len(calls)], endless, latencies_s)
            for n in range(in_flight)
        ]
        await asyncio.gather(*callers)
        return ClassifyRun(time.perf_counter() - began, latencies_s)


async def _call_until(
    ends_at: float,
    call: grpc.aio.UnaryUnaryMultiCallable,
    requests: Iterator[Message],
    latencies_s: list[float],
) -> None:
    while (began := time.perf_counter()) < ends_at:
        await call(next(requests), timeout=TIMEOUT_S)
        latencies_s.append(time.perf_counter() - began)
