"""Live sessions: each sends a step, waits for its answer, and sends the next."""

import asyncio
import time
from dataclasses import dataclass, field

import grpc

from benchmarks.ledger import percentile
from benchmarks.load.channels import connections
from stepwire.v1 import sessions_pb2, streaming_pb2

OPEN = "/stepwire.v1.SessionService/OpenSession"
STEP = "/stepwire.v1.StreamingService/Step"
TIMEOUT_S = 300.0
TOKENS = 20  # ids that every generator has


@dataclass
class StepRun:
    """What one measured run gave."""

    took_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    def values(self) -> dict[str, float]:
        """The figures of this run."""
        return {
            "steps_per_s": len(self.latencies_s) / self.took_s,
            "step_p50_ms": 1e3 * percentile(self.latencies_s, 50),
            "step_p99_ms": 1e3 * percentile(self.latencies_s, 99),
        }


async def step_for(address: str, model: str, *, sessions: int, duration_s: float) -> StepRun:
    """Steps so many sessions side by side, a token a step, until the time is up."""
    run = StepRun()
    async with connections(address, sessions) as channels:
        lives = [_Live(channels[n % len(channels)]) for n in range(sessions)]
        await asyncio.gather(*(live.begin(model) for live in lives))
        began = time.perf_counter()
        ends_at = began + duration_s
        await asyncio.gather(*(live.step_until(ends_at, run.latencies_s) for live in lives))
        run.took_s = time.perf_counter() - began
        for live in lives:
            live.end()
    return run


async def open_many(address: str, model: str, count: int) -> list[str]:
    """Opens sessions and leaves them alone; gives their ids.

    They go on from a token: memory that only ever held zeros may cost nothing.
    """
    async with connections(address, 8) as channels:
        first = _Live(channels[0])
        await first.begin(model)
        request = sessions_pb2.OpenSessionRequest(state_token=await first.token())
        first.end()
        calls = [_opening(channel) for channel in channels]
        ids: list[str] = []

        async def some(call: grpc.aio.UnaryUnaryMultiCallable, share: int) -> None:
            for _ in range(share):
                ids.append((await call(request, timeout=TIMEOUT_S)).session.id)

        workers = 32
        shares = [count // workers + (n < count % workers) for n in range(workers)]
        await asyncio.gather(*(some(calls[n % 8], share) for n, share in enumerate(shares)))
    return ids


async def wake(address: str, ids: list[str]) -> list[float]:
    """Steps idle sessions one after the other; gives the seconds from sending to the answer."""
    taken_s = []
    async with connections(address, 1) as (channel,):
        live = _Live(channel)
        for session_id in ids:
            await live.attach(session_id)
            began = time.perf_counter()
            await live.step()
            taken_s.append(time.perf_counter() - began)
        live.end()
    return taken_s


class _Live:
    """One session and its stream."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._open = _opening(channel)
        # Without a deserializer a message stays bytes: parsing would load the callers.
        self._call = channel.stream_stream(
            STEP, request_serializer=streaming_pb2.StepRequest.SerializeToString
        )(timeout=TIMEOUT_S)
        self._request = streaming_pb2.StepRequest()
        self._next = 0

    async def begin(self, model: str) -> None:
        """Opens a session, and takes a first step."""
        opened = await self._open(sessions_pb2.OpenSessionRequest(model=model), timeout=TIMEOUT_S)
        await self.attach(opened.session.id)
        await self.step()

    async def attach(self, session_id: str) -> None:
        """Takes over a session."""
        self._request = streaming_pb2.StepRequest(
            session_id=session_id, attach=streaming_pb2.Attach()
        )
        answer = streaming_pb2.StepResponse.FromString(await self._exchange())
        self._next = answer.attached.next_step
        self._request.inputs.epoch = answer.attached.epoch

    async def step(self) -> None:
        """Takes one step."""
        inputs = self._request.inputs
        inputs.first_step = self._next
        del inputs.tokens.ids[:]
        inputs.tokens.ids.append(self._next % TOKENS)
        await self._exchange()
        self._next += 1

    async def token(self) -> bytes:
        """Takes one step, and gives a state token of what comes after it."""
        self._request.inputs.export_state = True
        self._request.inputs.first_step = self._next
        answer = streaming_pb2.StepResponse.FromString(await self._exchange())
        return answer.taken.state_token

    async def step_until(self, ends_at: float, latencies_s: list[float]) -> None:
        """Takes one step after the other."""
        while (began := time.perf_counter()) < ends_at:
            await self.step()
            latencies_s.append(time.perf_counter() - began)

    def end(self) -> None:
        """Leaves the session."""
        self._call.cancel()

    async def _exchange(self) -> bytes:
        await self._call.write(self._request)
        answer = await self._call.read()
        if not isinstance(answer, bytes):
            raise RuntimeError(f"the stream ended: {await self._call.code()}")
        return answer


def _opening(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryMultiCallable:
    return channel.unary_unary(
        OPEN,
        request_serializer=sessions_pb2.OpenSessionRequest.SerializeToString,
        response_deserializer=sessions_pb2.OpenSessionResponse.FromString,
    )
