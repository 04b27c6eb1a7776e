"""One request inside the engine, and what it gives its caller."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from stepwire_server.decoding.beam import Attention, BeamSearch, Ledger, Standing
from stepwire_server.decoding.logprobs import TokenLogprobs
from stepwire_server.decoding.options import Options
from stepwire_server.engine.given import Given
from stepwire_server.engine.prefixes import Beginning, Node
from stepwire_server.engine.slots import State
from stepwire_server.engine.sources import Source
from stepwire_server.errors import StepwireError


class FinishReason(enum.Enum):
    """Which rule ended a sequence."""

    END_OF_SEQUENCE = "end of sequence"
    LENGTH = "length"
    STOP = "stop"


class Ended(NamedTuple):
    """Why and when a sequence ended. Times count from the request's arrival."""

    reason: FinishReason
    queue_s: float
    first_token_s: float
    total_s: float


class SavedRow(NamedTuple):
    """One sequence between two steps."""

    sample: int
    generated: tuple[int, ...]
    packed: bytes  # the state before the last of these is read


class SavedSearch(NamedTuple):
    """A beam search between two steps."""

    ledger: Ledger
    rows: tuple[SavedRow, ...]  # [W]


class Delivery(NamedTuple):
    """What a step gave one sequence, or some steps, of which no more is told than the tokens."""

    row: "Row"
    tokens: Sequence[int]  # an end or stop token is not part of the output
    logprobs: TokenLogprobs | None
    ended: Ended | None
    logprob: float = 0.0  # after all options; 0 unless the job is scored
    attention: Attention | None = None  # [S], if asked for
    saved: SavedRow | None = None  # if it is time to save it

    @property
    def job(self) -> "Job":
        """Whose it is."""
        return self.row.job


class SearchUpdate(NamedTuple):
    """How a beam search stands after a step; it replaces the one before it."""

    job: "Job"
    standing: Standing
    ended: Ended | None  # the search is over: its hypotheses are final
    saved: SavedSearch | None = None  # if it is time to save it


class StepTaken(NamedTuple):
    """What one step of a session gave."""

    row: "Row"
    number: int  # among the job's inputs
    given: Given
    place: int  # of the row in what was given
    last: bool  # among the job's inputs

    def output(self, role: str) -> NDArray[Any]:
        """What it gave of one role: logits [V], values, ..."""
        return self.given.outputs[role][self.place]

    @property
    def packed(self) -> bytes:
        """The state after it."""
        return self.given.packed(self.place)


class Sink(Protocol):
    """Where a caller takes its deliveries. Called on the caller's own thread only."""

    def deliver(self, delivery: Delivery) -> None:
        """Takes what one step gave."""
        ...

    def update(self, update: SearchUpdate) -> None:
        """Learns how a search stands."""
        ...

    def step(self, taken: StepTaken) -> None:
        """Takes what one step of a session gave."""
        ...

    def fail(self, job: "Job", error: StepwireError) -> None:
        """Learns that a job will give nothing more."""
        ...


