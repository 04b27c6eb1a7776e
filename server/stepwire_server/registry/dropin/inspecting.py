"""From someone's ONNX file to what its tensors mean, with a reason for every decision."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stepwire_server.engine.runtime import DTYPES, OnnxGraph
from stepwire_server.registry.dropin.anatomy import Anatomy
from stepwire_server.registry.dropin.naming import sounds_like_lengths
from stepwire_server.registry.dropin.pairing import (
    Pairing,
    find_pairs,
    forms_that_fit,
    look_like_states,
    other_pairings,
)
from stepwire_server.registry.dropin.proving import (
    CLOSE,
    CLOSE_HALF,
    CLOSE_SCALED,
    Candidate,
    Pair,
    prove_lengths,
    prove_state_changes,
    prove_state_matters,
    prove_steps,
)
from stepwire_server.registry.dropin.rows import Rows, find_rows
from stepwire_server.registry.dropin.settings import SETTINGS, Settings
from stepwire_server.registry.dropin.times import Times, find_times
from stepwire_server.registry.dropin.trials import TrialFailed, Trials
from stepwire_zoo.errors import FileMismatch, WiringUnproved

_SAID = f"{SETTINGS} says so"


class Reason(NamedTuple):
    """Why something is held for true."""

    about: str  # the tensor, or "" where it is the graph
    words: str


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What a graph is thought to be, before all of it is proved."""

    candidate: Candidate
    settings: Settings
    digest: str  # SHA-256 of the file
    size_bytes: int  # of the file
    reasons: tuple[Reason, ...]
    questions: tuple[str, ...] = ()  # what has to be said in stepwire.json
    open_states: tuple[str, ...] = ()  # inputs that they are about
    ranges: dict[str, int] = field(default_factory=dict)  # whole numbers: legal are [0, range)
    baked: dict[str, int] = field(default_factory=dict)  # sizes that do not vary after all


def inspect(
    graph: OnnxGraph, data: bytes, settings: Settings, held: Mapping[str, float] | None = None
) -> Inspected:
    """Finds out what a graph's tensors mean.

    Args:
        graph: the file, loaded.
        data: the file.
        settings: what is said of it; it is taken as given, and proved like the rest.
        held: inputs that the server fills in, and what they mostly hold.

    Raises:
        FileMismatch: it has tensors that cannot be served, or does not run.
        ManifestInvalid: the settings speak of tensors that it has not.
        WiringUnproved: something that is said of it is not so.
    """
    _check_kinds(graph)
    inputs = {port.name for port in graph.inputs}
    settings.check_names(inputs, {port.name for port in graph.outputs})
    return _Inspection(graph, data, settings, held or {}).result()


