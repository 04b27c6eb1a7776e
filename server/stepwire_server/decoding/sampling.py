"""What every row's options do to its logits, and the choice of greedy and sampled rows.

The settings of a row live in the slot that its state lives in, so that one step chooses
for all rows with a handful of array operations, whatever mix of options they brought.
Shapes: C slots, N rows in this step, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding import filters
from stepwire_server.decoding.filters import Logits, Tokens
from stepwire_server.decoding.options import Options
from stepwire_server.decoding.philox import Draws

Slots = NDArray[np.int64]


class SampledRow(Protocol):
    """A row that takes a slot, at its beginning or coming back from being parked."""

    @property
    def options(self) -> Options:
        """How its tokens are chosen."""
        ...

    @property
    def sample(self) -> int:
        """Which of the request's samples it is."""
        ...

    @property
    def prompt(self) -> Sequence[int]:
        """What it reads first."""
        ...

    @property
    def generated(self) -> Sequence[int]:
        """What was chosen so far; its owner appends to it after each step."""
        ...

    @property
    def wish(self) -> Sequence[int]:
        """How it should begin, where prefix_bias_beta makes that a wish."""
        ...


class Sampler:
    """Chooses the next token of every row."""

    def __init__(
        self,
        capacity: int,
        vocabulary_size: int,
        *,
        end: int | None,
        suppressed: tuple[int, ...],
        unknown: int | None = None,
    ) -> None:
        self._suppressed = suppressed
        self._end = end
        self._unknown = unknown
        self._keeps_unknown = np.zeros(capacity, np.bool_)  # rows that replace it
        self._draws = Draws(capacity)
        self._temperature = np.zeros(capacity)
        self._top_k = np.zeros(capacity, np.int64)
        self._top_p = np.ones(capacity)
        self._min_p = np.zeros(capacity)
        self._cuts = np.zeros(capacity, np.bool_)  # rows that draw from some tokens only
        self._edits: dict[int, _Edits] = {}  # of the rows that need a look of their own
        self._history = _History(capacity, vocabulary_size)
        self._forget_plan()

    def place(self, slot: int, row: SampledRow) -> None:
        """Settles a row's options in its slot."""
        self._forget_plan()
        options = row.options
        if options.temperature > 0:
            self._draws.place(slot, options.seed, row.sample, len(row.generated))
        self._temperature[slot] = options.temperature
        self._top_k[slot] = options.top_k
        self._top_p[slot] = options.top_p
        self._min_p[slot] = options.min_p
        self._cuts[slot] = options.top_k > 0 or options.top_p < 1 or options.min_p > 0
        self._keeps_unknown[slot] = options.replace_unknowns
        self._edits.pop(slot, None)
        if _Edits.are_wanted(row):
            self._edits[slot] = _Edits(row, self._end)
        self._history.place(slot, row)

    def choose(self, logits: Logits, slots: Slots) -> Tokens:
        """Chooses the next token of each row.

        Args:
            logits: [N, V], finite; changed in place.
            slots: [N], where the rows live.

        Returns:
            [N] tokens.
        """
        plan = self._plan_for(slots)
        tokens = self._pick(self._edit(logits, plan), plan)
        self._history.add(plan.slots, plan.penalised, tokens)
        return tokens

    def edit(self, logits: Logits, slots: Slots) -> Logits:
        """Applies every option but those of the choice itself.

        Args:
            logits: [N, V], finite; changed in place.
            slots: [N], where the rows live.

        Returns:
            [N, V]; -inf where a token may not be chosen.
        """
        return self._edit(logits, self._plan_for(slots))

    def _edit(self, logits: Logits, plan: "_Plan") -> Logits:
        for token, hidden in plan.hidden:
            logits[hidden, token] = -np.inf
        for index, edit in plan.edits:
            edit.before_penalties(logits[index])
        logits = self._history.penalise(logits, plan.slots, plan.penalised)
        for index, edit in plan.edits:
            edit.after_penalties(logits[index])
        return logits

    def _forget_plan(self) -> None:
        nobody = np.empty(0, np.int64)
        drawing = _Drawing(nobody, np.empty((0, 1)), nobody, nobody)
        self._plan = _Plan(
            slots=nobody, hidden=[], edits=[], penalised=nobody, sampled=nobody, drawing=drawing
        )

    def _plan_for(self, slots: Slots) -> "_Plan":
        """What the options of some rows come to; the same for as long as the rows are."""
        if slots is not self._plan.slots:
            self._plan = _Plan(
                slots=slots,
                hidden=[(token, self._hidden(token, slots)) for token in self._suppressed],
                edits=self._edits_of(slots),
                penalised=np.flatnonzero(self._history.active(slots)),
                sampled=np.flatnonzero(self._temperature[slots] > 0),
                drawing=self._drawing_of(slots[self._temperature[slots] > 0]),
            )
        return self._plan

    def _hidden(self, token: int, slots: Slots) -> NDArray[np.bool_] | slice:
        """Which rows may not choose a token that is suppressed."""
        kept = self._keeps_unknown[slots]
        return ~kept if token == self._unknown and kept.any() else slice(None)

    def _drawing_of(self, slots: Slots) -> "_Drawing":
        cut = self._cuts[slots]
        return _Drawing(
            slots, self._temperature[slots][:, None], np.flatnonzero(~cut), np.flatnonzero(cut)
        )

    def reorder(self, slots: Slots, parents: Slots, rows: Sequence[SampledRow]) -> None:
        """Lets rows go on from other rows' past, as their `generated` now says.

        Args:
            slots: [N], where the rows live.
            parents: [N], the slot of the row that each goes on from.
            rows: [N], each with one token more than its parent had.
        """
        for slot, row in zip(slots.tolist(), rows, strict=True):
            if slot in self._edits:
                self._edits[slot] = _Edits(row, self._end)
        self._forget_plan()
        self._history.move(slots, parents)
        penalised = np.flatnonzero(self._history.active(slots))
        tokens = np.array([row.generated[-1] for row in rows], np.int64)
        self._history.add(slots, penalised, tokens)

    def looks_back(self, slots: Slots) -> bool:
        """Whether the options of any of these rows depend on what it generated."""
        return bool(self._history.active(slots).any()) or bool(self._edits_of(slots))

    def _pick(self, logits: Logits, plan: "_Plan") -> Tokens:
        if len(plan.sampled) == len(logits):
            return self._draw(logits, plan.drawing)
        tokens = logits.argmax(axis=-1)
        if len(plan.sampled):
            tokens[plan.sampled] = self._draw(logits[plan.sampled], plan.drawing)
        return tokens

    def _edits_of(self, slots: Slots) -> list[tuple[int, "_Edits"]]:
        if not self._edits:
            return []
        found = enumerate(slots.tolist())
        return [(index, self._edits[slot]) for index, slot in found if slot in self._edits]

    def _draw(self, logits: Logits, drawing: "_Drawing") -> Tokens:
        """Draws a token for each of [N, V], all of them sampled rows."""
        numbers = self._draws.next(drawing.slots)
        whole, cut, temperatures = drawing.whole, drawing.cut, drawing.temperatures
        if not len(cut):
            return filters.pick(filters.weigh(_scaled(logits, temperatures)), numbers)
        tokens = np.empty(len(logits), np.int64)
        if len(whole):
            weights = filters.weigh(_scaled(logits[whole], temperatures[whole]))
            tokens[whole] = filters.pick(weights, numbers[whole])
        tokens[cut] = self._draw_ranked(logits[cut], drawing, numbers[cut])
        return tokens

    def _draw_ranked(
        self, logits: Logits, drawing: "_Drawing", numbers: NDArray[np.float64]
    ) -> Tokens:
        """The same of those rows [N, V] that draw from some tokens only."""
        slots = drawing.slots[drawing.cut]
        top_k = self._top_k[slots]
        most = int(top_k.max()) if (top_k > 0).all() else logits.shape[1]
        order = filters.rank(logits, most)
        taken = np.take_along_axis(logits, order, axis=-1)
        ranked = filters.weigh(_scaled(taken, drawing.temperatures[drawing.cut]))
        kept = filters.truncate(ranked, top_k, self._top_p[slots], self._min_p[slots])
        places = filters.pick(kept, numbers)
        return np.take_along_axis(order, places[:, None], axis=-1)[:, 0]