@dataclass(eq=False)
class Row:
    """One sequence of a job."""

    job: "Job"
    sample: int
    position: int = 0  # prompt tokens read
    generated: list[int] = field(default_factory=list)
    slot: int = -1  # -1: it has none
    parked: State | None = None  # its state while it has no slot
    packed: bytes = b""  # the state that it begins with; empty: the model's start
    keep_at: int = 0  # tokens read at which its state is kept for other prompts; 0: nowhere
    keeps: list[Node] = field(default_factory=list)  # where that is, the next place last
    first_token_at: float = 0.0  # of the engine's clock
    options: Options = field(init=False)  # its job's
    prompt: Sequence[int] = field(init=False)  # its job's
    wish: Sequence[int] = field(init=False)  # its job's
    is_plain: bool = field(init=False)  # nothing is asked of it but its tokens

    def __post_init__(self) -> None:
        # Read for each row in each step: an attribute costs less than a way through the job.
        self.options = self.job.options
        self.prompt = self.job.prompt
        self.wish = self.job.wish
        asked = self.job.scored or self.job.save_every or self.wish
        self.is_plain = self.job.kind is Kind.CHOOSE and not asked and self.options.is_plain

    @property
    def reading(self) -> bool:
        """Whether it still reads its prompt."""
        return self.position < len(self.prompt)

    @property
    def next_input(self) -> int | NDArray[Any]:
        """The token, or the features [F] or word [W], that its next step reads."""
        if self.job.features is not None and self.reading:
            return self.job.features[self.position]
        return self.prompt[self.position] if self.reading else self.last_token

    @property
    def last_token(self) -> int:
        """What was generated last; before that, the end of the prompt."""
        return self.generated[-1] if self.generated else self.prompt[-1]

    def ended(self, reason: FinishReason, now: float) -> Ended:
        """Says why and when it ended."""
        return self.job.ended(reason, self.first_token_at, now)

    @property
    def is_due(self) -> bool:
        """Whether it is time to save it."""
        every = self.job.save_every
        return every > 0 and len(self.generated) % every == 0

    def take(self, token: int, end: int | None) -> tuple[int | None, FinishReason | None]:
        """Appends a chosen token; returns it unless it is an end, and why the row ends."""
        options = self.options
        if token == end:
            return None, FinishReason.END_OF_SEQUENCE
        if token in options.stop_token_ids:
            return None, FinishReason.STOP
        self.generated.append(token)
        full = len(self.generated) >= options.max_tokens
        return token, FinishReason.LENGTH if full else None


class Kind(enum.Enum):
    """What a job is for."""

    CHOOSE = "choose"  # goes on by draws, or greedily
    SEARCH = "search"  # goes on by beam search
    SCORE = "score"  # only says how likely its prompt is
    STEP = "step"  # reads inputs, and says what each gives and which state it leaves


@dataclass(eq=False)
class Job:
    """A prompt, how to continue it, and the rows that do.

    F features, W numbers of a word.

    Its first row reads the prompt; then the state is copied to one row for each sample or
    hypothesis.
    """

    prompt: Sequence[int]  # at least one token
    options: Options
    sink: Sink
    samples: int = 1
    index: int = 0  # of the prompt in its request
    deadline: float | None = None  # of the engine's clock; only waiting is bounded by it
    kind: Kind = Kind.CHOOSE
    source: Source | None = None  # what a translator looks at
    packed: bytes = b""  # the state that its first row begins with
    beginning: Beginning | None = None  # of a prompt that may share it with others
    saved: Sequence[SavedRow] = ()  # the rows that it goes on with, its prompt read already
    save_every: int = 0  # tokens after which its rows are saved; 0: never
    wanted: frozenset[str] = frozenset()  # outputs beside the logits, by role
    # Features [len(prompt), F], or words [len(prompt), W]: read instead of the prompt.
    features: NDArray[Any] | None = None
    every_step: bool = True  # of a job that steps: its sink is told of each, or of the last
    wish: Sequence[int] = ()  # how the output should begin, see prefix_bias_beta
    scored: bool = False  # deliveries tell the log-probability of each choice
    arrived_at: float = 0.0
    started_at: float = 0.0
    rows: list[Row] = field(default_factory=list)  # those that have not ended
    engine: int = 0  # which of the model's engines has it
    search: BeamSearch | None = None  # begins with the first choice, or with its ledger
    ledger: Ledger | None = None  # of a search that goes on

    def __post_init__(self) -> None:
        self.rows = [
            Row(self, row.sample, len(self.prompt), list(row.generated), packed=row.packed)
            for row in self.saved
        ] or [Row(self, sample=0, packed=self.packed)]

    @property
    def width(self) -> int:
        """Slots that it may need: reserved as a whole, so that it never stops half way."""
        return self.samples if self.rows and self.rows[0].reading else len(self.rows)

    @property
    def bucket(self) -> int:
        """Padded length of its source: rows of one length step together."""
        return self.source.bucket if self.source else 0

    def ended(self, reason: FinishReason, first_token_at: float, now: float) -> Ended:
        """Says why and when a sequence of it ended."""
        return Ended(
            reason,
            queue_s=self.started_at - self.arrived_at,
            first_token_s=first_token_at - self.arrived_at,
            total_s=now - self.arrived_at,
        )
