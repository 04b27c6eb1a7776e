"""Streams that run while their model is loaded again and again, and must not notice.

Half of them generate with a seed: the text must be what the same seed gave when nothing else
ran. Half of them step sessions: every logit must be that of the graph run alone.
"""

import asyncio
import random
import time
from collections import Counter

import stepwire
from support.alone import Alone

ONCE = stepwire.Retry(max_attempts=1)  # a call that fails must not be made good by another
SEEDS = 16
TEXT_TOKENS = 60
SESSION_STEPS = 40
TIMEOUT_S = 300.0


class Reloading:
    """A model, its callers, and who loads it again."""

    def __init__(self, target, folder, *, told=lambda reloads: None):
        """Makes one.

        Args:
            target: a server that loads by request.
            folder: of the bundle that it serves, which stays as it is.
            told: called after every reload with how many there were.
        """
        self._target = target
        self._name = folder.parent.name
        self._alone = Alone(folder)
        self._told = told
        self._over = asyncio.Event()
        self._texts = {}
        self.done = Counter()
        self.reloads = 0
        self.load_seconds = []

    async def run(self, *, streams, reloads):
        """Reloads so often while so many streams run; raises the first thing that was wrong."""
        settings = {
            "retry": ONCE,
            "timeout_s": TIMEOUT_S,
            "channel_options": [("grpc.enable_http_proxy", 0)],
        }
        async with stepwire.AsyncClient(self._target, **settings) as client:
            for seed in range(SEEDS):
                self._texts[seed] = await self._text(client, seed)
            assert len(set(self._texts.values())) > 1
            kinds = (self._generate, self._step)
            async with asyncio.TaskGroup() as group:
                for number in range(streams):
                    group.create_task(kinds[number % 2](client, number))
                group.create_task(self._reload(client, reloads))

    async def _reload(self, client, reloads):
        try:
            for _ in range(reloads):
                began = time.monotonic()
                await client.load_model(self._name)
                self.load_seconds.append(time.monotonic() - began)
                self.reloads += 1
                self._told(self.reloads)
        finally:
            self._over.set()

    async def _text(self, client, seed):
        options = stepwire.DecodingOptions(max_tokens=TEXT_TOKENS, temperature=1.0, seed=seed)
        return "".join([text async for text in client.generate(self._name, "a", options=options)])

    async def _generate(self, client, number):
        rng = random.Random(number)
        while not self._over.is_set():
            seed = rng.randrange(SEEDS)
            text = await self._text(client, seed)
            assert text == self._texts[seed], (seed, text, self._texts[seed])
            self.done["texts"] += 1

    async def _step(self, client, number):
        """Sessions one after the other; every second one follows the reloads."""
        rng = random.Random(number)
        outputs = stepwire.Outputs(logits=True)
        while not self._over.is_set():
            options = stepwire.SessionOptions(checkpoint_steps=0, follow_reloads=rng.random() < 0.5)
            async with client.session(self._name, options=options) as session:
                state, began_as = None, session.id
                for _ in range(SESSION_STEPS):
                    token = rng.randrange(20)
                    [wanted], state = self._alone.run([token], state)
                    told = await session.step([token], outputs=outputs)
                    assert list(told.last.logits) == wanted["logits"], (number, session.next_step)
                    assert session.id == began_as, "the session was lost"
                    self.done["steps"] += 1
