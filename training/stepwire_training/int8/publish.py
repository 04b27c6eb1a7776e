"""Adds graphs that compute in 8 bits to a bundle, if they are as good as the first.

Their golden case comes from a slow and independent reading of the same graph, ONNX's own
reference in NumPy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from onnx.reference import ReferenceEvaluator

from stepwire_training import parity, prove_translator
from stepwire_training.data.batches import Dataset
from stepwire_training.export import measured_of
from stepwire_training.int8.bounds import Bounds, bounded_states, bounds
from stepwire_training.int8.opened import Opened
from stepwire_training.int8.products import quantised
from stepwire_training.int8.served import ServedTranslator, StepNetwork
from stepwire_training.measure_answers import BY_CHARACTERS, PERPLEXITY
from stepwire_training.models.network import Network
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Recipe
from stepwire_zoo import golden
from stepwire_zoo.bundle import Bundle, write_bundle
from stepwire_zoo.golden import Arrays, GoldenCase
from stepwire_zoo.manifest import INT8, Golden, Manifest, Metric, Variant

MOST_LOST = 0.005  # of a figure of quality, as a share of it
# A state that two machines round apart by one bit may land on two sides of a step of 1/127.
GOLDEN = Golden(file="golden.int8.npz", absolute_tolerance=0.01, relative_tolerance=0.01)
FILES = {"step": "step.int8.onnx"}
# Of the golden case: a plain cell carries such a step on, and lets it grow.
STEPS = 12

LESS_IS_BETTER = ("loss", PERPLEXITY, BY_CHARACTERS)
HEADING = "## In 8 bits"
CARD = """\
{heading}

`{file}` ({size_mib:.1f} MiB) computes the same with products of 8-bit integers, in which no row's \
scale depends on the rows beside it; a server on a CPU takes it unless it is told otherwise. \
Measured like the figures above, with these graphs:

