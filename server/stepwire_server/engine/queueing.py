"""How requests wait for each other; the names are those of config.pbtxt."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """How long requests of one priority may wait."""

    max_queue_size: int = 0  # requests; 0: the server's own limit
    default_timeout_s: float = 0.0  # 0: none
    allow_timeout_override: bool = False  # by the request's own, if that is shorter
    delays: bool = False  # what timed out goes behind the others instead of being refused


@dataclass(frozen=True, kw_only=True)
class DynamicBatching:
    """How requests share a run."""

    preferred_batch_sizes: tuple[int, ...] = ()  # ascending; rows
    max_queue_delay_s: float = 0.0  # how long a batch waits for company when the model is idle
    priority_levels: int = 0  # 0: there is one
    default_priority_level: int = 0
    default_policy: QueuePolicy = field(default_factory=QueuePolicy)
    policies: dict[int, QueuePolicy] = field(default_factory=dict)  # by priority
