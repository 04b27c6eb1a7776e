"""What was found out about someone's ONNX file, for people to read and for programs.

Letters of shapes: N rows, T steps, ? another size that varies.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwire_server.engine.wiring import StatePair, Wire, Wiring
from stepwire_server.registry.dropin.inspecting import Inspected
from stepwire_server.registry.dropin.opening import Proved

_INDENT = "    "


def found(inspected: Inspected, wiring: Wiring) -> Iterator[str]:
    """Lines for people: every tensor, and why it is held for what it is."""
    lists = (("inputs", wiring.inputs), ("outputs", wiring.outputs))
    for title, wires in lists:
        yield title
        for wire in wires:
            yield f"  {wire.name}  {described(wire)}"
            yield from _reasons(inspected, wire.name)
        if title == "inputs" and wiring.states:
            yield from _states(inspected, wiring.states)
    general = list(_reasons(inspected, ""))
    if general:
        yield "the graph as a whole"
        yield from general


def proved(claims: Sequence[Any]) -> Iterator[str]:
    """Lines for people: what running it bore out."""
    yield "proved by running it"
    for claim in claims:
        yield f"  {claim.words}" + (f" ({claim.about})" if claim.about else "")


def served(name: str, proof: Proved) -> Iterator[str]:
    """Lines for people: what it will be as a model."""
    wiring, settings = proof.wiring, proof.inspected.settings
    yield "served as"
    if wiring.states:
        kept = _listed([pair.input.name for pair in wiring.states])
        yield f"  {name}: a model of sequences; the server keeps {kept} under the sequence's id"
        yield f"  {name}.explicit: the same, but callers send and receive {kept} themselves"
    else:
        yield f"  {name}: a plain model; nothing is kept between requests"
    if not wiring.batched:
        yield "  one request a run: no axis counts rows"
    elif wiring.merges:
        yield "  rows of different callers share runs, and come out as they do alone"
    elif settings.merge == "never" or settings.max_batch_size in (0, 1):
        yield "  each request runs alone, as the files beside it want it"
    else:
        yield "  each request runs alone: rows that share a run come out slightly otherwise"
        yield '  ("merge": "always" in stepwire.json lets them share it all the same)'
    if wiring.lengths:
        yield f"  rows of unequal length share runs: {wiring.lengths} says how much of each counts"


def asked(inspected: Inspected) -> Iterator[str]:
    """Lines for people: what has to be said before it can be served."""
    yield "to be said in stepwire.json"
    for question in inspected.questions:
        yield f"  {question}"
    states = ", ".join(f'{{"input": "{name}", "output": "..."}}' for name in inspected.open_states)
    yield f'  for example  {{"states": [{states}]}}'
    yield '  or, if they are no states,  {"states": []}'


def as_settings(proof: Proved) -> dict[str, Any]:
    """What was found, as stepwire.json says it."""
    wiring = proof.wiring
    everything = (*wiring.inputs, *(pair.input for pair in wiring.states))
    value: dict[str, Any] = {
        "states": [_state(proof, pair) for pair in wiring.states],
        "batch_axis": {wire.name: wire.batch_axis for wire in wiring.inputs},
        "time_axis": {w.name: w.time_axis for w in everything if w.time_axis is not None},
    }
    if wiring.lengths:
        value["lengths"] = wiring.lengths
    return {key: item for key, item in value.items() if item or key == "states"}


def as_json(name: str, proof: Proved) -> dict[str, Any]:
    """Everything, for programs."""
    wiring, inspected = proof.wiring, proof.inspected
    return {
        "name": name,
        "inputs": [_wire(wire) for wire in wiring.inputs],
        "outputs": [_wire(wire) for wire in wiring.outputs],
        "states": [
            {"input": _wire(pair.input), "output": _wire(pair.output)} for pair in wiring.states
        ],
        "lengths": wiring.lengths,
        "merges": wiring.merges,
        "ranges": inspected.ranges,
        "reasons": [{"about": r.about, "words": r.words} for r in inspected.reasons],
        "proved": [{"claim": c.words, "about": c.about} for c in proof.claims],
        "questions": [],
    }


def as_open_json(name: str, inspected: Inspected) -> dict[str, Any]:
    """What was found of a graph that leaves questions, for programs."""
    return {
        "name": name,
        "reasons": [{"about": r.about, "words": r.words} for r in inspected.reasons],
        "questions": list(inspected.questions),
    }


def described(wire: Wire) -> str:
    """Type and shape of a tensor."""
    letters = {wire.batch_axis: "N", wire.time_axis: "T"}
    sizes = [
        letters.get(axis, "?") if size == -1 else str(size) for axis, size in enumerate(wire.shape)
    ]
    return f"{wire.dtype} [{', '.join(sizes)}]"


def _states(inspected: Inspected, pairs: Sequence[StatePair]) -> Iterator[str]:
    yield "states"
    for pair in pairs:
        start = "zeros" if pair.start is None else "what stepwire.json gives"
        yield f"  {pair.input.name} -> {pair.output.name}  {described(pair.input)}, from {start}"
        yield from _reasons(inspected, pair.input.name)


def _reasons(inspected: Inspected, name: str) -> Iterator[str]:
    return (f"{_INDENT}{reason.words}" for reason in inspected.reasons if reason.about == name)


def _state(proof: Proved, pair: StatePair) -> dict[str, Any]:
    value: dict[str, Any] = {"input": pair.input.name, "output": pair.output.name}
    if pair.input.batch_axis is not None:
        value["batch_axis"] = pair.input.batch_axis
    for said in proof.inspected.settings.states or ():
        if said.input == pair.input.name and said.start != "zeros":
            value["start"] = said.start
    return value


def _wire(wire: Wire) -> dict[str, Any]:
    return {**vars(wire), "shape": list(wire.shape)}


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
