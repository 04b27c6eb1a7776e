"""Sentences to translate, one a call, by a fixed number of clients."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, takewhile

import grpc

from benchmarks.ledger import percentile
from benchmarks.load.channels import connections
from stepwire.v1.generation_pb2 import TranslateRequest, TranslateResponse

PATH = "/stepwire.v1.GenerationService/Translate"
TIMEOUT_S = 300.0


@dataclass
class TranslateRun:
    """What one measured run gave."""

    took_s: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)  # by sentence
    first_s: list[float] = field(default_factory=list)  # until the first message of a call
    whole_s: list[float] = field(default_factory=list)

    def values(self) -> dict[str, float]:
        """The figures of this run."""
        return {
            "sentences_per_s": len(self.whole_s) / self.took_s,
            "first_message_p50_ms": 1e3 * percentile(self.first_s, 50),
            "first_message_p99_ms": 1e3 * percentile(self.first_s, 99),
            "latency_p50_ms": 1e3 * percentile(self.whole_s, 50),
            "latency_p99_ms": 1e3 * percentile(self.whole_s, 99),
        }


async def translate_all(
    address: str, model: str, sentences: Sequence[str], *, clients: int, beam_width: int
) -> TranslateRun:
    """Translates every sentence once; each client sends its next when it has an answer."""
    return await _translate(address, model, enumerate(sentences), clients, beam_width)


async def translate_for(
    address: str,
    model: str,
    sentences: Sequence[str],
    *,
    clients: int,
    beam_width: int,
    duration_s: float,
) -> TranslateRun:
    """Translates one sentence after the other, over and over; none begins after the time is up."""
    ends_at = time.perf_counter() + duration_s
    waiting = takewhile(lambda _: time.perf_counter() < ends_at, enumerate(cycle(sentences)))
    return await _translate(address, model, waiting, clients, beam_width)


async def _translate(
    address: str, model: str, waiting: Iterator[tuple[int, str]], clients: int, beam_width: int
) -> TranslateRun:
    run = TranslateRun()
    async with connections(address, clients) as channels:
        # Without a deserializer a message stays bytes: parsing would load the callers.
        calls = [
            channel.unary_stream(PATH, request_serializer=TranslateRequest.SerializeToString)
            for channel in channels
        ]
        began = time.perf_counter()
        await asyncio.gather(
            *(
                _client(calls[n % len(calls)], model, beam_width, waiting, run)
                for n in range(clients)
            )
        )
        run.took_s = time.perf_counter() - began
    return run


async def _client(
    call: grpc.aio.UnaryStreamMultiCallable,
    model: str,
    beam_width: int,
    waiting: Iterator[tuple[int, str]],
    run: TranslateRun,
) -> None:
    for index, sentence in waiting:
        request = TranslateRequest(model=model)
        request.sources.add(text=sentence)
        request.options.beam_width = beam_width
        began, first_s, last = time.perf_counter(), 0.0, b""
        async for message in call(request, timeout=TIMEOUT_S):
            first_s = first_s or time.perf_counter() - began
            last = message
        run.first_s.append(first_s)
        run.whole_s.append(time.perf_counter() - began)
        run.texts[index] = TranslateResponse.FromString(last).updates[-1].hypotheses[0].text
