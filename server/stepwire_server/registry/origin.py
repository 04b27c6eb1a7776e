"""What a state belongs to: one build of one model, and what computes its numbers."""

from dataclasses import dataclass

from stepwire_server.engine.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where states of one kind come from."""

    model: str
    version: str
    digest: str  # of the bundle
    numerics: str  # fingerprint of graph, provider, runtime and CPU
    layout: Layout
