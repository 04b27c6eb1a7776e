"""What became of the requests to each model."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from stepwire_server.engine.tensors import Timing


@dataclass(slots=True)
class Share:
    """Runs, and where their time went; a run is shared by the requests in it."""

    runs: float = 0.0
    input_s: float = 0.0
    infer_s: float = 0.0
    output_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Counters:
    """The requests to one version of one model, under one of its names."""

    succeeded: int = 0
    succeeded_s: float = 0.0  # from arrival to answer
    failed: int = 0
    failed_s: float = 0.0
    queue_s: float = 0.0
    input_s: float = 0.0
    infer_s: float = 0.0
    output_s: float = 0.0
    rows: int = 0
    runs: float = 0.0  # of each run, the part that was these requests'
    last_at: float = 0.0  # of the wall clock, in seconds
    runs_by_rows: dict[int, Share] = field(default_factory=dict)

    def succeed(self, rows: int, total_s: float, timing: Timing) -> None:
        """Counts an answer."""
        self.succeeded += 1
        self.succeeded_s += total_s
        self.queue_s += timing.queue_s
        self.input_s += timing.input_s
        # A model that does not say where its time went has spent it on its work.
        self.infer_s += timing.infer_s or total_s - timing.queue_s
        self.output_s += timing.output_s
        self.rows += rows
        self.last_at = time.time()
        batch = max(timing.batch, rows)
        part = rows / batch
        self.runs += part
        share = self.runs_by_rows.get(batch)
        if share is None:
            share = self.runs_by_rows[batch] = Share()
        share.runs += part
        share.input_s += part * timing.input_s
        share.infer_s += part * timing.infer_s
        share.output_s += part * timing.output_s

    def fail(self, total_s: float) -> None:
        """Counts a request that was begun in vain."""
        self.failed += 1
        self.failed_s += total_s


class Statistics:
    """The counters of every model that was asked, since the server has started."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str], Counters] = {}

    def of(self, name: str, version: str) -> Counters:
        """The counters of one model."""
        return self._counters.setdefault((name, version), Counters())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names and versions."""
        return iter(sorted(self._counters))