| | float32 | int8 | better or worse by |
| --- | --- | --- | --- |
{rows}
"""


class Outcome(NamedTuple):
    """What came of it."""

    bundle: Bundle
    reason: str  # why there are no graphs in 8 bits; empty if there are


def add_int8(bundle: Bundle, recipe: Recipe, dataset: Dataset) -> Outcome:
    """Writes the bundle anew, with graphs in 8 bits where they are as good.

    Raises:
        ParityError: a row of such a graph depends on its neighbours, or ONNX Runtime does not
            compute what ONNX's reference does.
    """
    if not recipe.publication.eight_bits:
        return Outcome(bundle, "its recipe wants none")
    manifest = bundle.manifest
    step_graph = manifest.graphs.get("step")
    if step_graph is None or all(tensor.role != "token" for tensor in step_graph.inputs):
        return Outcome(bundle, "it has no step graph that reads tokens")
    files = bundle.read_all()
    contents = {role: files[graph.file] for role, graph in manifest.graphs.items()}
    step = quantised(contents["step"], known_of(manifest, contents))
    if step is None:
        return Outcome(bundle, "no product in it is large enough")
    fast = {**contents, "step": step}
    cases = golden.unpack(files[manifest.golden.file])
    prove(fast["step"], manifest, cases)
    model = served(recipe, dataset, manifest, fast)
    metrics = measured_of(recipe, dataset, model, manifest.decoding).metrics
    lost = worst(manifest.metrics, metrics)
    if lost > MOST_LOST:
        return Outcome(bundle, f"a figure is worse by {lost:.2%}, {MOST_LOST:.2%} may be")
    variant = Variant(files=FILES, golden=GOLDEN, metrics=metrics)
    files |= {
        FILES["step"]: step,
        GOLDEN.file: golden.pack({"step": reference_case(step, manifest, cases)}),
    }
    text = files["CARD.md"].decode().split(HEADING)[0].rstrip()
    files["CARD.md"] = f"{text}\n\n{card(manifest.metrics, metrics, step)}".encode()
    written = replace(manifest, variants={INT8: variant}, files={})
    return Outcome(write_bundle(bundle.folder, written, files), "")


def known_of(manifest: Manifest, contents: Mapping[str, bytes]) -> Bounds:
    """Bounds of the inputs of the step graph: contexts, and states that stay in (-1, 1)."""
    step = manifest.graphs["step"]
    of_encode = bounds(Opened(contents["encode"]), {}) if "encode" in contents else {}
    contexts = [tensor.name for tensor in step.inputs if tensor.role == "context"]
    known = {name: of_encode[name] for name in contexts}
    starts = {
        state.input: 0.0 if state.start == "zeros" else of_encode[state.start]
        for state in step.states
    }
    return known | bounded_states(Opened(contents["step"]), step.states, starts, known)


def served(
    recipe: Recipe, dataset: Dataset, manifest: Manifest, contents: Mapping[str, bytes]
) -> Network:
    """A network that the graphs compute."""
    model = recipe.model.build(*dataset.sizes).eval()
    if isinstance(model, Translator):
        return ServedTranslator(model, manifest.graphs, contents)
    return StepNetwork(model, manifest.graphs["step"], contents["step"])


def prove(step: bytes, manifest: Manifest, cases: Mapping[str, GoldenCase]) -> None:
    """Proves that a row's result is bitwise the same in any company.

    Raises:
        ParityError: it is not.
    """
    opened, tokens = parity.session(step), cases["step"].inputs["token"]
    read = read_of(manifest, cases)
    if read is None:
        _, last = parity.step_by_step(opened, tokens, zeros(manifest, len(tokens)))
        parity.prove_rows_stand_alone(opened, {"token": tokens[:, -1], **last})
        return
    for bucket in manifest.graphs["step"].buckets:
        wide = read._replace(
            contexts={n: prove_translator.widened(c, bucket) for n, c in read.contexts.items()}
        )
        _, states = prove_translator.step_by_step(opened, tokens, wide)
        prove_translator.prove_company(opened, tokens, states, wide)


def read_of(manifest: Manifest, cases: Mapping[str, GoldenCase]) -> prove_translator.Read | None:
    """What the sources of a golden case became; None where nothing looks at sources."""
    if "encode" not in cases:
        return None
    step, given = manifest.graphs["step"], cases["encode"]
    lengths = given.inputs["lengths"]
    contexts = {t.name: given.outputs[t.name] for t in step.inputs if t.role == "context"}
    start = zeros(manifest, len(lengths)) | {
        s.input: given.outputs[s.start] for s in step.states if s.start != "zeros"
    }
    return prove_translator.Read(contexts, lengths, start)


def zeros(manifest: Manifest, rows: int) -> Arrays:
    """States of rows that begin at zeros, [N, *] each."""
    states = manifest.graphs["step"].states
    return {s.input: np.zeros((rows, *s.shape), np.float32) for s in states}


def reference_case(step: bytes, manifest: Manifest, cases: Mapping[str, GoldenCase]) -> GoldenCase:
    """What ONNX's reference answers to the inputs of the golden case.

    Raises:
        ParityError: ONNX Runtime answers something else.
    """
    tokens = cases["step"].inputs["token"][:, :STEPS]
    read = read_of(manifest, cases)
    answers = []
    for evaluator in (_Reference(step), parity.session(step)):
        if read is None:
            logits, _ = parity.step_by_step(evaluator, tokens, zeros(manifest, len(tokens)))
        else:
            logits, _ = prove_translator.step_by_step(evaluator, tokens, read)
        answers.append(logits)
    wanted, got = answers
    parity.compare("the graph in 8 bits", got, wanted, GOLDEN)
    return GoldenCase({"token": tokens}, {"logits": wanted})


class _Reference:
    """ONNX's reference in NumPy, called as ONNX Runtime is."""

    def __init__(self, content: bytes) -> None:
        self._evaluator = ReferenceEvaluator(Opened(content).model)

    def get_outputs(self) -> list[Any]:
        return list(self._evaluator.proto_.graph.output)

    def run(self, names: list[str], feeds: Arrays) -> list[Any]:
        return list(self._evaluator.run(names, feeds))


def worst(before: Sequence[Metric], after: Sequence[Metric]) -> float:
    """The largest loss of any figure, as a share of it; below zero if all have gained."""
    return max(lost(a, b) for a, b in zip(before, after, strict=True))


def lost(before: Metric, after: Metric) -> float:
    """By how much a figure is worse, as a share of it."""
    if not before.value:
        return 0.0 if before.value == after.value else math.inf
    change = (after.value - before.value) / abs(before.value)
    return change if before.name in LESS_IS_BETTER else -change


def card(before: Sequence[Metric], after: Sequence[Metric], step: bytes) -> str:
    """The part of a card that sets both precisions side by side."""
    rows = "\n".join(
        f"| {a.name}, {a.split} | {a.value:.4f} | {b.value:.4f} | {-lost(a, b):+.2%} |"
        for a, b in zip(before, after, strict=True)
    )
    size_mib = len(step) / 2**20
    return CARD.format(heading=HEADING, file=FILES["step"], size_mib=size_mib, rows=rows)
