"""Many callers whose servers are killed at random moments, and what they must never notice.

Each caller walks at random, by a seed of its own: it steps, forks, rolls back, carries its state
away, and loses patience. Beside it walks `Alone`, to which nothing ever happens; every output of
the two must be the same, bit for bit.
"""

import asyncio
import random
import signal
import threading
import time
from collections import Counter

import stepwire
from support.replica import Replica
from support.subjects import told_of

PATIENT = stepwire.Retry(max_attempts=10_000, first_pause_s=0.05, max_pause_s=0.3)
KEPT = 3  # snapshots
TIMEOUT_S = 120.0


class Walk:
    """What one caller does. A generator of actions; the answer to each is sent back in."""

    def __init__(self, subject, seed):
        self.subject = subject
        self.rng = random.Random(seed)
        self.over = threading.Event()
        self.done = Counter()

    def actions(self):
        """Yields the name of an action and what it needs."""
        rng, alone = self.rng, self.subject.alone
        step, state, snapshots = 0, alone.start, {}
        yield "open", {}
        while not self.over.is_set():
            do = rng.choices(("step", "roll_back", "fork", "carry"), (30, 2, 1, 1))[0]
            if do == "step":
                inputs = self.subject.draw(rng)
                wanted, following = alone.run(inputs, state)
                if snapshot := rng.random() < 0.2:
                    snapshots.pop(step, None)
                    snapshots[step] = state
                    snapshots = dict(list(snapshots.items())[-KEPT:])
                impatient_s = rng.uniform(0.0002, 0.01) if rng.random() < 0.05 else None
                given = {"inputs": inputs, "snapshot": snapshot, "impatient_s": impatient_s}
                self._check(step, inputs, wanted, (yield "step", given))
                step, state = step + len(inputs), following
                self.done["steps"] += len(inputs)
            elif do != "roll_back":
                yield do, {}  # and goes on with the copy, or elsewhere
                snapshots.clear()
            elif snapshots:
                step = rng.choice(sorted(snapshots))
                state = snapshots[step]
                snapshots = {each: kept for each, kept in snapshots.items() if each <= step}
                yield do, {"step": step}
            self.done[do] += 1
        yield "close", {}

    def _check(self, step, inputs, wanted, told):
        assert (told.first_step, told.count) == (step, len(inputs)), (told, step, inputs)
        assert len(told.outputs) == len(wanted)
        for number, (ours, theirs) in enumerate(zip(told.outputs, wanted, strict=True), step):
            for name, value in told_of(self.subject, theirs).items():
                assert getattr(ours, name) == value, f"step {number} of {self.subject.name}: {name}"


class _Caller:
    """Does what a walk wants, by `act`; what both clients have in common."""

    def __init__(self, walk, checkpoint_steps):
        self.walk = walk
        self.options = stepwire.SessionOptions(
            max_snapshots=KEPT, checkpoint_steps=checkpoint_steps
        )
        self.session = None
        self.failed = None

    def note(self, before, session):
        """Counts that a session lives elsewhere."""
        if before and session.id != before:
            self.walk.done["resumes"] += 1


class SyncCaller(_Caller):
    """A caller with a thread of its own."""

    def run(self, clients):
        """Walks until it is over."""
        actions, answer = self.walk.actions(), None
        try:
            while True:
                name, given = actions.send(answer)
                answer = getattr(self, name)(clients, **given)
                time.sleep(0.002)
        except StopIteration:
            pass

    def open(self, clients, token=None):
        name = "" if token else self.walk.subject.name
        client = self.walk.rng.choice(clients)
        self.session = client.session(name, state_token=token, options=self.options)

    def step(self, clients, *, inputs, snapshot, impatient_s):
        before = self.session.id
        asked = {"outputs": self.walk.subject.outputs, "snapshot": snapshot}
        if impatient_s is not None:
            try:
                return self.session.step(inputs, timeout_s=impatient_s, **asked)
            except (stepwire.DeadlineExceeded, stepwire.Unavailable):
                self.walk.done["impatience"] += 1
        told = self.session.step(inputs, **asked)
        self.note(before, self.session)
        return told

    def roll_back(self, clients, *, step):
        self.session.roll_back(step)

    def fork(self, clients):
        former, self.session = self.session, self.session.fork()
        former.close()

    def carry(self, clients):
        token = self.session.export()
        self.session.close()
        self.open(clients, token)

    def close(self, clients):
        self.session.close()