def _scaled(logits: Logits, temperatures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits [N, V] by temperatures [N, 1]."""
    return np.divide(logits, temperatures, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Rows that draw. Places are among them."""

    slots: Slots  # [N]
    temperatures: NDArray[np.float64]  # [N, 1]
    whole: NDArray[np.int64]  # places of those that draw from all tokens
    cut: NDArray[np.int64]  # and of those that draw from some


@dataclass(frozen=True, eq=False, kw_only=True)
class _Plan:
    """What the options of the rows of a step come to."""

    slots: Slots  # [N]
    hidden: list[tuple[int, NDArray[np.bool_] | slice]]  # tokens, and whom they are hidden from
    edits: list[tuple[int, "_Edits"]]
    penalised: NDArray[np.int64]  # places of rows with penalties
    sampled: NDArray[np.int64]  # places of rows that draw
    drawing: _Drawing


class _History:
    """Which tokens a row has seen; kept only where a penalty asks for it."""

    def __init__(self, capacity: int, vocabulary_size: int) -> None:
        self._shape = (capacity, vocabulary_size)
        self._active = np.zeros(capacity, np.bool_)
        self._repetition = np.ones(capacity, np.float32)
        self._presence = np.zeros(capacity, np.float32)
        self._frequency = np.zeros(capacity, np.float32)
        # Most models never see a penalty; pages that are never written cost no memory.
        self._seen = np.zeros(self._shape, np.bool_)  # [C, V] in prompt or output
        self._counts = np.zeros(self._shape, np.int32)  # [C, V] in the output

    def place(self, slot: int, row: SampledRow) -> None:
        options = row.options
        self._active[slot] = options.penalises
        if not options.penalises:
            return
        self._repetition[slot] = options.repetition_penalty
        self._presence[slot] = options.presence_penalty
        self._frequency[slot] = options.frequency_penalty
        self._seen[slot] = False
        self._seen[slot, [*row.prompt, *row.generated]] = True
        self._counts[slot] = np.bincount(row.generated, minlength=self._shape[1])

    def active(self, slots: Slots) -> NDArray[np.bool_]:
        """Which of the rows are penalised, [N]."""
        return self._active[slots]

    def move(self, slots: Slots, parents: Slots) -> None:
        """Gives rows the past of other rows."""
        rows = np.flatnonzero(self._active[slots])
        if len(rows):
            self._seen[slots[rows]] = self._seen[parents[rows]]
            self._counts[slots[rows]] = self._counts[parents[rows]]

    def penalise(self, logits: Logits, slots: Slots, rows: NDArray[np.int64]) -> Logits:
        """Applies the penalties of those rows, places in `slots`, that have some."""
        if not len(rows):
            return logits
        at = slots[rows]
        logits[rows] = filters.penalise(
            logits[rows],
            filters.Penalties(
                self._repetition[at],
                self._presence[at],
                self._frequency[at],
                self._seen[at],
                self._counts[at],
            ),
        )
        return logits

    def add(self, slots: Slots, rows: NDArray[np.int64], tokens: Tokens) -> None:
        """Notes the tokens [N] that rows go on with, of those that have penalties."""
        if len(rows):
            self._seen[slots[rows], tokens[rows]] = True
            self._counts[slots[rows], tokens[rows]] += 1


class _Edits:
    """What a row asks for that is not the same operation for all rows."""

    def __init__(self, row: SampledRow, end: int | None) -> None:
        options = row.options
        self._row = row
        self._biased = np.fromiter(options.logit_bias, np.int64, len(options.logit_bias))
        self._bias = np.array(list(options.logit_bias.values()), np.float32)
        self._ends = [*options.stop_token_ids, *([] if end is None else [end])]
        self._suppressed = list(options.suppress_tokens)
        self._indexed = 0  # generated tokens that the n-gram index has seen
        self._ngrams: filters.NgramIndex | None = None
        if options.no_repeat_ngram_size:
            self._ngrams = filters.NgramIndex(options.no_repeat_ngram_size)
            self._ngrams.add(row.prompt)

    @staticmethod
    def are_wanted(row: SampledRow) -> bool:
        """Whether a row asks for any of them."""
        return bool(row.options.edits or row.wish)

    def before_penalties(self, logits: Logits) -> None:
        """Changes the logits of the row, [V], in place."""
        _forbid(logits, self._suppressed)
        logits[self._biased] += self._bias
        if len(self._row.generated) < self._row.options.min_tokens:
            _forbid(logits, self._ends)

    def after_penalties(self, logits: Logits) -> None:
        """Changes the logits of the row, [V], in place."""
        if self._ngrams:
            self._ngrams.add(self._row.generated[self._indexed :])
            self._indexed = len(self._row.generated)
            _forbid(logits, self._ngrams.repeats())
        self._wish_for(logits)
        if self._row.options.return_alternatives and not self._row.generated:
            better = np.argsort(-logits, kind="stable")[: self._row.sample]
            _forbid(logits, better.tolist())

    def _wish_for(self, logits: Logits) -> None:
        """Makes the next token of the wish likelier, while the row has kept to it."""
        wish, generated = self._row.wish, self._row.generated
        if len(generated) < len(wish) and list(wish[: len(generated)]) == list(generated):
            share = self._row.options.prefix_bias_beta
            logits[:] = filters.bias_towards(logits, wish[len(generated)], share)


def _forbid(logits: Logits, tokens: list[int]) -> None:
    """Sets tokens of one row [V] to -inf, unless nothing would be left to choose."""
    if not tokens:
        return
    kept = logits.copy()
    kept[tokens] = -np.inf
    if np.isfinite(kept).any():
        logits[:] = kept
