"""Which output takes an input's place for the next run.

An operator that carries a value through its steps decides; then names do; then an output
that keeps a part of an input. Being of one shape decides nothing: two states of one shape
look the same, and an answer may look like a state. Nothing depends on the order of names.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepwire_server.registry.dropin.anatomy import Anatomy
from stepwire_server.registry.dropin.naming import match_by_name, sounds_like_state
from stepwire_server.registry.dropin.proving import Pair
from stepwire_server.registry.dropin.rows import Rows
from stepwire_server.registry.dropin.trials import Shape

_MOST_TRIED = 5  # inputs whose partners are found by trying


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """What takes whose place, and why."""

    reasons: dict[Pair, str] = field(default_factory=dict)
    growing: dict[Pair, str] = field(default_factory=dict)  # states that get longer, and why
    open: dict[str, tuple[str, ...]] = field(default_factory=dict)  # inputs and who could follow

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Those that are certain."""
        return tuple(self.reasons)


def find_pairs(rows: Rows, anatomy: Anatomy, taken: Sequence[str]) -> Pairing:
    """Finds the states.

    Args:
        rows: what is known of the graph.
        anatomy: its operators.
        taken: inputs that are something else.
    """
    fits, grows = _candidates(rows, taken)
    reasons: dict[Pair, str] = {}
    for find in (_by_memory, _by_name, _by_parts):
        left = _left(fits, reasons)
        reasons |= find(left, anatomy)
    growing = _by_name(_left(grows, reasons), anatomy)
    return Pairing(reasons=reasons, growing=growing, open=_left(fits, {**reasons, **growing}))


def look_like_states(pairing: Pairing) -> bool:
    """Whether what is left open should not be passed over."""
    names = {*pairing.open, *itertools.chain(*pairing.open.values())}
    outputs = {*itertools.chain(*pairing.open.values())}
    several = len(pairing.open) > 1 and len(outputs) >= len(pairing.open)
    return bool(pairing.open) and (several or any(sounds_like_state(name) for name in names))


def other_pairings(
    pairing: Pairing, fits: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Pair, ...]]:
    """Every way to pair inputs with outputs of their form, but the one that was found."""
    inputs = [name for name in fits if fits[name]]
    if not 0 < len(inputs) <= _MOST_TRIED:
        return
    for outputs in itertools.product(*(fits[name] for name in inputs)):
        pairs = tuple(Pair(*both) for both in zip(inputs, outputs, strict=True))
        if len({*outputs}) == len(outputs) and {*pairs} != {*pairing.pairs}:
            yield pairs


def forms_that_fit(rows: Rows, taken: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The outputs that have the form of each input."""
    return _candidates(rows, taken)[0]


def _candidates(
    rows: Rows, taken: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Outputs of the form of each input: those that keep their size, and those that grow."""
    feeds = rows.trials.feeds(rows.shapes(3))
    given = rows.trials.run(feeds)
    fits: dict[str, tuple[str, ...]] = {}
    grows: dict[str, tuple[str, ...]] = {}
    for port in rows.trials.graph.inputs:
        axis = rows.axes[port.name]
        alike = [
            name
            for name, value in given.items()
            if port.name not in taken
            and value.dtype == feeds[port.name].dtype
            and rows.axes[name] == axis
        ]
        shape = feeds[port.name].shape
        same = tuple(name for name in alike if given[name].shape == shape)
        longer = tuple(name for name in alike if _is_longer(shape, given[name].shape))
        fixed = all(isinstance(size, int) or at == axis for at, size in enumerate(port.shape))
        if same and fixed:
            fits[port.name] = same
        if longer and not fixed:
            grows[port.name] = longer
    return fits, grows


def _is_longer(shape: Shape, after: Shape) -> bool:
    if len(shape) != len(after):
        return False
    changed = [(a, b) for a, b in zip(shape, after, strict=True) if a != b]
    return len(changed) == 1 and changed[0][1] > changed[0][0]


def _left(
    fits: Mapping[str, Sequence[str]], pairs: Mapping[Pair, str]
) -> dict[str, tuple[str, ...]]:
    inputs = {pair.input for pair in pairs}
    outputs = {pair.output for pair in pairs}
    kept = {
        name: tuple(output for output in fitting if output not in outputs)
        for name, fitting in fits.items()
        if name not in inputs
    }
    return {name: fitting for name, fitting in kept.items() if fitting}


def _by_memory(fits: Mapping[str, Sequence[str]], anatomy: Anatomy) -> dict[Pair, str]:
    """An operator carries the input through its steps, and gives the output at the end."""
    found: dict[Pair, str] = {}
    for name, outputs in fits.items():
        read = anatomy.memories_read(name)
        ends = [output for output in outputs if read and anatomy.memories_given(output) == read]
        if len(ends) == 1:
            memory = min(read)
            what = f"as its {memory.what}" if len(memory.what) == 1 else "carried step by step"
            label = anatomy.label(memory.node)
            found[Pair(name, ends[0])] = f"{label} begins with the one, ends with the other, {what}"
    return found


def _by_name(fits: Mapping[str, Sequence[str]], anatomy: Anatomy) -> dict[Pair, str]:
    """The names say so, and the output depends on something at all."""
    outputs = list(dict.fromkeys(itertools.chain(*fits.values())))
    matched = match_by_name(list(fits), outputs)
    return {
        Pair(name, output): "their names belong together"
        for name, output in matched.items()
        if output in fits[name]
    }


def _by_parts(fits: Mapping[str, Sequence[str]], anatomy: Anatomy) -> dict[Pair, str]:
    """The output keeps a part of the input as it is, as a buffer does that moves along."""
    keeps = {
        name: [output for output in outputs if name in anatomy.origins(output)[1]]
        for name, outputs in fits.items()
    }
    claimed = list(itertools.chain(*keeps.values()))
    return {
        Pair(name, outputs[0]): f"{outputs[0]} keeps a part of {name}"
        for name, outputs in keeps.items()
        if len(outputs) == 1 and claimed.count(outputs[0]) == 1
    }
