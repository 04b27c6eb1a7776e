"""From a bundle's folder to graphs and a tokenizer that are checked and proved."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from stepwire_server.config import PROVIDERS, BatchingConfig, RuntimeConfig
from stepwire_server.decoding.options import Limits, defaults
from stepwire_server.engine.graph import Graph, SequenceGraph, StepGraph, check_provider
from stepwire_server.errors import InvalidRequest, StartupError
from stepwire_server.registry.proof import prove_sequence, prove_step
from stepwire_server.registry.text import Tokenizer
from stepwire_zoo import golden
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import Manifest

G = TypeVar("G", StepGraph, SequenceGraph)


@dataclass(frozen=True, kw_only=True)
class Opened(Generic[G]):
    """What a model is made of."""

    spec: Manifest
    graph: G
    tokenizer: Tokenizer
    provider: str  # as ONNX Runtime names it


@dataclass(frozen=True, kw_only=True)
class Opener:
    """Opens bundles under one set of settings."""

    batching: BatchingConfig
    runtime: RuntimeConfig

    def open(self, bundle: Bundle) -> Opened[StepGraph] | Opened[SequenceGraph]:
        """Checks, loads and proves what a bundle holds.

        Raises:
            BundleError: why it is refused.
        """
        if bundle.manifest.task == "generation":
            return self.open_step(bundle)
        return self.open_sequence(bundle)

    def open_step(self, bundle: Bundle) -> Opened[StepGraph]:
        """Opens the bundle of a generator."""
        check_generation(bundle.manifest)
        opened, case = self._open(bundle, "step", StepGraph)
        prove_step(opened.graph, case, opened.spec.golden, self.batching.max_rows)
        return opened

    def open_sequence(self, bundle: Bundle) -> Opened[SequenceGraph]:
        """Opens the bundle of a classifier."""
        check_classification(bundle.manifest)
        opened, case = self._open(bundle, "sequence", SequenceGraph)
        buckets = opened.spec.graphs["sequence"].buckets
        prove_sequence(opened.graph, buckets, case, opened.spec.golden, self.batching.max_batch)
        return opened

    def _open(
        self, bundle: Bundle, role: str, kind: Callable[..., G]
    ) -> tuple[Opened[G], golden.GoldenCase]:
        spec, files = bundle.manifest, bundle.read_all()
        described = spec.graphs[role]
        graph = Graph(files[described.file], described, self._runtime_for(spec))
        opened = Opened(
            spec=spec,
            graph=kind(graph, described),
            tokenizer=Tokenizer(
                files[spec.tokenizer.file], spec.tokenizer, spec.limits.max_input_tokens
            ),
            provider=graph.provider,
        )
        cases = golden.unpack(files[spec.golden.file])
        return opened, cases.get(role, golden.GoldenCase())

    def _runtime_for(self, spec: Manifest) -> RuntimeConfig:
        """The manifest may name the providers that a model may run on."""
        if not spec.providers or self.runtime.provider in spec.providers:
            return self.runtime
        refusals = []
        for name in spec.providers:
            if name not in PROVIDERS:
                known = ", ".join(PROVIDERS)
                raise ManifestInvalid(f"providers: must be among {known}, got {name!r}")
            try:
                check_provider(name)
            except StartupError as error:
                refusals.append(str(error))
            else:
                return replace(self.runtime, provider=name)
        raise ManifestInvalid(f"providers: {refusals[0]}")


def limits_of(spec: Manifest) -> Limits:
    """What a generator's manifest allows requests to ask for."""
    return Limits(
        vocabulary_size=spec.tokenizer.vocabulary_size,
        max_input_tokens=spec.limits.max_input_tokens,
        max_new_tokens=spec.limits.max_new_tokens,
    )


def check_generation(spec: Manifest) -> None:
    """Raises ManifestInvalid where a manifest promises what a generator cannot do."""
    graph = spec.graphs.get("step")
    if graph is None:
        raise ManifestInvalid("graphs: task generation needs a step graph")
    if spec.limits.max_new_tokens < 1:
        raise ManifestInvalid("limits.max_new_tokens: must be at least 1 to generate")
    _check_width(spec, "step", spec.tokenizer.vocabulary_size, "tokens")
    for state in graph.states:
        if state.start != "zeros":
            raise ManifestInvalid(f"graphs.step.states: start {state.start!r} has no encode graph")
    try:
        defaults(limits_of(spec), spec.decoding)
    except InvalidRequest as error:
        raise ManifestInvalid(f"decoding: {error}") from error


def check_classification(spec: Manifest) -> None:
    """Raises ManifestInvalid where a manifest promises what a classifier cannot do."""
    graph = spec.graphs.get("sequence")
    if graph is None:
        raise ManifestInvalid("graphs: task classification needs a sequence graph")
    longest = graph.buckets[-1] if graph.buckets else 0
    if longest < spec.limits.max_input_tokens:
        raise ManifestInvalid("graphs.sequence.buckets: must reach limits.max_input_tokens")
    _check_width(spec, "sequence", len(spec.labels), "labels")


def _check_width(spec: Manifest, role: str, wanted: int, what: str) -> None:
    for tensor in spec.graphs[role].outputs:
        if tensor.role == "logits" and tensor.shape != (wanted,):
            raise ManifestInvalid(
                f"graphs.{role}.outputs: logits of shape {list(tensor.shape)} for {wanted} {what}"
            )
