"""Steps sessions of one model: inputs and a packed state in, outputs and the next one out.

Shapes: n inputs, F features, W numbers of a word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.options import Options
from stepwire_server.engine.given import Given
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.sources import Source
from stepwire_server.engine.visits import Visit
from stepwire_server.errors import InternalError, InvalidRequest, StepwireError
from stepwire_server.registry.gathering import Gathering
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.reading import Reading, SourceReader
from stepwire_server.registry.telling import Teller, Told, Wanted
from stepwire_server.registry.text import Prompt, Tokenizer
from stepwire_server.registry.words import Words
from stepwire_zoo.manifest import Manifest

_READING = Options(max_tokens=1)  # nothing is chosen


@dataclass(frozen=True, kw_only=True)
class Sources:
    """How a translator reads what it looks at."""

    reader: SourceReader
    tokenizer: Tokenizer


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What some steps read: tokens, or features [n, F], or words [n, W] in their place."""

    tokens: Sequence[int] = ()
    features: NDArray[Any] | None = None

    @property
    def count(self) -> int:
        """How many steps they are."""
        return len(self.tokens) if self.features is None else len(self.features)


Done = Callable[[Sequence[Told], bytes], None]  # what is told, and the packed state after it
Failed = Callable[[StepwireError], None]


class Before(NamedTuple):
    """What steps go on from."""

    packed: bytes  # the state; empty: the start that the source gives
    source: tuple[int, ...] = ()  # what a translator looks at
    alone: bool = False  # nobody else is there whose steps could share the run