class _Inspection:
    """One look at one graph; fills in what it finds, and why."""

    def __init__(
        self, graph: OnnxGraph, data: bytes, settings: Settings, held: Mapping[str, float]
    ) -> None:
        self._graph, self._data, self._settings = graph, data, settings
        self._anatomy = anatomy = Anatomy(data)
        self._held = held
        self._reasons: list[Reason] = []
        self._questions: dict[str, str] = {}  # by the input that each is about
        self._ranges = {
            port.name: size
            for port in graph.inputs
            if port.dtype.lstrip("u").startswith("int")
            and (size := anatomy.rows_looked_up(port.name))
        }

    def result(self) -> Inspected:
        for name, size in self._ranges.items():
            self._say(name, f"legal are [0, {size}): it looks up a table of {size} rows")
        lengths = self._find_lengths()
        rows = self._find_rows(lengths)
        varying = find_times(rows, self._anatomy, self._settings.time_axis)
        for name, size in varying.baked.items():
            self._say("", f"size {name!r} varies in the file, but it only runs with {size}")
        bare = Candidate(rows=rows, lengths=lengths, close=self._closeness())
        if self._settings.states is not None:
            candidate = self._said(bare, varying.times)
        else:
            candidate = self._found(bare, varying.times)
        candidate = self._with_time(self._with_lengths(candidate, varying.times), varying.times)
        return Inspected(
            candidate=candidate,
            settings=self._settings,
            digest=hashlib.sha256(self._data).hexdigest(),
            size_bytes=len(self._data),
            reasons=tuple(self._reasons),
            questions=tuple(self._questions.values()),
            open_states=tuple(self._questions),
            ranges=self._ranges,
            baked=varying.baked,
        )

    def _closeness(self) -> float:
        scaled = [name for name in self._anatomy.operators() if name.startswith("DynamicQuantize")]
        if scaled:
            self._say("", f"results are compared loosely: {min(scaled)} scales each run as a whole")
            return CLOSE_SCALED
        half = any(port.dtype == "float16" for port in (*self._graph.inputs, *self._graph.outputs))
        return CLOSE_HALF if half else CLOSE

    def _say(self, about: str, words: str) -> None:
        self._reasons.append(Reason(about, words))

    # Rows

    def _find_rows(self, lengths: str | None) -> Rows:
        trials = Trials(graph=self._graph, ranges=self._ranges, lengths=lengths, held=self._held)
        given = self._settings.batch_axes
        try:
            rows = find_rows(trials, self._anatomy, given)
        except TrialFailed as error:
            raise FileMismatch(
                f"it does not run on any inputs that were made up: {error}"
            ) from error
        for name, axis in given.items():
            if rows.axes[name] != axis:
                why = rows.why_none or "they are not rows there"
                raise WiringUnproved(f"batch_axis of {name} cannot be {axis}: {why}")
        for port in (*self._graph.inputs, *self._graph.outputs):
            axis = rows.axes[port.name]
            if axis is not None:
                why = rows.reasons.get(port.name, "it grows with the rows of the inputs")
                self._say(port.name, f"rows are on axis {axis}: {why}")
        if rows.why_none:
            self._say("", f"no axis counts rows: {rows.why_none}")
        return rows

    # States

    def _said(self, bare: Candidate, times: Sequence[Times]) -> Candidate:
        """With the states that the settings name."""
        pairs = tuple(Pair(said.input, said.output) for said in self._settings.states or ())
        candidate = replace(bare, pairs=pairs)
        for pair in pairs:
            claim = self._broken(candidate, pair)
            if claim:
                raise WiringUnproved(f"{pair.input} and {pair.output} are no state: {claim}")
            self._say(pair.input, f"{pair.output} takes its place: {_SAID}")
        if not pairs:
            self._say("", f"it has no states: {_SAID}")
        timed, refused = self._that_steps(candidate, times)
        if pairs and timed is None and refused:
            raise WiringUnproved(f"these states do not go on from run to run: {refused}")
        return timed or candidate

    def _found(self, bare: Candidate, times: Sequence[Times]) -> Candidate:
        """With the states that can be found."""
        taken = [*self._held, *([bare.lengths] if bare.lengths else [])]
        pairing = find_pairs(bare.rows, self._anatomy, taken)
        for pair in pairing.growing:
            self._say(
                pair.input,
                f"{pair.output} would take its place, but is longer each time: "
                "callers keep it, as an ordinary input and output",
            )
        pairing = self._without_broken(bare, pairing)
        candidate = replace(bare, pairs=pairing.pairs)
        timed, refused = self._that_steps(candidate, times)
        if pairing.open or (candidate.pairs and timed is None and refused):
            other = self._only_other(bare, pairing, times, taken)
            if other is not None:
                for pair in other.pairs:
                    self._say(
                        pair.input,
                        f"{pair.output} takes its place: of all pairings only with this one "
                        "steps one by one give what they give as a chunk",
                    )
                return other
        if timed is None and refused:
            for pair in candidate.pairs:
                self._say(
                    pair.input, f"not kept between runs, though {pairing.reasons[pair]}: {refused}"
                )
            return bare
        for pair, why in pairing.reasons.items():
            self._say(pair.input, f"{pair.output} takes its place: {why}")
        self._ask_about(pairing)
        return timed or candidate

    def _without_broken(self, bare: Candidate, pairing: Pairing) -> Pairing:
        kept = {}
        for pair, why in pairing.reasons.items():
            broken = self._broken(bare, pair)
            if broken:
                self._say(
                    pair.input, f"{pair.output} is not its next value, though {why}: {broken}"
                )
            else:
                kept[pair] = why
        return replace(pairing, reasons=kept)

    def _broken(self, candidate: Candidate, pair: Pair) -> str:
        """Why a pair is no state, or ""."""
        if candidate.rows.axes[pair.input] != candidate.rows.axes[pair.output]:
            return "their rows are on different axes"
        for prove in (prove_state_changes, prove_state_matters):
            claim = prove(candidate, pair)
            if not claim.held:
                return claim.about or f"it is not so that {claim.words}"
        return ""

    def _that_steps(
        self, candidate: Candidate, times: Sequence[Times]
    ) -> tuple[Candidate | None, str]:
        """With the axis of time along which steps and chunk are the same; else why not."""
        refused = ""
        fixed = {name for pair in candidate.pairs for name in pair}
        for time in times if candidate.pairs else ():
            if fixed & time.axes.keys():
                continue
            timed = replace(candidate, time=time)
            try:
                claim = prove_steps(timed)
            except TrialFailed:
                continue  # it takes no single steps: nothing can be said
            if claim.held:
                return timed, ""
            refused = refused or f"{claim.words}, but {claim.about}"
        return None, refused

    def _only_other(
        self, bare: Candidate, pairing: Pairing, times: Sequence[Times], taken: Sequence[str]
    ) -> Candidate | None:
        """The one other pairing with which steps and chunk are the same, if there is just one."""
        fits = forms_that_fit(bare.rows, taken)
        kept = {name: outputs for name, outputs in fits.items() if name in pairing.open}
        kept |= {pair.input: fits.get(pair.input, (pair.output,)) for pair in pairing.pairs}
        works = []
        for pairs in itertools.islice(other_pairings(pairing, kept), 64):
            if any(self._broken(bare, pair) for pair in pairs):
                continue
            timed, _ = self._that_steps(replace(bare, pairs=pairs), times)
            works += [timed] if timed else []
        return works[0] if len(works) == 1 else None

    def _ask_about(self, pairing: Pairing) -> None:
        if not pairing.open:
            return
        for name, outputs in pairing.open.items():
            if look_like_states(pairing):
                self._questions[name] = (
                    f"states: does {' or '.join(outputs)} take the place of {name} for the next "
                    "run? Neither their names nor the graph say"
                )
            else:
                self._say(
                    name, f"has the form of {outputs[0]}, but nothing says that it is a state"
                )

    # Time and lengths

    def _with_time(self, candidate: Candidate, times: Sequence[Times]) -> Candidate:
        """With an axis of time where nothing needed one so far."""
        said = {name: axis for name, axis in self._settings.time_axis.items() if axis is not None}
        if candidate.time is None:
            likely = [t for t in self._beside_states(candidate, times) if t.score >= 8 or said]
            candidate = replace(candidate, time=next(iter(likely), None))
        if said and candidate.time is None:
            name, axis = next(iter(said.items()))
            raise WiringUnproved(f"time_axis of {name} cannot be {axis}: no length varies there")
        for name, axis in sorted(candidate.time.axes.items()) if candidate.time else ():
            why = _SAID if name in said else candidate.time.reason if candidate.time else ""
            self._say(name, f"time is axis {axis}: {why}")
        return candidate

    def _beside_states(self, candidate: Candidate, times: Sequence[Times]) -> list[Times]:
        """Lengths that no state has."""
        states = {name for pair in candidate.pairs for name in pair}
        return [time for time in times if not states & time.axes.keys()]

    def _find_lengths(self) -> str | None:
        said = self._settings.lengths
        if said is not None:
            self._say(said, f"says how much of each row counts: {_SAID}")
            return said
        for port in (port for port in self._graph.inputs if port.name not in self._held):
            whole = port.dtype.lstrip("u").startswith("int") and len(port.shape) == 1
            operator = self._anatomy.reads_lengths(port.name) if whole else ""
            if operator or (whole and sounds_like_lengths(port.name)):
                why = f"{operator} takes it so" if operator else "its name says so"
                self._say(port.name, f"says how much of each row counts: {why}")
                return port.name
        return None

    def _with_lengths(self, candidate: Candidate, times: Sequence[Times]) -> Candidate:
        """With lengths, and the axis that they measure; without, if they hold not what they say."""
        name = candidate.lengths
        if name is None:
            return candidate
        measured = [candidate.time] if candidate.time else self._beside_states(candidate, times)
        why = "no length varies"
        for time in measured:
            timed = replace(candidate, time=time)
            why = self._lengths_broken(timed, name)
            if not why:
                return timed
        if self._settings.lengths:
            raise WiringUnproved(f"lengths cannot be {name}: {why}")
        self._reasons = [r for r in self._reasons if "of each row counts" not in r.words]
        self._say(name, f"an ordinary input, though it looks like lengths: {why}")
        return replace(candidate, lengths=None)

    def _lengths_broken(self, candidate: Candidate, name: str) -> str:
        if candidate.rows.axes.get(name) != 0:
            return "it has not one number for each row"
        try:
            claim = prove_lengths(candidate)
        except TrialFailed as error:
            return f"the graph refuses rows of different lengths: {error}"
        return "" if claim.held else f"{claim.words}, but {claim.about}"


def _check_kinds(graph: OnnxGraph) -> None:
    served = {*DTYPES.values()}
    for side, ports in (("input", graph.inputs), ("output", graph.outputs)):
        for port in ports:
            if port.dtype not in served:
                hint = " (export it without ZipMap)" if "map" in port.dtype else ""
                raise FileMismatch(
                    f"{side} {port.name} must be a tensor of {', '.join(sorted(served))}, "
                    f"got {port.dtype}{hint}"
                )
    if not graph.inputs or not graph.outputs:
        raise FileMismatch("it has no inputs, or no outputs")
