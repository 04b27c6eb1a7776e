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


async def step_together_for(
    address: str, model: str, *, sessions: int, streams: int, duration_s: float
) -> StepRun:
    """The same by a caller that looks after many: a stream carries what is ready of its share."""
    run = StepRun()
    async with connections(address, streams) as channels:
        shares = [_Share(channel, sessions // streams) for channel in channels]
        await asyncio.gather(*(share.begin(model) for share in shares))
        began = time.perf_counter()
        ends_at = began + duration_s
        await asyncio.gather(*(share.step_until(ends_at, run.latencies_s) for share in shares))
        run.took_s = time.perf_counter() - began
        for share in shares:
            share.end()
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


class _Share:
    """Some sessions on one stream."""

    def __init__(self, channel: grpc.aio.Channel, count: int) -> None:
        self._open = _opening(channel)
        self._call = channel.stream_stream(
            STEP,
            request_serializer=streaming_pb2.StepRequest.SerializeToString,
            response_deserializer=streaming_pb2.StepResponse.FromString,
        )(timeout=TIMEOUT_S)
        self._count = count
        self._requests: dict[str, streaming_pb2.StepRequest] = {}

    async def begin(self, model: str) -> None:
        """Opens and attaches the sessions."""
        for _ in range(self._count):
            request = sessions_pb2.OpenSessionRequest(model=model)
            opened = await self._open(request, timeout=TIMEOUT_S)
            attach = streaming_pb2.StepRequest(
                session_id=opened.session.id, attach=streaming_pb2.Attach()
            )
            await self._call.write(attach)
            answer = await self._call.read()
            step = streaming_pb2.StepRequest(session_id=opened.session.id)
            step.inputs.epoch = answer.attached.epoch
            step.inputs.tokens.ids.append(0)
            self._requests[opened.session.id] = step

    async def step_until(self, ends_at: float, latencies_s: list[float]) -> None:
        """Sends the next step of every session that was answered, all of them in one message."""
        ready, sent_at = list(self._requests), dict.fromkeys(self._requests, 0.0)
        waiting = 0
        while ready or waiting:
            now = time.perf_counter()
            if now < ends_at and ready:
                await self._send(ready)
                sent_at |= dict.fromkeys(ready, now)
                waiting += len(ready)
            elif not waiting:
                return
            answer = await self._call.read()
            if not isinstance(answer, streaming_pb2.StepResponse):
                raise RuntimeError(f"the stream ended: {await self._call.code()}")
            now = time.perf_counter()
            ready = [answer.session_id, *(each.session_id for each in answer.more)]
            waiting -= len(ready)
            latencies_s += [now - sent_at[session_id] for session_id in ready]
            for session_id in ready:
                inputs = self._requests[session_id].inputs
                inputs.first_step += 1
                inputs.tokens.ids[0] = inputs.first_step % TOKENS

    async def _send(self, ready: list[str]) -> None:
        first, *others = (self._requests[session_id] for session_id in ready)
        message = streaming_pb2.StepRequest()
        message.CopyFrom(first)
        message.more.extend(others)
        await self._call.write(message)

    def end(self) -> None:
        """Leaves the sessions."""
        self._call.cancel()


def _opening(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryMultiCallable:
    return channel.unary_unary(
        OPEN,
        request_serializer=sessions_pb2.OpenSessionRequest.SerializeToString,
        response_deserializer=sessions_pb2.OpenSessionResponse.FromString,
    )
