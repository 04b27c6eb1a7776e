"""Makes the two graphs of a translator and their golden cases, and proves them.

N sources, T padded positions of them or steps of a target, S padded positions of a
context, R rows, J groups, K places in a group, V tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from stepwire_training import parity
from stepwire_training.data.batches import Dataset
from stepwire_training.data.parallel import PairTexts
from stepwire_training.data.splitting import Ids
from stepwire_training.graphs.attend import decode_graph
from stepwire_training.graphs.described import CONTEXT_BUCKETS, describe_decode, describe_encode
from stepwire_training.graphs.encode import encode_graph
from stepwire_training.graphs.transformer_encode import (
    describe_transformer_encode,
    transformer_encode_graph,
)
from stepwire_training.graphs.transformer_step import (
    describe_transformer_step,
    transformer_step_graph,
)
from stepwire_training.models.encoder_decoder import EncoderDecoder
from stepwire_training.models.network import Network
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.models.translator import Translator
from stepwire_training.parity import ParityError
from stepwire_training.proved import GOLDEN, Proved
from stepwire_training.recipe import Recipe
from stepwire_zoo.golden import Arrays, GoldenCase
from stepwire_zoo.manifest import Graph

SOURCES = 4  # in the golden case
STEPS = 8
PLACES = 5  # in a group of rows that share a source, as a server has it


class Made(NamedTuple):
    """Both graphs, by role."""

    contents: dict[str, bytes]
    graphs: dict[str, Graph]  # what the manifest says of each


class Read(NamedTuple):
    """What a graph made of sources."""

    contexts: Arrays  # [N, S, *] each
    lengths: Ids  # [N]
    start: Arrays  # [N, *] each, by the state it begins


def prove_translator(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """Proves both graphs, on sentences the model did not learn from.

    Raises:
        ParityError: a graph does not compute what the model computes.
    """
    assert isinstance(model, EncoderDecoder)
    assert dataset.translations is not None
    sources, targets = golden_pairs(dataset, dataset.translations.begin)
    made = made_of(model, recipe.publication.buckets)
    encode, decode = made.contents["encode"], made.contents["step"]
    prove_encode(encode, model, sources, recipe.publication.buckets)
    cases = {
        "encode": encode_case(model, sources),
        "step": decode_case(model, sources, targets),
    }
    read = read_by(parity.session(encode), model, cases["encode"].inputs)
    difference = prove_decode(decode, model, cases, read)
    return Proved(
        graphs=made.graphs,
        contents=made.contents,
        cases=cases,
        difference=difference,
    )


def made_of(model: EncoderDecoder, buckets: tuple[int, ...]) -> Made:
    """The graphs of a model of either kind."""
    if isinstance(model, TransformerTranslator):
        return Made(
            {"encode": transformer_encode_graph(model), "step": transformer_step_graph(model)},
            {
                "encode": describe_transformer_encode(model, buckets),
                "step": describe_transformer_step(model),
            },
        )
    assert isinstance(model, Translator)
    return Made(
        {"encode": encode_graph(model), "step": decode_graph(model)},
        {"encode": describe_encode(model, buckets), "step": describe_decode(model)},
    )


def golden_pairs(dataset: Dataset, begin: int) -> tuple[list[Ids], Ids]:
    """Short sources of several lengths, and as many tokens of each target: [N, T]."""
    assert isinstance(dataset.dev, PairTexts)
    pairs = dataset.dev.pairs
    steps = min(STEPS, 1 + max(len(target) for _, target in pairs))
    long_enough = [pair for pair in pairs if len(pair[1]) + 1 >= steps and len(pair[0])]
    by_source = sorted(long_enough, key=lambda pair: len(pair[0]))
    places = np.linspace(0, len(by_source) // 2, num=SOURCES).astype(int)
    chosen = [by_source[place] for place in places]
    targets = np.stack([np.concatenate([[begin], target])[:steps] for _, target in chosen])
    return [source for source, _ in chosen], targets


def encode_case(model: EncoderDecoder, sources: Sequence[Ids], positions: int = 0) -> GoldenCase:
    """What PyTorch makes of each source alone; padded to [N, positions], or their longest."""
    lengths = np.array([len(source) for source in sources])
    tokens = parity.padded(sources, positions or int(lengths.max()))
    with torch.inference_mode():
        alone = [
            model.read(torch.from_numpy(source)[None], torch.tensor([len(source)]))
            for source in sources
        ]
    outputs = {
        name: np.concatenate([_behind(read.contexts[name], tokens.shape[1]) for read in alone])
        for name in alone[0].contexts
    }
    for part, name in enumerate(model.begun_names()):
        outputs[f"{name}_start"] = torch.cat([read.start[part] for read in alone]).numpy()
    return GoldenCase({"tokens": tokens, "lengths": lengths}, outputs)


def decode_case(model: EncoderDecoder, sources: Sequence[Ids], targets: Ids) -> GoldenCase:
    """What PyTorch answers when it reads targets [N, T] as wholes, beside each source alone."""
    with torch.inference_mode():
        logits = [
            model(torch.from_numpy(s)[None], torch.tensor([len(s)]), torch.from_numpy(t)[None], ())
            for s, t in zip(sources, targets, strict=True)
        ]
    return GoldenCase({"token": targets}, {"logits": torch.cat([a for a, _ in logits]).numpy()})


def prove_encode(
    graph: bytes, model: EncoderDecoder, sources: Sequence[Ids], buckets: Sequence[int]
) -> None:
    """Proves the encode graph at every padded length, and that it leaves zeros behind a source.

    Raises:
        ParityError: padding changes a row, the graph does not equal PyTorch, or a row
            depends on its neighbours.
    """
    opened = parity.session(graph)
    for positions in buckets:
        lengths = np.unique(np.linspace(1, positions, num=len(sources)).astype(int))
        fitted = [np.resize(source, n) for source, n in zip(sources, lengths, strict=False)]
        case = encode_case(model, fitted, positions)
        got = parity.run(opened, case.inputs)
        for name, wanted in case.outputs.items():
            parity.compare(f"{name} of sources at length {positions}", got[name], wanted, GOLDEN)
        for name in got.keys() - {f"{state}_start" for state in model.begun_names()}:
            if any(np.any(row[n:]) for row, n in zip(got[name], lengths, strict=True)):
                raise ParityError(f"{name} is not zero behind a source at length {positions}")
        parity.prove_rows_stand_alone(opened, case.inputs)


def read_by(graph: ort.InferenceSession, model: EncoderDecoder, inputs: Arrays) -> Read:
    """Runs the encode graph; what decoding begins with."""
    outputs = parity.run(graph, inputs)
    with torch.inference_mode():
        read = model.read(torch.from_numpy(inputs["tokens"]), torch.from_numpy(inputs["lengths"]))
        begun = model.begin(read)
    start = {name: part.numpy() for name, part in zip(model.state_names(), begun, strict=True)}
    start |= {name: outputs.pop(f"{name}_start") for name in model.begun_names()}
    return Read(outputs, inputs["lengths"], start)


def prove_decode(
    graph: bytes, model: EncoderDecoder, cases: dict[str, GoldenCase], read: Read
) -> float:
    """Proves the step graph; the answer is the largest difference of any logit.

    Raises:
        ParityError: chunks do not equal the whole, the graph does not equal PyTorch, or a
            row depends on its neighbours or on its place.
    """
    tokens, wanted = cases["step"].inputs["token"], cases["step"].outputs["logits"]
    chunked = _in_chunks(model, cases["encode"].inputs, tokens)
    parity.compare("PyTorch in chunks", chunked, wanted, GOLDEN)
    opened = parity.session(graph)
    for bucket in CONTEXT_BUCKETS:
        wide = read._replace(contexts={n: widened(c, bucket) for n, c in read.contexts.items()})
        got, states = step_by_step(opened, tokens, wide)
        parity.compare(f"the graph step by step at length {bucket}", got, wanted, GOLDEN)
        prove_company(opened, tokens, states, wide)
    return float(np.abs(got - wanted).max())


def step_by_step(
    graph: parity.Runs, tokens: Ids, read: Read
) -> tuple[NDArray[np.float32], list[Arrays]]:
    """Runs the step graph over tokens [N, T]; answers logits [N, T, V], states before each step."""
    rows = np.arange(len(tokens))
    seen = looked_at(read, sources=rows, places=rows * PLACES)
    states, logits = [read.start], []
    for position in range(tokens.shape[1]):
        outputs = parity.run(graph, {"token": tokens[:, position], **states[-1], **seen})
        states.append({name: outputs[f"{name}_next"] for name in read.start})
        logits.append(outputs["logits"])
    return np.stack(logits, axis=1), states[:-1]


def looked_at(read: Read, sources: Ids, places: Ids) -> Arrays:
    """The inputs that say what rows look at.

    Args:
        read: the sources.
        sources: [J], which of them each group looks at.
        places: [R], where each row stands, counted through all groups.
    """
    rows = np.zeros(len(sources) * PLACES, np.int64)
    rows[places] = np.arange(len(places))
    inputs = {name: context[sources] for name, context in read.contexts.items()}
    inputs["lengths"] = read.lengths[sources]
    return inputs | {"rows": rows.reshape(-1, PLACES), "places": places}


def prove_company(
    graph: ort.InferenceSession, tokens: Ids, states: list[Arrays], read: Read
) -> None:
    """Proves that a row's result is bitwise the same in any company, at any place of a group.

    Args:
        graph: the step graph.
        tokens: [N, T].
        states: before each of the T steps, [N, *] each.
        read: the N sources.

    Raises:
        ParityError: a row depends on its neighbours or on its place.
    """
    kinds = [(source, step) for source in range(len(tokens)) for step in range(tokens.shape[1])]
    rng = np.random.default_rng(0)
    alone = [_stepped(graph, tokens, states, read, [kind], rng) for kind in kinds]
    for size in parity.BATCH_SIZES:
        chosen = rng.integers(len(kinds), size=size)
        together = _stepped(graph, tokens, states, read, [kinds[kind] for kind in chosen], rng)
        for name, value in together.items():
            wanted = np.concatenate([alone[kind][name] for kind in chosen])
            if not np.array_equal(value, wanted):
                worst = np.abs(value - wanted).max()
                raise ParityError(f"{name} of a row changes by {worst} among {size} rows")


def _stepped(
    graph: ort.InferenceSession,
    tokens: Ids,
    states: list[Arrays],
    read: Read,
    kinds: list[tuple[int, int]],
    rng: np.random.Generator,
) -> Arrays:
    """One step of rows, each at its own source and step, at places drawn at random."""
    groups: list[tuple[int, list[int]]] = []  # a source, the places that are left
    places = []
    for source, _ in kinds:
        open_ones = [n for n, (of, left) in enumerate(groups) if of == source and left]
        if not open_ones:
            groups.append((source, rng.permutation(PLACES)[: rng.integers(1, 6)].tolist()))
            open_ones = [len(groups) - 1]
        places.append(open_ones[0] * PLACES + groups[open_ones[0]][1].pop())
    feeds = looked_at(read, np.array([source for source, _ in groups]), np.array(places))
    feeds["token"] = np.array([tokens[kind] for kind in kinds])
    for name in states[0]:
        feeds[name] = np.stack([states[step][name][source] for source, step in kinds])
    return parity.run(graph, feeds)


def _in_chunks(model: EncoderDecoder, inputs: Arrays, tokens: Ids) -> NDArray[np.float32]:
    """Logits [N, T, V] of targets read in three chunks that carry their state."""
    pieces = []
    with torch.inference_mode():
        read = model.read(torch.from_numpy(inputs["tokens"]), torch.from_numpy(inputs["lengths"]))
        state = model.begin(read)
        for chunk in torch.from_numpy(tokens).tensor_split(3, dim=1):
            logits, _, state = model.write(chunk, read, state)
            pieces.append(logits)
    return torch.cat(pieces, dim=1).numpy()


def widened(context: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """A context [N, T, *] as [N, S, *], zeros behind."""
    result = np.zeros((len(context), size, context.shape[2]), np.float32)
    result[:, : context.shape[1]] = context
    return result


def _behind(x: torch.Tensor, positions: int) -> NDArray[np.float32]:
    return widened(x.numpy(), positions)
