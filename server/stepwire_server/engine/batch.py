"""The running batch: which rows step together, and where their numbers live.

Shapes: N rows in this step, M rows that choose, V vocabulary.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.filters import Logits, Tokens
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.job import Row
from stepwire_server.engine.slots import SlotPool, State


class StepModel(Protocol):
    """One step of a recurrent model."""

    start: State  # of a row that begins, [*] for each name

    def step(self, tokens: NDArray[np.int64], state: State) -> tuple[Logits, State]:
        """Takes [N] and [N, *] for each state; returns [N, V] and the next states."""
        ...


class RunningBatch:
    """Rows with a slot. Their state, options and next input are arrays by slot."""

    def __init__(self, model: StepModel, sampler: Sampler, capacity: int) -> None:
        self._model = model
        self._sampler = sampler
        self._pool = SlotPool(capacity, model.start)
        self._inputs = np.zeros(capacity, np.int64)  # next token to read
        self._by_slot: dict[int, Row] = {}
        self._rows: list[Row] = []  # the same in the order of their slots, once arranged
        self._slots = np.empty(0, np.int64)
        self._reading: set[Row] = set()  # those that still read their prompt
        # What the last step gave, while the same rows go on with it: it feeds the next step
        # as it is, and is written into the slots only when rows come or go.
        self._following: State | None = None
        self._arranged = True

    def __len__(self) -> int:
        """Rows that take the next step, N."""
        return len(self._rows)

    def enter(self, row: Row) -> None:
        """Gives a row a slot, with its parked state or with a fresh one."""
        self._settle(row, row.parked)
        row.parked = None

    def leave(self, row: Row) -> None:
        """Takes a row's slot, if it has one; its state is forgotten."""
        if row.slot >= 0:
            self._write_back()
            del self._by_slot[row.slot]
            self._reading.discard(row)
            self._pool.release(row.slot)
            row.slot = -1
            self._arranged = False

    def put_aside(self, row: Row) -> None:
        """Takes a row's slot, if it has one, and leaves the state with the row."""
        if row.slot >= 0:
            self._write_back()
            row.parked = self._pool.read(row.slot)
            self.leave(row)

    def arrange(self) -> bool:
        """Makes room if rows came or went, and says whether; call it before `step`."""
        if self._arranged:
            return False
        self._rows = [self._by_slot[slot] for slot in sorted(self._by_slot)]
        self._slots = _slots_of(self._rows)
        self._arranged = True
        return True

    def step(self) -> Logits:
        """Runs the model once over all rows. Returns [N, V]."""
        state = self._following or self._pool.gather(self._slots)
        logits, self._following = self._model.step(self._inputs[self._slots], state)
        return logits

    def read_on(self, logits: Logits) -> tuple[list[Row], Logits, int]:
        """Moves the rows that read a prompt, and finds the rows that choose now.

        A row that has just read its prompt is joined by one more for each further sample.

        Args:
            logits: [N, V], of the step that was just run.

        Returns:
            The rows that choose, their logits [M, V], and how many prompt tokens were read.
        """
        if not self._reading:
            return self._rows, logits, 0
        rows: list[Row] = []
        parents: list[int] = []  # the row of `logits` that each of `rows` chooses from
        tokens_read = 0
        for index, row in enumerate(self._rows):
            siblings = [row]
            if row.reading:
                tokens_read += 1
                siblings = self._read_token(row)
            rows += siblings
            parents += [index] * len(siblings)
        return rows, logits[parents], tokens_read

    def choose(self, rows: list[Row], logits: Logits) -> Tokens:
        """Chooses the next token, and so the next input, of rows with logits [M, V]."""
        slots = self._slots if rows is self._rows else _slots_of(rows)
        tokens = self._sampler.choose(logits, slots)
        self._inputs[slots] = tokens
        return tokens

    def _write_back(self) -> None:
        if self._following is not None:
            self._pool.scatter(self._slots, self._following)
            self._following = None

    def _settle(self, row: Row, state: State | None) -> None:
        self._write_back()
        row.slot = self._pool.acquire(state)
        self._by_slot[row.slot] = row
        self._arranged = False
        if row.reading:
            self._reading.add(row)
        self._inputs[row.slot] = row.next_input
        self._sampler.place(row.slot, row)

    def _read_token(self, row: Row) -> list[Row]:
        """Moves a row one token on in its prompt; returns the rows that may choose now."""
        row.position += 1
        if row.reading:
            self._inputs[row.slot] = row.next_input
            return []
        self._reading.remove(row)
        twins = [Row(row.job, sample, row.position) for sample in range(1, row.job.samples)]
        self._write_back()
        for twin in twins:
            self._settle(twin, self._pool.read(row.slot))
        row.job.rows += twins
        return list(row.job.rows)


def _slots_of(rows: list[Row]) -> NDArray[np.int64]:
    return np.fromiter((row.slot for row in rows), np.int64, len(rows))
