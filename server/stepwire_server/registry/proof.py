"""The golden case, replayed: the proof that a bundle does here what it did there.

It is also the warm-up: it runs at every batch size and length that requests will use,
so that the first real request is not the slow one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from stepwire_server.engine.graph import (
    EmbeddingGraph,
    EncodeGraph,
    SequenceGraph,
    StepGraph,
    TaggingGraph,
)
from stepwire_server.engine.slots import State
from stepwire_server.engine.sources import Source, SourceBoard, View
from stepwire_zoo.errors import FileMismatch, GoldenMismatch
from stepwire_zoo.golden import GoldenCase, check
from stepwire_zoo.manifest import Golden


def prove_step(
    graph: StepGraph,
    case: GoldenCase,
    golden: Golden,
    most_rows: int,
    sources: Sequence[Source] = (),
) -> None:
    """Replays a golden case of T steps at every batch size up to a limit.

    Args:
        graph: the step graph.
        case: tokens [N, T] and logits [N, T, V], or features [N, T, F] and values
            [N, T, H, C] with whatever else the graph tells.
        golden: how exactly they must come out.
        most_rows: the limit.
        sources: [N], what each row of the case looks at, if it looks at anything.

    Raises:
        GoldenMismatch: a number does not come out as published.
        FileMismatch: the case lacks a tensor.
    """
    inputs, wanted = _tensors(case, graph.reads, graph.says)
    dimensions = 2 if graph.reads == "token" else 3
    if not inputs.size or inputs.ndim != dimensions or (sources and len(sources) != len(inputs)):
        raise FileMismatch(f"the golden case has {graph.reads} of shape {inputs.shape}")
    told = {role: case.outputs[role] for role in graph.roles & case.outputs.keys()}
    told[graph.says] = wanted
    for rows in _sizes(most_rows):
        of_row = np.arange(rows) % len(inputs)
        states, view = beginning(
            graph, [sources[row] for row in of_row.tolist()] if sources else [], rows
        )
        for step in range(inputs.shape[1]):
            with _refusing():
                stepped = graph.step(inputs[of_row, step], states, view, graph.roles)
            states = stepped.states
            for role, each in told.items():
                where = f"golden {role}, {rows} rows, step {step}, "
                check(where, stepped.extras[role], each[of_row, step], golden)


def beginning(graph: StepGraph, sources: Sequence[Source], rows: int) -> tuple[State, View | None]:
    """The states that rows begin with, and what they look at."""
    if not sources:
        return {name: np.repeat(start[None], rows, 0) for name, start in graph.start.items()}, None
    # Rows of different lengths step apart when they are served; a proof needs one width.
    bucket = max(source.bucket for source in sources)
    board = SourceBoard(rows)
    for slot, source in enumerate(sources):
        board.enter(slot, source.padded(bucket), owner=slot, sibling=0)
    board.arrange(np.arange(rows))
    states = {name: np.stack([source.start[name] for source in sources]) for name in graph.start}
    return states, board.view


def prove_encode(
    graph: EncodeGraph,
    buckets: tuple[int, ...],
    case: GoldenCase,
    golden: Golden,
    most_rows: int,
) -> list[Source]:
    """Replays the golden case of an encoder, and runs every length at every batch size.

    Returns:
        The sources of the case, [N].

    Raises:
        GoldenMismatch: a number does not come out as published.
        FileMismatch: the case lacks a tensor, or no bucket holds it.
    """
    tokens, lengths = _tensors(case, "tokens", "lengths")
    wanted = {name: _tensors(case, name)[0] for name in graph.outputs}
    if not tokens.size or tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
        raise FileMismatch(f"the golden case has sources of shape {tokens.shape}")
    if lengths.min() < 1 or lengths.max() > min(buckets[-1], tokens.shape[1]):
        raise FileMismatch(f"no bucket of {buckets} holds the golden case")
    with _refusing():
        values = graph.raw(tokens, lengths)
    for name, value in values.items():
        check(f"golden {name}, ", value, wanted[name], golden)
    for bucket in buckets:
        filler = np.resize(tokens[0, : lengths[0]], bucket)
        for rows in _sizes(most_rows):
            with _refusing():
                graph.run(np.tile(filler, (rows, 1)), np.full(rows, bucket))
    with _refusing():
        return graph.run(tokens, lengths)


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
    looked = _tensors(case, "attention")[0] if graph.attends else np.zeros(tokens.shape)
    if not tokens.size or tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
        raise FileMismatch(f"the golden case has texts of shape {tokens.shape}")
    if looked.shape != tokens.shape:
        raise FileMismatch(f"the golden case has attention of shape {looked.shape}")
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
                judged = graph.run(padded[of_row], lengths[of_row])
            where = f"{rows} rows of {bucket}, "
            logits = np.stack([each.logits for each in judged])
            check(f"golden logits, {where}", logits, wanted[of_row], golden)
            if graph.attends:
                shares = np.concatenate([np.asarray(each.attention) for each in judged])
                told = np.concatenate([looked[row, : lengths[row]] for row in of_row.tolist()])
                check(f"golden attention, {where}", shares, told, golden)


def with_characters(case: GoldenCase) -> GoldenCase:
    """The golden case of a tagger as its graph is run: tokens [N, T, 1 + C], lengths [N].

    Raises:
        FileMismatch: the case lacks a tensor, or they do not fit together.
    """
    tokens, characters, lengths, wanted = _tensors(
        case, "tokens", "characters", "lengths", "logits"
    )
    shapes = [tokens.shape, characters.shape, lengths.shape, wanted.shape]
    fits = len({shape[:2] for shape in (shapes[0], shapes[1], shapes[3])}) == 1
    if not tokens.size or [len(shape) for shape in shapes] != [2, 3, 1, 3] or not fits:
        raise FileMismatch(f"the golden case has texts of shapes {shapes}")
    if len(lengths) != len(tokens) or lengths.min() < 1 or lengths.max() > tokens.shape[1]:
        raise FileMismatch(f"the golden case has lengths {lengths.tolist()}")
    words = np.concatenate([tokens[:, :, None], characters], axis=2)
    return GoldenCase({"tokens": words, "lengths": lengths}, case.outputs)


def prove_tagging(
    graph: TaggingGraph,
    buckets: tuple[int, ...],
    case: GoldenCase,
    golden: Golden,
    most_rows: int,
) -> None:
    """The same for a tagger, and a golden case as `with_characters` gives it.

    Raises:
        GoldenMismatch: a number does not come out as published.
        FileMismatch: no bucket holds the case, or it lacks what is said of whole texts.
    """
    words, lengths, wanted = _tensors(case, "tokens", "lengths", "logits")
    judged = _tensors(case, "text_logits")[0] if graph.judges else np.zeros((len(words), 0))
    if len(judged) != len(words):
        raise FileMismatch(f"the golden case has text_logits of shape {judged.shape}")
    if lengths.max() > buckets[-1]:
        raise FileMismatch(f"no bucket of {buckets} holds the golden case")
    for bucket in buckets:
        held = np.flatnonzero(lengths <= bucket)
        if not len(held):
            _warm_up(graph, words[0, :bucket], most_rows)
            continue
        padded = np.zeros((len(words), bucket, words.shape[2]), np.int64)
        width = min(bucket, words.shape[1])
        padded[:, :width] = words[:, :width]
        for rows in _sizes(most_rows):
            of_row = held[np.arange(rows) % len(held)]
            with _refusing():
                tagged = graph.run(padded[of_row], lengths[of_row])
            for row, told in zip(of_row.tolist(), tagged, strict=True):
                where = f"{rows} rows of {bucket}, row {row}, "
                check(f"golden logits, {where}", told.logits, wanted[row, : lengths[row]], golden)
                if told.text_logits is not None:
                    check(f"golden text_logits, {where}", told.text_logits, judged[row], golden)


def prove_embedding(
    graph: EmbeddingGraph,
    buckets: tuple[int, ...],
    case: GoldenCase,
    golden: Golden,
    most_rows: int,
) -> None:
    """The same for word vectors: vectors and cosines.

    Raises:
        GoldenMismatch: a number does not come out as published.
        FileMismatch: the case lacks a tensor, or no bucket holds it.
    """
    tokens, lengths, *wanted = _tensors(case, "tokens", "lengths", "vector", "cosines")
    if not tokens.size or tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
        raise FileMismatch(f"the golden case has words of shape {tokens.shape}")
    if lengths.min() < 1 or lengths.max() > min(buckets[-1], tokens.shape[1]):
        raise FileMismatch(f"no bucket of {buckets} holds the golden case")
    for bucket in buckets:
        held = np.flatnonzero(lengths <= bucket)
        padded = np.zeros((len(tokens), bucket), np.int64)
        width = min(bucket, tokens.shape[1])
        padded[:, :width] = tokens[:, :width]
        if not len(held):
            _warm_up(graph, np.resize(tokens[0, : lengths[0]], bucket), most_rows)
            continue
        for rows in _sizes(most_rows):
            of_row = held[np.arange(rows) % len(held)]
            with _refusing():
                placed = graph.run(padded[of_row], lengths[of_row])
            for name, published, *told in zip(("vector", "cosines"), wanted, *placed, strict=True):
                where = f"golden {name}, {rows} rows of {bucket}, "
                check(where, np.stack(told), published[of_row], golden)


def _warm_up(
    graph: SequenceGraph | TaggingGraph | EmbeddingGraph, tokens: np.ndarray, most_rows: int
) -> None:
    """Runs a length for which there is no published answer; tokens [T] or [T, W]."""
    for rows in _sizes(most_rows):
        with _refusing():
            graph.run(np.repeat(tokens[None], rows, axis=0), np.full(rows, len(tokens)))


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
