"""The parts of config.pbtxt that say how requests wait for each other."""

from stepwire_server.engine.queueing import DynamicBatching, QueuePolicy
from stepwire_server.oip import inference_pb2 as pb
from stepwire_zoo.errors import ManifestInvalid

_US = 1e-6  # microseconds, as config.pbtxt counts


def dynamic_batching(said: pb.ModelDynamicBatching, max_batch_size: int) -> DynamicBatching:
    """Reads `dynamic_batching`.

    Raises:
        ManifestInvalid: a value makes no sense.
    """
    levels, default = said.priority_levels, said.default_priority_level
    _expect(
        default <= levels and (default > 0) == (levels > 0),
        "dynamic_batching.default_priority_level",
        f"be in [1, {levels}]" if levels else "be left out where there are no priority_levels",
        default,
    )
    for priority in said.priority_queue_policy:
        _expect(
            1 <= priority <= levels,
            "dynamic_batching.priority_queue_policy",
            f"be of priorities in [1, {levels}]",
            priority,
        )
    return DynamicBatching(
        preferred_batch_sizes=_preferred(
            "dynamic_batching", tuple(said.preferred_batch_size), max_batch_size
        ),
        max_queue_delay_s=said.max_queue_delay_microseconds * _US,
        priority_levels=levels,
        default_priority_level=default,
        default_policy=_policy(said.default_queue_policy),
        policies={
            priority: _policy(policy) for priority, policy in said.priority_queue_policy.items()
        },
    )


def sequence_queues(said: pb.ModelSequenceBatching, max_batch_size: int) -> DynamicBatching | None:
    """Reads what `direct` or `oldest` says of waiting; None where neither says anything."""
    if said.HasField("oldest"):
        sizes, delay = tuple(said.oldest.preferred_batch_size), said.oldest
        return DynamicBatching(
            preferred_batch_sizes=_preferred("oldest", sizes, max_batch_size),
            max_queue_delay_s=delay.max_queue_delay_microseconds * _US,
        )
    if said.HasField("direct"):
        return DynamicBatching(max_queue_delay_s=said.direct.max_queue_delay_microseconds * _US)
    return None


def _preferred(where: str, sizes: tuple[int, ...], max_batch_size: int) -> tuple[int, ...]:
    for size in sizes:
        _expect(
            1 <= size <= max_batch_size,
            f"{where}.preferred_batch_size",
            f"be in [1, {max_batch_size}], up to max_batch_size",
            size,
        )
    return tuple(sorted({*sizes}))


def _policy(said: pb.ModelQueuePolicy) -> QueuePolicy:
    return QueuePolicy(
        max_queue_size=said.max_queue_size,
        default_timeout_s=said.default_timeout_microseconds * _US,
        allow_timeout_override=said.allow_timeout_override,
        delays=said.timeout_action == pb.ModelQueuePolicy.DELAY,
    )


def _expect(holds: bool, field: str, allowed: str, got: object) -> None:
    if not holds:
        raise ManifestInvalid(f"config.pbtxt: {field} must {allowed}, got {got}")