class Steps:
    """Some steps under way."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._engine = gathering.engine
        self._job: Job | None = None
        self._visit: Visit | None = None
        self._reading: Reading | None = None
        self._cancelled = False

    def wait(self, reading: Reading, begin: Callable[[Source], Job], failed: Failed) -> None:
        """Begins once the source is read."""

        def use(source: Source) -> None:
            if self._cancelled:
                return
            reading.leave()
            try:
                self.start(begin(source))
            except StepwireError as error:
                failed(error)

        self._reading = reading
        reading.then(use, failed)

    def start(self, job: Job) -> None:
        """Begins; raises as `Engine.submit`."""
        self._engine.submit([job])
        self._job = job

    def visit(self, visit: Visit) -> None:
        """Begins a single step."""
        self._visit = visit
        self._gathering.add([visit])

    def visited(self) -> None:
        """Learns that the single step is answered, or will not be."""
        if self._visit:
            self._visit = None
            self._gathering.over(1)

    def cancel(self) -> None:
        """Takes no further step."""
        self._cancelled = True
        if self._visit:
            self._visit.left = True
            self.visited()
        if self._reading:
            self._reading.leave()
        if self._job:
            self._engine.cancel([self._job])


class Stepper:
    """Steps sessions of one model. Lives on the event loop's thread."""

    def __init__(
        self,
        gathering: Gathering,
        spec: Manifest,
        tokenizer: Tokenizer | None,
        origin: Origin,
        sources: Sources | None = None,
        words: Words | None = None,
    ) -> None:
        """Makes a stepper.

        Args:
            gathering: lets single steps wait for each other; its engine steps them all.
            spec: what the model is.
            tokenizer: of a model that reads tokens.
            origin: of the model's states.
            sources: of a model that looks at some while it is stepped.
            words: of a model that reads them with their characters.
        """
        graph = spec.graphs["step"]
        self._gathering = gathering
        self._engine = gathering.engine
        self._spec = spec
        self._tokenizer = tokenizer
        read = {tensor.role: tensor for tensor in graph.inputs}
        self._features = read["features"].shape[0] if "features" in read else 0
        self.origin = origin
        self._sources = sources
        self._words = words
        self._kind = "words, as text" if words else "features"  # read by one that reads no tokens
        self.teller = Teller(spec, tokenizer)

    @property
    def name(self) -> str:
        """Of the model."""
        return self._spec.name

    @property
    def version(self) -> str:
        """Of the model."""
        return self._spec.version

    @property
    def start(self) -> bytes:
        """The packed state before any step: all zeros, or empty where the source gives it."""
        return b"" if self._sources else bytes(self.origin.layout.size_bytes)

    @property
    def most_inputs(self) -> int:
        """Of one message."""
        return self._spec.limits.max_input_tokens

    def hold(self) -> None:
        """Lets steps that begin from now on wait for each other."""
        self._engine.hold()

    def let_go(self) -> None:
        """Takes the steps that have begun meanwhile."""
        self._gathering.go()
        self._engine.let_go()

    async def read_source(self, source: Prompt | None) -> tuple[int, ...]:
        """Turns what a session is to look at into tokens; raises InvalidRequest."""
        if self._sources is None:
            if source is not None:
                raise InvalidRequest.of("source", "not be set: the model looks at none", "one")
            return ()
        if source is None:
            raise InvalidRequest.of("source", "be set: the model looks at one", "none")
        names = ("source_text", "source_tokens")
        [tokens] = await self._sources.tokenizer.read_all("source", [source], names)
        if not tokens:
            raise InvalidRequest.of("source", "hold at least one token", "none")
        return tuple(tokens)

    def source_texts(self, source: Sequence[int]) -> list[str]:
        """The texts of a source's tokens."""
        if self._sources is None:
            return []
        return [self._sources.tokenizer.decode([token]) for token in source]

    async def read_text(self, text: str) -> Inputs:
        """Turns text into inputs; raises InvalidRequest."""
        if self._words is not None:
            return self._checked(Inputs(features=await self._words.encode("inputs.text", text)))
        if self._tokenizer is None:
            raise InvalidRequest.of("inputs.text", "not be set: the model reads features", "text")
        [(tokens, _)] = await self._tokenizer.encode_all(["inputs.text"], [text])
        return self._checked(Inputs(tokens=tokens))

    def read_tokens(self, tokens: Sequence[int]) -> Inputs:
        """Checks tokens; raises InvalidRequest."""
        if self._tokenizer is None:
            allowed = f"not be set: the model reads {self._kind}"
            raise InvalidRequest.of("inputs.tokens", allowed, "some")
        return self._checked(Inputs(tokens=self._tokenizer.check("inputs.tokens.ids", tokens)))

    def read_features(self, values: Sequence[float]) -> Inputs:
        """Checks features, row by row; raises InvalidRequest."""
        name, width = "inputs.features.values", self._features
        if not width:
            kind = self._kind if self._words else "tokens"
            raise InvalidRequest.of(name, f"not be set: the model reads {kind}", len(values))
        if len(values) % width:
            allowed = f"have a multiple of {width} numbers, the features of a step"
            raise InvalidRequest.of(name, allowed, len(values))
        numbers = np.array(values, np.float32)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            place = int(wrong[0])
            raise InvalidRequest.of(f"{name}[{place}]", "be finite", float(numbers[place]))
        return self._checked(Inputs(features=numbers.reshape(-1, width)))

    def _checked(self, inputs: Inputs) -> Inputs:
        if not 0 < inputs.count <= self.most_inputs:
            allowed = f"hold between 1 and {self.most_inputs} steps"
            raise InvalidRequest.of("inputs", allowed, inputs.count)
        return inputs

    def begin(
        self, inputs: Inputs, wanted: Wanted, before: Before, done: Done, failed: Failed
    ) -> Steps:
        """Begins to take steps.

        Args:
            inputs: checked.
            wanted: checked.
            before: what they go on from.
            done: called once they are taken.
            failed: called once they cannot be.

        Raises:
            Overloaded, ShuttingDown: nothing was begun.
        """
        steps = Steps(self._gathering)
        if inputs.count == 1 and self._sources is None:
            self._visit(steps, inputs, wanted, before, (done, failed))
            return steps
        taking = _Taking(self.teller, wanted, done, failed)

        def job(source: Source | None = None) -> Job:
            return Job(
                inputs.tokens or range(inputs.count),
                _READING,
                taking,
                kind=Kind.STEP,
                packed=before.packed,
                wanted=self.teller.roles(wanted),
                features=inputs.features,
                source=source,
            )

        if self._sources is None:
            steps.start(job())
        else:
            [reading] = self._sources.reader.read([before.source], None)
            steps.wait(reading, job, failed)
        return steps

    def _visit(
        self,
        steps: Steps,
        inputs: Inputs,
        wanted: Wanted,
        before: Before,
        told: tuple[Done, Failed],
    ) -> None:
        """Begins a single step, as most messages bring."""
        done, fail = told

        def taken(given: Given, place: int) -> None:
            steps.visited()
            done([self.teller.tell(given, place, wanted)], given.packed(place))

        def failed(error: StepwireError) -> None:
            steps.visited()
            fail(error)

        visit = Visit(
            reads=inputs.tokens[0] if inputs.features is None else inputs.features[0],
            packed=before.packed,
            wanted=self.teller.roles(wanted),
            taken=taken,
            failed=failed,
        )
        if not (before.alone and self._engine.step_here(visit)):
            steps.visit(visit)


class _Taking:
    """Collects what the steps of one message give."""

    def __init__(self, teller: Teller, wanted: Wanted, done: Done, failed: Failed) -> None:
        self._teller = teller
        self._wanted = wanted
        self._done = done
        self._failed = failed
        self._told: list[Told] = []

    def step(self, taken: StepTaken) -> None:
        """Takes what one step gave."""
        try:
            if self._wanted.every_step or taken.last:
                source = taken.row.job.source
                told = self._teller.tell(taken.given, taken.place, self._wanted, source)
                self._told.append(told)
            packed = taken.packed if taken.last else None
        except Exception:
            self._failed(InternalError("the outputs of a step could not be told"))
            raise
        if packed is not None:
            self._done(self._told, packed)

    def fail(self, job: Job, error: StepwireError) -> None:
        """Learns that the steps cannot be taken."""
        del job
        self._failed(error)

    def deliver(self, delivery: Delivery) -> None:
        """Nothing is drawn here."""

    def update(self, update: SearchUpdate) -> None:
        """Nothing is searched for here."""
