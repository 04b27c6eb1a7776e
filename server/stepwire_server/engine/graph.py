"""The graphs of bundles, by what they are for.

Shapes: N rows, C characters of a word, * a tensor's own shape.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.batch import Stepped
from stepwire_server.engine.batcher import Judged, Placed, Tagged
from stepwire_server.engine.holder import Holder
from stepwire_server.engine.runtime import OnnxGraph, Port
from stepwire_server.engine.slots import State
from stepwire_server.engine.sources import Arrays, Source, View, padded
from stepwire_zoo import manifest
from stepwire_zoo.errors import ManifestInvalid

_READS = ("features", "word")  # what a step may read in place of a token


class Graph(OnnxGraph):
    """A loaded graph whose inputs and outputs are those that its manifest declares."""

    def __init__(self, data: bytes, spec: manifest.Graph, runtime: RuntimeConfig) -> None:
        """Loads a graph.

        Args:
            data: the ONNX file, already checked against its digest.
            spec: what the manifest says of it.
            runtime: provider and threads.

        Raises:
            FileMismatch: it is no ONNX file, or wants data from outside itself.
            ManifestInvalid: its tensors are not those of the manifest.
        """
        super().__init__(data, spec.file, runtime)
        self.runtime = runtime
        _check_tensors(self, spec)


class StepGraph:
    """One step of a cell: inputs and states in, logits or values and next states out.

    `reads` is the role of its input, `says` that of what it tells first of all.
    """

    def __init__(self, graph: Graph, spec: manifest.Graph) -> None:
        names = {tensor.role: tensor.name for tensor in spec.inputs if tensor.role != "context"}
        self._looks = {tensor.name for tensor in spec.inputs if tensor.role == "context"}
        self.reads = next((role for role in _READS if role in names), "token")
        wanted = (self.reads, *(("lengths", "rows", "places") if self._looks else ()))
        self._names = names
        self._graph = graph
        self._states = [state.input for state in spec.states]
        self._following = [state.output for state in spec.states]
        holds = bool(spec.states) and graph.runtime.holds_states
        self.holder = Holder(graph, spec.states, graph.runtime) if holds else None
        self._extras = {tensor.role: tensor.name for tensor in spec.outputs}
        self.roles = frozenset(self._extras)  # what it can tell
        # What a model says first of all; it is always run for.
        self.says = "logits" if "logits" in self._extras else "values"
        _check_roles(spec, (*wanted, self.says), (*wanted, "context"))
        read = next(tensor for tensor in spec.inputs if tensor.role == self.reads)
        self.blank: NDArray[Any] = np.zeros(read.shape, np.dtype(read.dtype))
        self.start: State = {
            state.input: np.zeros(state.shape, np.dtype(state.dtype)) for state in spec.states
        }

    @property
    def looks(self) -> bool:
        """Whether its rows look at sources."""
        return bool(self._looks)

    def step(
        self,
        inputs: NDArray[Any],
        states: State,
        view: View | None = None,
        wanted: frozenset[str] = frozenset(),
    ) -> Stepped:
        """Runs one step.

        Args:
            inputs: tokens [N], features [N, F] or words [N, 1 + C].
            states: [N, *] each.
            view: what the rows look at, if the graph has contexts.
            wanted: roles of the outputs to give beside the logits, of those it has.

        Returns:
            Logits [N, V], the next states [N, *] each, and what was wanted [N, *] each.
        """
        feeds = {self._names[self.reads]: inputs}
        if view is not None:
            feeds |= view.contexts
            feeds[self._names["lengths"]] = view.lengths
            feeds[self._names["rows"]] = view.rows
            feeds[self._names["places"]] = view.places
        roles = [self.says, *(wanted & self.roles - {self.says})]
        names = [self._extras[role] for role in roles]
        given, following = self._run(names, feeds, states)
        extras = dict(zip(roles, given, strict=True))
        says = extras[self.says]
        return Stepped(says.reshape(len(says), -1), following, extras)

    def _run(self, names: list[str], feeds: Arrays, states: State) -> tuple[list[Any], State]:
        """Gives the outputs of some names, and the next states."""
        if self.holder is not None:
            return self.holder.step(names, feeds, states)
        given = self._graph.run([*names, *self._following], {**feeds, **states})
        return given[: len(names)], dict(zip(self._states, given[len(names) :], strict=True))


class SequenceGraph:
    """Whole padded sequences in; logits out, and where it looked if it tells."""

    def __init__(self, graph: Graph, spec: manifest.Graph) -> None:
        self._graph = graph
        self._tokens, self._lengths, logits = _by_role(spec, "tokens", "lengths", "logits")
        attention = [tensor.name for tensor in spec.outputs if tensor.role == "attention"]
        self._outputs = [logits, *attention]

    @property
    def attends(self) -> bool:
        """Whether it tells where it looked."""
        return len(self._outputs) > 1

    def run(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[Judged]:
        """Takes [N, T] and [N]; returns N results, attention as long as each row's text."""
        feeds = {self._tokens: tokens, self._lengths: lengths}
        logits, *looked = self._graph.run(self._outputs, feeds)
        if not looked:
            return [Judged(row) for row in logits]
        rows = zip(logits, looked[0], lengths.tolist(), strict=True)
        return [Judged(row, weights[:length]) for row, weights, length in rows]


