"""The step graph of a translator as named tensors: each sequence looks at a source.

A sequence begins with its source; what is kept of it is the source's tokens in front of the state,
and it is encoded again where it is no longer at hand.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from stepwire_server.engine.job import Job
from stepwire_server.engine.sources import Source
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.signature import TEXT, TensorSpec
from stepwire_server.registry.stepping import Sources, Steps
from stepwire_server.registry.tensors.background import in_background, text_of
from stepwire_server.registry.tensors.steps import StepTensors

SOURCE = "source"
_COUNT = struct.Struct("<I")


@dataclass(frozen=True)
class _Kept:
    """What is kept of one row between two requests."""

    source: tuple[int, ...]
    packed: bytes  # empty: the start that the source gives

    def write(self) -> bytes:
        head = struct.pack(f"<I{len(self.source)}I", len(self.source), *self.source)
        return head + self.packed

    @classmethod
    def read(cls, data: bytes) -> "_Kept":
        [count] = _COUNT.unpack_from(data)
        source = struct.unpack_from(f"<{count}I", data, _COUNT.size)
        return cls(source, data[_COUNT.size * (count + 1) :])


class AttendingTensors:
    """Steps of a translator: START brings the source, later requests bring tokens alone."""

    def __init__(self, steps: StepTensors, sources: Sources) -> None:
        """Makes a model.

        Args:
            steps: the graph itself.
            sources: reads and encodes.
        """
        self._steps = steps
        self._sources = sources
        source = TensorSpec(name=SOURCE, dtype=TEXT, shape=(-1, 1), optional=True)
        plain = steps.signature
        self.signature = replace(plain, inputs=(*plain.inputs, source))

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the steps of a request; raises as `AnsweringModel.begin`."""
        self._steps.check(asked)
        began: list[Steps] = []
        cancel = in_background(self._begin(asked, done, failed, began), failed)

        def leave() -> None:
            cancel()
            for steps in began:
                steps.cancel()

        return leave

    async def _begin(self, asked: Asked, done: Done, failed: Failed, began: list[Steps]) -> None:
        kept = await self._kept(asked)

        def told(answer: Answer) -> None:
            pairs = zip(kept, answer.states, strict=True)
            states = [_Kept(before.source, packed).write() for before, packed in pairs]
            done(answer._replace(states=states))

        taking = self._steps.taking(asked, told, failed)
        inner = replace(asked, states=[row.packed for row in kept])
        jobs = self._steps.jobs(inner, taking)
        sources = [row.source for row in kept]
        for job, reading in zip(jobs, self._sources.reader.read(sources, None), strict=True):
            steps = Steps(self._steps.gathering)
            began.append(steps)
            steps.wait(reading, partial(_looking, job), partial(taking.fail, job))

    async def _kept(self, asked: Asked) -> list[_Kept]:
        """What each row goes on from, or begins with."""
        given = asked.tensors.get(SOURCE)
        if asked.states is not None:
            if given is not None:
                raise InvalidRequest.of(SOURCE, "come with the START of a sequence", "one later")
            return [_Kept.read(state) for state in asked.states]
        if given is None:
            raise InvalidRequest.of(SOURCE, "come with the START of a sequence", "none")
        texts = [text_of(f"{SOURCE}[{n}]", text) for n, text in enumerate(given.ravel().tolist())]
        read = await self._sources.tokenizer.read_all(SOURCE, texts)
        return [_Kept(_some(n, tokens), b"") for n, tokens in enumerate(read)]


def _looking(job: Job, source: Source) -> Job:
    job.source = source
    return job


def _some(row: int, tokens: Sequence[int]) -> tuple[int, ...]:
    if not tokens:
        raise InvalidRequest.of(f"{SOURCE}[{row}]", "hold at least one token", "none")
    return tuple(tokens)