class AsyncCaller(_Caller):
    """A caller that is a task among others."""

    async def run(self, clients):
        """Walks until it is over."""
        actions, answer = self.walk.actions(), None
        try:
            while True:
                name, given = actions.send(answer)
                answer = await getattr(self, name)(clients, **given)
                await asyncio.sleep(0.002)
        except StopIteration:
            pass

    async def open(self, clients, token=None):
        name = "" if token else self.walk.subject.name
        client = self.walk.rng.choice(clients)
        self.session = client.session(name, state_token=token, options=self.options)
        await self.session.__aenter__()

    async def step(self, clients, *, inputs, snapshot, impatient_s):
        before = self.session.id
        asked = {"outputs": self.walk.subject.outputs, "snapshot": snapshot}
        if impatient_s is not None:
            try:
                async with asyncio.timeout(impatient_s):
                    return await self.session.step(inputs, **asked)
            except TimeoutError:
                self.walk.done["impatience"] += 1
        told = await self.session.step(inputs, **asked)
        self.note(before, self.session)
        return told

    async def roll_back(self, clients, *, step):
        await self.session.roll_back(step)

    async def fork(self, clients):
        former, self.session = self.session, await self.session.fork()
        await former.close()

    async def carry(self, clients):
        token = await self.session.export()
        await self.session.close()
        await self.open(clients, token)

    async def close(self, clients):
        await self.session.close()


class Chaos:
    """Callers, the replicas that they call, and the hand that kills them."""

    def __init__(self, folder, subjects, *, seed, callers):
        self._rng = random.Random(seed)
        keys = folder / "keys"
        keys.write_text("chaos AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
        self.replicas = [Replica(folder / "zoo", keys) for _ in range(2)]
        self.done = Counter()
        self._walks = [Walk(subjects[n % len(subjects)], f"{seed} {n}") for n in range(callers)]
        self._failures = []

    def run(self, seconds):
        """Kills for so long, then lets everybody finish; raises the first thing that was wrong."""
        try:
            for replica in self.replicas:
                replica.start()
            threads = [threading.Thread(target=t, args=[w], daemon=True) for t, w in self._work()]
            for thread in threads:
                thread.start()
            self._kill(time.monotonic() + seconds)
            for walk in self._walks:
                walk.over.set()
            gives_up_at = time.monotonic() + TIMEOUT_S
            for thread in threads:
                thread.join(max(0.0, gives_up_at - time.monotonic()))
        finally:
            for replica in self.replicas:
                replica.end()
        for walk in self._walks:
            self.done += walk.done
        if self._failures:
            raise self._failures[0]
        assert not any(thread.is_alive() for thread in threads), "a caller hangs"
        self._read_logs()

    def _work(self):
        """Every second walk in a thread of its own, the others together in one."""
        yield from ((self._walk_alone, walk) for walk in self._walks[::2])
        yield (self._walk_together, self._walks[1::2])

    def _kill(self, until):
        """Kills now one, now the other; the callers of a dead one switch, or wait for it."""
        rng = self._rng
        while time.monotonic() < until and not self._failures:
            time.sleep(rng.uniform(0.05, 0.8))
            both = rng.random() < 0.3
            struck = self.replicas if both else [rng.choice(self.replicas)]
            for replica in struck:
                replica.end(signal.SIGTERM if rng.random() < 0.1 else signal.SIGKILL)
                self.done["kills"] += 1
            time.sleep(rng.choice((0.0, 0.0, rng.uniform(0, 0.5))))
            for replica in struck:
                replica.start()

    def _settings(self, number):
        first, second = self.replicas[:: 1 if number % 2 else -1]
        return {
            "target": f"ipv4:{first.address},{second.address}",
            "retry": PATIENT,
            "timeout_s": TIMEOUT_S,
            "channel_options": [("grpc.enable_http_proxy", 0)],
        }

    def _walk_alone(self, walk):
        clients = [stepwire.Client(**self._settings(n), caller=str(id(walk))) for n in range(2)]
        try:
            SyncCaller(walk, walk.rng.choice((0, 5, 64))).run(clients)
        except Exception as error:
            self._failures.append(error)
        finally:
            for client in clients:
                client.close()

    def _walk_together(self, walks):
        async def one(walk, clients):
            try:
                await AsyncCaller(walk, walk.rng.choice((0, 5, 64))).run(clients)
            except Exception as error:
                self._failures.append(error)

        async def everybody():
            async with (
                stepwire.AsyncClient(**self._settings(0), caller="together") as one_way,
                stepwire.AsyncClient(**self._settings(1), caller="together") as other_way,
            ):
                await asyncio.gather(*(one(walk, (one_way, other_way)) for walk in walks))

        asyncio.run(everybody())

    def _read_logs(self):
        """Nothing may have gone wrong unnoticed."""
        for log in (log for replica in self.replicas for log in replica.logs):
            assert '"level": "error"' not in log.read_text(), log.read_text()
