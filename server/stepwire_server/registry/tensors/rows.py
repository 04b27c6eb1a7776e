"""Rows of whole sequences as named tensors: how long they are, and their way through a batcher.

Shapes: N rows, T positions of the longest row.
"""

from collections.abc import Callable, Sequence

from stepwire_server.engine.batcher import Batcher, Numbers, R, SequenceJob
from stepwire_server.engine.tensors import Asked, Cancel, Failed, Timing
from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.classification import Answers
from stepwire_server.registry.signature import TensorSpec
from stepwire_zoo.manifest import Manifest, Tensor


def by_role(spec: Manifest, *roles: str) -> tuple[Tensor, ...]:
    """The tensors of a sequence graph that play some roles."""
    graph = spec.graphs["sequence"]
    found = {tensor.role: tensor for tensor in (*graph.inputs, *graph.outputs)}
    return tuple(found[role] for role in roles)


def lengths_spec(lengths: Tensor) -> TensorSpec:
    """The lengths of the rows; left out, every row is as long as the tensor."""
    return TensorSpec(name=lengths.name, dtype=lengths.dtype, shape=(-1, 1), optional=True)


def logits_spec(logits: Tensor, labels: tuple[str, ...]) -> TensorSpec:
    """What a row gives."""
    shape = (-1, *logits.shape)
    return TensorSpec(name=logits.name, dtype=logits.dtype, shape=shape, labels=labels)


def counts(asked: Asked, tokens: str, lengths: str, longest: int) -> list[int]:
    """The lengths of the rows of a request, N of them.

    Args:
        asked: the request, with tokens [N, T] and perhaps lengths [N, 1].
        tokens: the name of the one.
        lengths: the name of the other.
        longest: that the model reads.

    Raises:
        InvalidRequest: one is empty or too long.
    """
    given, rows = asked.tensors.get(lengths), asked.tensors[tokens]
    width = rows.shape[1]
    found: list[int] = [width] * len(rows) if given is None else given.ravel().tolist()
    most = min(width, longest)
    for row, count in enumerate(found):
        if not 0 < count <= most:
            field = f"{tokens}[{row}]" if given is None else f"{lengths}[{row}]"
            raise InvalidRequest.of(field, f"have a length in [1, {most}]", count)
    return found


def run(
    batcher: Batcher[R],
    rows: Sequence[Numbers],
    asked: Asked,
    told: Callable[[Sequence[R], Timing], None],
    failed: Failed,
) -> Cancel:
    """Queues rows; calls `told` once with what all gave and when they ran, or `failed`.

    Raises:
        Overloaded, ShuttingDown: nothing was queued.
    """
    jobs: list[SequenceJob[R]] = []
    answers = Answers[R](len(rows), lambda results: told(results, jobs[-1].timing), failed)
    jobs += [
        SequenceJob[R](tokens=row, reader=answers, index=index, deadline=asked.deadline)
        for index, row in enumerate(rows)
    ]
    batcher.submit(jobs)
    return answers.leave
