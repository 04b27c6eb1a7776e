"""The running batch: which rows step together, and where their numbers live.

Shapes: N rows in this step, M rows that choose, V vocabulary, S source length.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.beam import Attention
from stepwire_server.decoding.filters import Logits, Tokens
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.device import appended, taken
from stepwire_server.engine.job import Job, Kind, Row, SavedRow
from stepwire_server.engine.layout import Layout
from stepwire_server.engine.slots import Slots, State
from stepwire_server.engine.sources import Arrays, SourceBoard, View
from stepwire_server.engine.standing import Standing
from stepwire_server.engine.unsent import Unsent
from stepwire_server.engine.visits import Visit


class Stepped(NamedTuple):
    """What one run of the cell gave."""

    logits: Logits  # [N, V]; of a model that has none the values that it predicts, flat
    states: State  # [N, *] each
    extras: Arrays = {}  # noqa: RUF012  # [N, *] each, by role, as asked for; never written to

    @property
    def attention(self) -> Attention | None:
        """[N, S], if it was asked for."""
        return self.extras.get("attention")

    def part(self, rows: slice) -> "Stepped":
        """What it gave some of the rows; nothing is copied."""
        return Stepped(
            self.logits[rows],
            taken(self.states, np.arange(len(self.logits))[rows]),
            {role: value[rows] for role, value in self.extras.items()},
        )


class StepModel(Protocol):
    """One step of a recurrent model."""

    start: State  # of a row that begins from nothing, [*] for each name
    blank: NDArray[
        Any
    ]  # what a row reads in a step, as zeros: a token [], features [F], a word [W]

    def step(
        self,
        inputs: NDArray[Any],
        states: State,
        view: View | None = None,
        wanted: frozenset[str] = frozenset(),
    ) -> Stepped:
        """Runs one step.

        Args:
            inputs: [N, *], of the shape and type of `blank`.
            states: [N, *] each.
            view: what the rows look at.
            wanted: roles of the outputs to give beside the logits.
        """
        ...


Placed = tuple[Row, int]  # a row, and the row of the step whose logits it makes use of


class Plain(NamedTuple):
    """Rows that choose by themselves, and of which nothing is asked but their tokens."""

    rows: list[Row]  # [M]
    slots: Slots  # [M]
    places: NDArray[np.int64]  # [M], the row of the step whose logits each makes use of


NOBODY = Plain([], np.empty(0, np.int64), np.empty(0, np.int64))


class Turn(NamedTuple):
    """Which rows make use of a step's logits, and how. Its lists are shared: change none."""

    drawing: list[Placed]  # those that choose by themselves, and tell more than a token
    searching: list[Placed]  # those of searches, each search complete
    scoring: list[Placed]  # those that only want to know how likely their prompt is
    stepping: list[Placed]  # those of sessions, which want to know what each input gives
    begun: list[Row]  # those that choose for the first time
    tokens_read: int
    plain: Plain = NOBODY

    @classmethod
    def of(cls, choosing: list[Placed]) -> "Turn":
        """A turn in which rows choose and none reads; none of them is taken for plain."""
        turn = cls([], [], [], [], [], 0)
        for row, place in choosing:
            searches = row.job.kind is Kind.SEARCH
            (turn.searching if searches else turn.drawing).append((row, place))
        return turn


