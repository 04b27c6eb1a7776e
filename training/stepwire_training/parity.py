"""Proves that a graph computes what PyTorch computes. No parity, no bundle.

N rows, T positions.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor

from stepwire_training.data.splitting import Ids
from stepwire_training.models.network import Network
from stepwire_zoo.errors import GoldenMismatch
from stepwire_zoo.golden import Arrays, GoldenCase, check
from stepwire_zoo.manifest import Golden

TOKEN = "token"  # what a step reads, unless its graph names it otherwise
BATCH_SIZES = (1, 2, 3, 5, 8, 16, 32, 64, 128)  # of which none may change a row


# Types of states, as ONNX Runtime names them.
KINDS = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class ParityError(Exception):
    """The graph does not compute what the model computes; nothing is published."""


class Runs(Protocol):
    """A graph that can be run, as ONNX Runtime has it."""

    def get_outputs(self) -> Sequence[Any]:
        """What it gives; each has a name."""
        ...

    def run(self, names: list[str], feeds: Arrays) -> Sequence[Any]:
        """Runs it; gives outputs in the order of their names."""
        ...


def session(graph: bytes) -> ort.InferenceSession:
    """Opens a graph as a server does: one thread, on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run(graph: Runs, feeds: Arrays) -> Arrays:
    """Runs a graph; the answer is its outputs by name."""
    names = [output.name for output in graph.get_outputs()]
    return dict(zip(names, graph.run(names, feeds), strict=True))


def step_case(model: Network, tokens: Ids, reads: str = TOKEN) -> GoldenCase:
    """What PyTorch answers when it reads tokens [N, T], or [N, T, *], as whole sequences."""
    with torch.inference_mode():
        logits, _ = model(torch.from_numpy(tokens), model.start(len(tokens)))
    return GoldenCase({reads: tokens}, {"logits": logits.numpy()})


def sequence_case(model: Network, texts: Sequence[Ids], positions: int) -> GoldenCase:
    """What PyTorch answers to each text alone; the inputs are padded to [N, positions]."""
    with torch.inference_mode():
        alone = [model.told(*_batch_of_one(text)) for text in texts]
    inputs = {"tokens": padded(texts, positions), "lengths": np.array([len(t) for t in texts])}
    outputs = {
        name: np.concatenate([told[name].numpy() for told in alone])
        for name in alone[0].keys() - {"attention"}
    }
    if "attention" in alone[0]:
        outputs["attention"] = _widened([told["attention"][0] for told in alone], positions)
    return GoldenCase(inputs, outputs)


def prove_step(
    graph: bytes, model: Network, case: GoldenCase, golden: Golden, reads: str = TOKEN
) -> float:
    """Proves a step graph; the answer is the largest difference of any logit.

    Args:
        graph: the graph.
        model: what it should compute.
        case: what the model answered.
        golden: how exactly it must come out.
        reads: the name of the graph's input that is no state.

    Raises:
        ParityError: chunks do not equal the whole, the graph does not equal PyTorch, or a
            row depends on its neighbours.
    """
    tokens, wanted = case.inputs[reads], case.outputs["logits"]
    compare("PyTorch in chunks", _in_chunks(model, torch.from_numpy(tokens)), wanted, golden)
    opened = session(graph)
    starts = {
        part.name: np.zeros((len(tokens), *part.shape[1:]), KINDS[part.type])
        for part in opened.get_inputs()
        if part.name != reads
    }
    got, last = step_by_step(opened, tokens, starts, reads)
    compare("the graph step by step", got, wanted, golden)
    prove_rows_stand_alone(opened, {reads: tokens[:, -1], **last})
    return float(np.abs(got - wanted).max())


