"""Lets prompts begin where others have been, and keeps the states that make it possible.

The engine asks when a job begins, not when it is queued: what was read while it waited counts.
"""

import threading

from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.job import Job, Row
from stepwire_server.engine.prefixes import Node, PrefixTree
from stepwire_server.metrics import ModelMetrics


class PrefixCache:
    """The states behind the beginnings of one model's prompts. Any thread may call it."""

    def __init__(self, tree: PrefixTree, metrics: ModelMetrics, *, isolated: bool) -> None:
        """Makes a cache.

        Args:
            tree: what it keeps, empty.
            metrics: of the model.
            isolated: whether callers are kept apart.
        """
        self._tree = tree
        self._metrics = metrics
        self._isolated = isolated
        self._lock = threading.Lock()
        self._told_bytes = 0

    def begin(self, job: Job) -> None:
        """Spares a job that begins what is known of its prompt, and says what it should keep."""
        beginning = job.beginning
        if beginning is None:
            return
        if not self._isolated:
            beginning = beginning._replace(owner="")
        with self._lock:
            known = self._tree.begin(beginning)
            self._measure()
        if known is None:
            return
        (row,) = job.rows
        row.position, row.packed, row.keeps = known.depth, known.packed, known.wanted
        _aim(row)
        (self._metrics.prefix_hits if known.depth else self._metrics.prefix_misses).inc()
        self._metrics.prefix_tokens.inc(known.depth)

    def keep(self, batch: RunningBatch) -> None:
        """Keeps the states of the rows that a step has taken to where one is wanted."""
        due, batch.due = batch.due, []
        wanted: dict[Node, Row] = {}  # prompts that are read together arrive together
        with self._lock:
            for row in due:
                node = row.keeps.pop()
                _aim(row)
                if row.slot >= 0 and self._tree.wants(node):
                    wanted[node] = row
        if not wanted:
            return
        states = batch.pack([*wanted.values()])
        with self._lock:
            for node, packed in zip(wanted, states, strict=True):
                if self._tree.wants(node):  # keeping one may have pushed out another
                    self._tree.keep(node, packed)
            self._measure()

    def clear(self) -> None:
        """Forgets everything: the model is going."""
        with self._lock:
            self._tree.clear()
            self._measure()

    def _measure(self) -> None:
        """Tells how much more it takes; a model that takes the place of one may run beside it."""
        self._metrics.prefix_bytes.inc(self._tree.size_bytes - self._told_bytes)
        self._told_bytes = self._tree.size_bytes


def _aim(row: Row) -> None:
    """Has the batch look out for the next place."""
    row.keep_at = row.keeps[-1].depth if row.keeps else 0