class TaggingGraph:
    """Whole padded sentences in, logits of every word out, and perhaps of the sentence."""

    def __init__(self, graph: Graph, spec: manifest.Graph) -> None:
        self._graph = graph
        self._tokens, self._characters, self._lengths, logits = _by_role(
            spec, "tokens", "characters", "lengths", "logits"
        )
        judging = [tensor.name for tensor in spec.outputs if tensor.role == "text_logits"]
        self._outputs = [logits, *judging]

    @property
    def judges(self) -> bool:
        """Whether it says something of whole sentences."""
        return len(self._outputs) > 1

    def run(self, words: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[Tagged]:
        """Tags sentences.

        Args:
            words: [N, T, 1 + C]: the number of each word, then those of its characters.
            lengths: [N].

        Returns:
            N results, each as long as its sentence.
        """
        feeds = {
            self._tokens: np.ascontiguousarray(words[:, :, 0]),
            self._characters: np.ascontiguousarray(words[:, :, 1:]),
            self._lengths: lengths,
        }
        logits, *judged = self._graph.run(self._outputs, feeds)
        own = [row[:length] for row, length in zip(logits, lengths.tolist(), strict=True)]
        return list(map(Tagged, own, *judged))


class EmbeddingGraph:
    """What words are made of in; their vectors out, and their cosines with all known words."""

    def __init__(self, graph: Graph, spec: manifest.Graph) -> None:
        self._graph = graph
        self._tokens, self._lengths, *self._outputs = _by_role(
            spec, "tokens", "lengths", "vector", "cosines"
        )

    def run(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[Placed]:
        """Takes [N, T] and [N]; returns N results."""
        feeds = {self._tokens: tokens, self._lengths: lengths}
        vectors, cosines = self._graph.run(self._outputs, feeds)
        return list(map(Placed, vectors, cosines))


class EncodeGraph:
    """Whole padded sources in; contexts and the states that decoding begins with out."""

    def __init__(self, graph: Graph, spec: manifest.Graph, step: manifest.Graph) -> None:
        self._graph = graph
        self._tokens, self._lengths = _by_role(spec, "tokens", "lengths")
        self._contexts = [tensor.name for tensor in spec.outputs if tensor.role == "context"]
        self._starts = {state.input: state.start for state in step.states if state.start != "zeros"}
        self._zeros = {
            state.input: np.zeros(state.shape, np.dtype(state.dtype))
            for state in step.states
            if state.start == "zeros"
        }
        self.outputs = [*self._contexts, *self._starts.values()]
        self._buckets = step.buckets

    def raw(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> Arrays:
        """Takes [N, T] and [N]; returns contexts [N, T, *] and start states by output."""
        feeds = {self._tokens: tokens, self._lengths: lengths}
        return dict(zip(self.outputs, self._graph.run(self.outputs, feeds), strict=True))

    def run(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[Source]:
        """Takes [N, T] and [N]; returns N sources, padded as steps look at them."""
        values = self.raw(tokens, lengths)
        return [self._source(values, row, int(length)) for row, length in enumerate(lengths)]

    def _source(self, values: Arrays, row: int, length: int) -> Source:
        bucket = next(size for size in self._buckets if size >= length)
        contexts = {name: padded(values[name][row], bucket) for name in self._contexts}
        start = {name: values[output][row].copy() for name, output in self._starts.items()}
        return Source(length=length, contexts=contexts, start=start | self._zeros, bucket=bucket)


def _check_roles(spec: manifest.Graph, needed: tuple[str, ...], fed: tuple[str, ...]) -> None:
    """Refuses a graph that lacks a tensor, or that wants what nobody would feed."""
    roles = {tensor.role for tensor in (*spec.inputs, *spec.outputs)}
    missing = [role for role in needed if role not in roles]
    if missing:
        raise ManifestInvalid(f"{spec.file}: no tensor has the role {missing[0]!r}")
    unfed = [tensor.name for tensor in spec.inputs if tensor.role not in fed]
    if unfed:
        raise ManifestInvalid(f"{spec.file}: nothing feeds the input {unfed[0]!r}")


def _by_role(spec: manifest.Graph, *roles: str) -> list[str]:
    """Finds the tensors that play the given roles, which are all that is fed."""
    _check_roles(spec, roles, roles)
    names = {tensor.role: tensor.name for tensor in (*spec.inputs, *spec.outputs)}
    return [names[role] for role in roles]


def _check_tensors(graph: OnnxGraph, spec: manifest.Graph) -> None:
    declared_in = {t.name: (t.dtype, t.shape) for t in spec.inputs}
    declared_in |= {s.input: (s.dtype, s.shape) for s in spec.states}
    declared_out = {t.name: (t.dtype, t.shape) for t in spec.outputs}
    declared_out |= {s.output: (s.dtype, s.shape) for s in spec.states}
    _check_side("input", declared_in, graph.inputs, spec.file)
    _check_side("output", declared_out, graph.outputs, spec.file)


def _check_side(side: str, declared: dict[str, Any], actual: tuple[Port, ...], file: str) -> None:
    found = {port.name: port for port in actual}
    if declared.keys() - found.keys() or (side == "input" and found.keys() - declared.keys()):
        raise ManifestInvalid(f"{file} has {side}s {sorted(found)}, not {sorted(declared)}")
    for name, (dtype, shape) in declared.items():
        batch, *row = found[name].shape or [None]
        if isinstance(batch, int):
            raise ManifestInvalid(f"{file}: {side} {name} is fixed to a batch of {batch}")
        if not _fits(row, shape) or found[name].dtype != dtype:
            raise ManifestInvalid(
                f"{file}: {side} {name} is {found[name].dtype} {list(found[name].shape)}, "
                f"the manifest says {dtype} [N, {', '.join(map(str, shape))}]"
            )


def _fits(actual: Sequence[int | str | None], declared: tuple[int, ...]) -> bool:
    """Whether shapes agree; a size that is not a number varies and fits any."""
    if len(actual) != len(declared):
        return False
    pairs = zip(actual, declared, strict=True)
    return all(not isinstance(size, int) or size == wanted for size, wanted in pairs)