def step_by_step(
    graph: Runs, tokens: Ids, states: Arrays, reads: str = TOKEN
) -> tuple[NDArray[np.float32], Arrays]:
    """Runs a step graph over tokens [N, T]; answers logits [N, T, V] and the last states."""
    logits = []
    for position in range(tokens.shape[1]):
        outputs = run(graph, {reads: tokens[:, position], **states})
        states = {name: outputs[f"{name}_next"] for name in states}
        logits.append(outputs["logits"])
    return np.stack(logits, axis=1), states


def prove_sequence(
    graph: bytes, model: Network, texts: Sequence[Ids], buckets: Sequence[int], golden: Golden
) -> float:
    """Proves a sequence graph at every padded length; the answer is the largest difference.

    It is that of any logit, or of any output where there are none.

    Raises:
        ParityError: padding changes a row, the graph does not equal PyTorch, or a row
            depends on its neighbours.
    """
    opened = session(graph)
    differences = []
    for positions in buckets:
        # Cut and repeated texts fill every bucket, from a single token to its very end.
        lengths = np.unique(np.linspace(1, positions, num=len(texts)).astype(int))
        fitted = [np.resize(text, n) for text, n in zip(texts, lengths, strict=False)]
        case = sequence_case(model, fitted, positions)
        got = run(opened, case.inputs)
        for name, wanted in case.outputs.items():
            compare(f"{name} of the graph at length {positions}", got[name], wanted, golden)
        prove_rows_stand_alone(opened, case.inputs)
        named = ["logits"] if "logits" in case.outputs else list(case.outputs)
        differences += [float(np.abs(got[name] - case.outputs[name]).max()) for name in named]
    return max(differences)


def prove_rows_stand_alone(graph: ort.InferenceSession, feeds: Arrays) -> None:
    """Proves that a row's result is bitwise the same whatever shares its batch.

    Args:
        graph: the graph.
        feeds: some rows, [N, ...] each; they are repeated to fill larger batches.

    Raises:
        ParityError: a row depends on its neighbours.
    """
    rows = len(next(iter(feeds.values())))
    single = [
        run(graph, {name: value[row : row + 1] for name, value in feeds.items()})
        for row in range(rows)
    ]
    for size in BATCH_SIZES:
        order = np.arange(size) % rows
        batch = run(graph, {name: value[order] for name, value in feeds.items()})
        for name, value in batch.items():
            alone = np.concatenate([single[row][name] for row in order])
            if not np.array_equal(value, alone):
                worst = np.abs(value - alone).max()
                raise ParityError(f"{name} of a row changes by {worst} in a batch of {size}")


def padded(texts: Sequence[Ids], positions: int) -> Ids:
    """Texts as rows [N, positions], zeros behind each."""
    result = np.zeros((len(texts), positions), dtype=np.int64)
    for row, text in zip(result, texts, strict=True):
        row[: len(text)] = text
    return result


def _widened(rows: Sequence[Tensor], positions: int) -> NDArray[np.float32]:
    """What tokens of texts weigh, [T] each, as rows [N, positions]; padding weighs nothing."""
    result = np.zeros((len(rows), positions), np.float32)
    for row, weights in zip(result, rows, strict=True):
        row[: len(weights)] = weights
    return result


def _in_chunks(model: Network, tokens: Tensor) -> NDArray[np.float32]:
    """Logits [N, T, V] of tokens read in three chunks that carry their state."""
    state, pieces = model.start(len(tokens)), []
    with torch.inference_mode():
        for chunk in tokens.tensor_split(3, dim=1):
            logits, state = model(chunk, state)
            pieces.append(logits)
    return torch.cat(pieces, dim=1).numpy()


def _batch_of_one(text: Ids) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(text)[None], torch.tensor([len(text)])


def compare(
    where: str, got: NDArray[np.float32], wanted: NDArray[np.float32], golden: Golden
) -> None:
    """Raises ParityError if two arrays differ by more than is allowed."""
    try:
        check(where, got, wanted, golden)
    except GoldenMismatch as error:
        raise ParityError(str(error)) from error