class RunningBatch:
    """Rows with a slot. Their state, options and next input are arrays by slot."""

    def __init__(
        self, model: StepModel, sampler: Sampler, capacity: int, end: int | None = None
    ) -> None:
        """Makes room for rows.

        Args:
            model: whose steps they take.
            sampler: that chooses for them.
            capacity: rows at once.
            end: the token that ends a sequence, if the model has one.
        """
        self._model = model
        self._sampler = sampler
        self._end = end
        self._unsent = Unsent(capacity, end)
        self._plain = NOBODY  # whose tokens are kept there
        self._standing = Standing(capacity, model.start)
        self.layout = Layout.like(model.start)
        self._start = self.layout.pack(model.start)
        self._sources = SourceBoard(capacity)
        # The next token, or the next features or word, that each row reads.
        self._inputs = np.repeat(model.blank[None], capacity, axis=0)
        self._by_slot: dict[int, Row] = {}
        self._rows: list[Row] = []  # the same in the order of their slots, once arranged
        self._slots = np.empty(0, np.int64)
        self._reading: set[Row] = set()  # those that still read their prompt
        self._readers: list[Placed] = []  # the same in the order of the rows
        self._wanted: frozenset[str] = frozenset()  # by any row, beside the logits
        self._steady: Turn | None = None  # the turn of those rows that do not read
        self.saves = False  # whether any row wants to be saved now and then
        self.due: list[Row] = []  # those that the last step took to where their state is kept
        self._bringing: dict[int, bytes] = {}  # states that go into slots, all at once
        self._arranged = True

    def __len__(self) -> int:
        """Rows that take the next step, N."""
        return len(self._rows)

    @property
    def jobs(self) -> list[Job]:
        """The jobs whose rows are here."""
        return list(dict.fromkeys(row.job for row in self._by_slot.values()))

    def enter(self, rows: Sequence[Row]) -> None:
        """Gives rows their slots, with the states that they bring or with fresh ones."""
        for row in rows:
            source = row.job.source
            if row.packed:
                row.slot = self._standing.take()
                self._bringing[row.slot] = row.packed
                row.packed = b""
            else:
                row.slot = self._standing.enter(row.parked or (source.start if source else None))
                row.parked = None
            self._settle(row)

    def leave(self, rows: Sequence[Row]) -> None:
        """Takes the slots of rows, if they have any; their states are forgotten."""
        for row in [row for row in rows if row.slot >= 0]:
            del self._by_slot[row.slot]
            self._reading.discard(row)
            if row.job.source:
                self._sources.leave(row.slot)
            self._standing.leave(row.slot)
            self._bringing.pop(row.slot, None)
            self._unsent.take(row.slot)
            row.slot = -1
            self._arranged = False

    def put_aside(self, row: Row) -> None:
        """Takes a row's slot, if it has one, and leaves the state with the row."""
        if row.slot >= 0:
            row.parked = self._standing.read(row.slot)
            self.leave([row])

    def arrange(self) -> bool:
        """Makes room if rows came or went, and says whether; call it before `step`."""
        if self._arranged:
            return False
        if self._bringing:
            states = self.layout.unpack_rows(list(self._bringing.values()))
            self._standing.write(np.array(list(self._bringing)), states)
            self._bringing = {}
        self._rows = [self._by_slot[slot] for slot in sorted(self._by_slot)]
        self._slots = slots_of(self._rows)
        self._wanted = frozenset().union(*(row.job.wanted for row in self._rows))
        self.saves = any(row.job.save_every for row in self._rows)
        if any(row.options.attends for row in self._rows):
            self._wanted |= {"attention"}
        self._steady, self._readers = None, []
        if self._rows and self._rows[0].job.source:
            self._sources.arrange(self._slots)
        self._arranged = True
        return True

    def step(self, visits: Sequence[Visit] = ()) -> tuple[Stepped, Stepped | None]:
        """Runs the model once over all rows, and over those of visits beside them.

        Returns:
            What it gave the rows, if there are any, and what it gave the visits.
        """
        if not visits:
            states = self._standing.together(self._slots)
            inputs = self._inputs[self._slots]
            stepped = self._model.step(inputs, states, self._sources.view, self._wanted)
            self._standing.follow(self._slots, stepped.states)
            return stepped, None
        count = len(self._slots)
        both = self._step_with(visits)
        if not count:
            return both, both
        stepped = both.part(slice(0, count))
        self._standing.follow(self._slots, stepped.states)
        return stepped, both.part(slice(count, None))

    def _step_with(self, visits: Sequence[Visit]) -> Stepped:
        """Runs the model once, the rows first."""
        wanted = self._wanted.union(*{visit.wanted for visit in visits})
        states = self.layout.unpack_rows([visit.packed or self._start for visit in visits])
        inputs = np.array([visit.reads for visit in visits], self._inputs.dtype)
        if len(self._slots):
            states = appended(self._standing.together(self._slots), states)
            inputs = np.concatenate([self._inputs[self._slots], inputs])
        return self._model.step(inputs, states, None, wanted)

    def read_on(self) -> Turn:
        """Moves the rows that read a prompt, and finds the rows that choose now.

        A row that has just read its prompt is joined by one more for each further sample or
        hypothesis.
        """
        steady = self._steady or self._settled_turn()
        if not self._readers:
            return steady
        choosing: list[Placed] = []
        scoring: list[Placed] = []
        stepping: list[Placed] = []
        begun: list[Row] = []
        tokens_read = 0
        for row, index in self._readers:
            tokens_read += 1
            siblings = self._read_token(row)
            begun += siblings
            if row.job.kind is Kind.SCORE:
                scoring.append((row, index))
            elif row.job.kind is Kind.STEP and (row.job.every_step or not row.reading):
                stepping.append((row, index))
            choosing += [(sibling, index) for sibling in siblings]
        if len(self._reading) < len(self._readers):
            self._steady = None  # some will write from now on
        turn = Turn.of(choosing)
        return Turn(
            [*steady.drawing, *turn.drawing],
            # The same list as long as the same rows are in it: a search looks at that.
            [*steady.searching, *turn.searching] if turn.searching else steady.searching,
            scoring,
            stepping,
            begun,
            tokens_read,
            steady.plain,
        )

    def _settled_turn(self) -> Turn:
        """Finds out who reads, and what the others do until somebody comes or goes."""
        self._readers = [(row, n) for n, row in enumerate(self._rows) if row.reading]
        others = [(row, n) for n, row in enumerate(self._rows) if not row.reading]
        plain = [placed for placed in others if placed[0].is_plain]
        rows = [row for row, _ in plain]
        self._steady = Turn.of([placed for placed in others if not placed[0].is_plain])._replace(
            plain=Plain(rows, slots_of(rows), np.array([n for _, n in plain], np.int64))
        )
        self._settle_plain(self._steady.plain)
        return self._steady

    def _settle_plain(self, plain: Plain) -> None:
        """Says which rows choose together from now on."""
        waiting = self._unsent.waiting
        left = [
            row.options.max_tokens - len(row.generated) - waiting(row.slot) for row in plain.rows
        ]
        self._unsent.settle(plain.slots, np.array(left, np.int64))
        self._plain = plain

    def draw(self, plain: Plain, logits: Logits) -> tuple[Tokens, list[Row]]:
        """Chooses the next token of plain rows with logits [M, V], and keeps it until it is told.

        Returns:
            The tokens [M], and the rows that have ended with theirs.
        """
        if plain is not self._plain:
            self._settle_plain(plain)
        tokens = self._sampler.choose(logits, plain.slots)
        self._inputs[plain.slots] = tokens
        return tokens, [plain.rows[place] for place in self._unsent.add(tokens)]

    @property
    def must_tell(self) -> bool:
        """Whether tokens have to be told before the next step."""
        return self._unsent.is_full

    def unsent_of(self, row: Row) -> tuple[list[int], bool]:
        """Tokens of a row that has ended and nobody was told of, and whether it was by the end."""
        tokens = self._unsent.take(row.slot)
        by_end = tokens[-1] == self._end
        row.generated += tokens[:-1] if by_end else tokens
        return tokens[:-1] if by_end else tokens, by_end

    def unsent(self) -> list[tuple[Row, list[int]]]:
        """Tokens of all rows that nobody was told of; they are told now."""
        told = [(self._by_slot[slot], tokens) for slot, tokens in self._unsent.take_all()]
        for row, tokens in told:
            row.generated += tokens
        return told

    def choose(self, rows: list[Row], logits: Logits) -> Tokens:
        """Chooses the next token, and so the next input, of rows with logits [M, V]."""
        slots = self._slots if rows is self._rows else slots_of(rows)
        tokens = self._sampler.choose(logits, slots)
        self._inputs[slots] = tokens
        return tokens

    def edit(self, slots: Slots, logits: Logits) -> Logits:
        """Applies the options of the rows in some slots to their logits [M, V]."""
        return self._sampler.edit(logits, slots)

    def go_on(self, rows: list[Row], parents: NDArray[np.int64], tokens: Tokens) -> None:
        """Lets each row go on from a sibling, or from itself, with a chosen token.

        Args:
            rows: [M].
            parents: [M], places in `rows`.
            tokens: [M].
        """
        slots = slots_of(rows)
        origins = slots[parents]
        self._inputs[slots] = tokens
        moved = slots != origins
        if moved.any():
            self._standing.move(slots[moved], origins[moved])
        if self._sampler.looks_back(slots):
            pasts = [[*rows[parent].generated] for parent in parents.tolist()]
            for row, past, token in zip(rows, pasts, tokens.tolist(), strict=True):
                row.generated = [*past, token]
            self._sampler.reorder(slots, origins, rows)

    def save(self, rows: Sequence[Row]) -> list[SavedRow]:
        """Copies rows as they stand behind the choice of a token."""
        return [
            SavedRow(row.sample, tuple(row.generated), packed)
            for row, packed in zip(rows, self.pack(rows), strict=True)
        ]

    def pack(self, rows: Sequence[Row]) -> list[bytes]:
        """Copies the states of rows as the last step left them."""
        states = self._standing.gather(slots_of(rows))
        return [packed.tobytes() for packed in self.layout.pack_rows(states)]

    def _settle(self, row: Row) -> None:
        """Lets a row that has a slot and a state take part."""
        self._by_slot[row.slot] = row
        self._arranged = False
        if row.job.source:
            self._sources.enter(row.slot, row.job.source, id(row.job), row.sample)
        if row.reading:
            self._reading.add(row)
        self._inputs[row.slot] = row.next_input
        if row.job.kind is not Kind.STEP:  # nothing is chosen there
            self._sampler.place(row.slot, row)

    def _read_token(self, row: Row) -> list[Row]:
        """Moves a row one token on in its prompt; returns the rows that may choose now."""
        row.position += 1
        if row.position == row.keep_at:
            self.due.append(row)
        if row.reading:
            self._inputs[row.slot] = row.next_input
            return []
        self._reading.remove(row)
        if row.job.kind is Kind.STEP:
            return []
        twins = [Row(row.job, sample, row.position) for sample in range(1, row.job.samples)]
        for twin in twins:
            twin.slot = self._standing.twin(row.slot)
            self._settle(twin)
        row.job.rows += twins
        return list(row.job.rows)


def slots_of(rows: Sequence[Row]) -> Slots:
    """Where rows live, [M]."""
    return np.fromiter((row.slot for row in rows), np.int64, len(rows))
