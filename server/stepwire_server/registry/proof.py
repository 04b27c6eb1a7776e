"""The golden case, replayed: the proof that a bundle does here what it did there.

It is also the warm-up: it runs at every batch size and length that requests will use,
so that the first real request is not the slow one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from stepwire_server.engine.graph import SequenceGraph, StepGraph
from stepwire_zoo.errors import FileMismatch, GoldenMismatch
from stepwire_zoo.golden import GoldenCase, check
from stepwire_zoo.manifest import Golden


def prove_step(graph: StepGraph, case: GoldenCase, golden: Golden, most_rows: int) -> None:
    """Replays a golden case of T steps at every batch size up to a limit.

    Raises:
        GoldenMismatch: a number does not come out as published.
        FileMismatch: the case lacks a tensor.
    """
    tokens, wanted = _tensors(case, "token", "logits")  # [N, T] and [N, T, V]
    if not tokens.size or tokens.ndim != 2:
        raise FileMismatch(f"the golden case has tokens of shape {tokens.shape}")
    for rows in _sizes(most_rows):
        of_row = np.arange(rows) % len(tokens)
        states = {name: np.repeat(start[None], rows, 0) for name, start in graph.start.items()}
        for step in range(tokens.shape[1]):
            with _refusing():
                logits, states = graph.step(tokens[of_row, step], states)
            where = f"golden logits, {rows} rows, step {step}, "
            check(where, logits, wanted[of_row, step], golden)


def prove_sequence(
    graph: SequenceGraph,
    buckets: tuple[int, ...],
    case: GoldenCase,
    golden: Golden,
    most_rows: int,
) -> None:
    """Replays a golden case in every bucket that holds it, at every batch size to a limit.

    Raises:
        GoldenMismatch: a number does not come out as published.
        FileMismatch: the case lacks a tensor, or no bucket holds it.
    """
    tokens, lengths, wanted = _tensors(case, "tokens", "lengths", "logits")
    if not tokens.size or tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
        raise FileMismatch(f"the golden case has texts of shape {tokens.shape}")
    if lengths.min() < 1 or lengths.max() > min(buckets[-1], tokens.shape[1]):
        raise FileMismatch(f"no bucket of {buckets} holds the golden case")
    for bucket in buckets:
        held = np.flatnonzero(lengths <= bucket)
        if not len(held):
            _warm_up(graph, tokens[0, :bucket], most_rows)
            continue
        padded = np.zeros((len(tokens), bucket), np.int64)
        width = min(bucket, tokens.shape[1])
        padded[:, :width] = tokens[:, :width]
        for rows in _sizes(most_rows):
            of_row = held[np.arange(rows) % len(held)]
            with _refusing():
                logits = graph.run(padded[of_row], lengths[of_row])
            check(f"golden logits, {rows} rows of {bucket}, ", logits, wanted[of_row], golden)


def _warm_up(graph: SequenceGraph, tokens: np.ndarray, most_rows: int) -> None:
    """Runs a length for which there is no published answer."""
    for rows in _sizes(most_rows):
        with _refusing():
            graph.run(np.tile(tokens, (rows, 1)), np.full(rows, len(tokens)))


@contextmanager
def _refusing() -> Iterator[None]:
    """A graph that cannot even be run is the bundle's fault."""
    try:
        yield
    except Exception as error:  # of whatever class ONNX Runtime makes of it
        raise GoldenMismatch(f"the golden case cannot be run: {error}") from error


def _sizes(most: int) -> Iterator[int]:
    """Powers of two below the limit, and the limit."""
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


def _tensors(case: GoldenCase, *names: str) -> list[np.ndarray]:
    found = {**case.inputs, **case.outputs}
    missing = [name for name in names if name not in found]
    if missing:
        raise FileMismatch(f"the golden case has no tensor {missing[0]!r}")
    return [found[name] for name in names]
