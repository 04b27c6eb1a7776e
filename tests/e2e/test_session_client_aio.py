"""The asynchronous client's sessions give what the synchronous ones give."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import grpc
import pytest

import stepwire

OUTPUTS = stepwire.Outputs(logits=True, every_step=True)


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}", caller="me") as client:
        yield client


async def test_both_clients_give_the_same(app, client):
    def by_the_other():
        with stepwire.Client(f"127.0.0.1:{app.grpc_port}") as other, other.session("tiny") as one:
            return [one.step(chunk, outputs=OUTPUTS) for chunk in ("ab", "c", [3, 4])]

    async with client.session("tiny") as session:
        found = [await session.step(chunk, outputs=OUTPUTS) for chunk in ("ab", "c", [3, 4])]
        assert (session.model, session.next_step) == ("tiny", 5)
    assert found == await asyncio.to_thread(by_the_other)


async def test_sessions_are_copied_rolled_back_and_carried_away(client):
    options = stepwire.SessionOptions(max_snapshots=1)
    async with client.session("tiny", options=options) as session:
        await session.step("ab")
        kept = await session.step("c", snapshot=True, outputs=OUTPUTS)
        await session.roll_back(2)
        assert await session.step("c", outputs=OUTPUTS) == kept
        forked = await session.fork()
        token = await session.export()
        ours = await session.step("d", outputs=OUTPUTS)
        assert await forked.step("d", outputs=OUTPUTS) == ours
        listed = {info.id for info in await client.sessions()}
        assert listed == {session.id, forked.id}
        await forked.close()
    async with client.session(state_token=token) as resumed:
        assert await resumed.step("d", outputs=OUTPUTS) == ours


async def test_many_sessions_step_side_by_side(client):
    async def drive(number):
        async with client.session("tiny") as session:
            chunks = [[number, step] for step in range(10)]
            return [await session.step(chunk, outputs=OUTPUTS) for chunk in chunks]

    together = await asyncio.gather(*(drive(number) for number in range(12)))
    for number in (0, 5, 11):
        assert await drive(number) == together[number]


async def test_a_session_ended_by_the_server_is_opened_again(app, client):
    async with client.session("tiny") as session:
        first = await session.step("ab", outputs=OUTPUTS)
        for held in app.desk.of_owner(next(iter(app.desk._table._of_owner))):
            app.desk._table.close(held)
        second = await session.step("c", outputs=OUTPUTS)
    async with client.session("tiny") as quiet:
        assert await quiet.step("ab", outputs=OUTPUTS) == first
        assert await quiet.step("c", outputs=OUTPUTS) == second


async def test_a_refusal_leaves_the_session_as_it_was(client):
    async with client.session("tiny") as session:
        await session.step("ab")
        with pytest.raises(stepwire.InvalidRequest):
            await session.step([10**6])
        assert session.next_step == 2
        assert (await session.step("c")).first_step == 2
    with pytest.raises(stepwire.Cancelled):
        await session.step("d")


class _BrokenCall:
    """A call of Step that is ended when the first inputs are written."""

    def __init__(self, call, code=grpc.StatusCode.INTERNAL):
        self._call, self._code, self._left = call, code, 1
        self.read, self.cancel = call.read, call.cancel

    async def write(self, request):
        if not self._left:
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(self._code, nothing, nothing, "Internal error from Core")
        self._left -= 1
        await self._call.write(request)


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED])
async def test_a_connection_that_breaks_as_a_step_is_written_is_not_noticed(client, code):
    async with client.session("tiny") as quiet:
        wanted = await quiet.step("ab", outputs=OUTPUTS)
    session = client.session("tiny")
    real, begun = session._calls, []

    def step():
        begun.append(real.step() if begun else _BrokenCall(real.step(), code))
        return begun[-1]

    session._calls = replace(real, step=step)
    async with session:
        assert await session.step("ab", outputs=OUTPUTS) == wanted
    assert len(begun) == 2


class _SilentCall(_BrokenCall):
    """A call of Step that finds no server."""

    async def write(self, request):
        await asyncio.Event().wait()


async def test_a_task_that_loses_patience_while_it_attaches_attaches_again(client):
    session = client.session("tiny")
    real, begun = session._calls, []

    def step():
        begun.append(real.step() if begun else _SilentCall(real.step()))
        return begun[-1]

    session._calls = replace(real, step=step)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await session.step("ab")
    async with asyncio.timeout(20), session:
        assert (await session.step("ab")).first_step == 0


async def test_a_task_that_loses_patience_leaves_the_session_as_it_was(client):
    chunks = ["abcdef" * 20, "c", "d", [3, 4], "e" * 50]
    async with client.session("tiny") as quiet:
        wanted = [await quiet.step(chunk, outputs=OUTPUTS) for chunk in chunks]
    async with client.session("tiny") as session:
        for chunk, there in zip(chunks, wanted, strict=True):
            for patience_s in (0.0, 0.0005, 0.001, 0.002):
                try:
                    async with asyncio.timeout(patience_s):
                        found = await session.step(chunk, outputs=OUTPUTS)
                    break
                except TimeoutError:
                    continue
            else:
                found = await session.step(chunk, outputs=OUTPUTS)
            assert (found.first_step, found.outputs) == (there.first_step, there.outputs)


async def test_steps_sent_ahead_give_what_steps_one_by_one_give(client):
    inputs = [[number % 20, 3] for number in range(30)]
    async with client.session("tiny") as session:
        wanted = [await session.step(one, outputs=OUTPUTS) for one in inputs]
    options = stepwire.SessionOptions(window=6)
    async with client.session("tiny", options=options) as session:
        assert [step async for step in session.steps(inputs, outputs=OUTPUTS)] == wanted
    async with client.session("tiny", options=options) as session:
        async with aclosing(session.steps(inputs, outputs=OUTPUTS)) as steps:
            assert await anext(steps) == wanted[0]
            with pytest.raises(RuntimeError, match="read on, or close it"):
                await session.step([1])
        taken = session.next_step // 2
        assert (await session.step(inputs[taken], outputs=OUTPUTS)) == wanted[taken]
