"""From a bundle's folder to graphs and a tokenizer that are checked and proved."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from stepwire_server.config import PROVIDERS, BatchingConfig, RuntimeConfig
from stepwire_server.decoding.options import Limits, defaults
from stepwire_server.engine.graph import (
    EncodeGraph,
    Graph,
    SequenceGraph,
    StepGraph,
    TaggingGraph,
)
from stepwire_server.engine.runtime import check_provider
from stepwire_server.errors import InvalidRequest, StartupError
from stepwire_server.registry.proof import (
    prove_encode,
    prove_sequence,
    prove_step,
    prove_tagging,
)
from stepwire_server.registry.text import Tokenizer
from stepwire_server.registry.words import MOST_CHARACTERS, UNKNOWN_WORD, Words
from stepwire_zoo import golden
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import Manifest
from stepwire_zoo.spelling import PADDING


class Translator(NamedTuple):
    """The two graphs of a translator, and how it reads."""

    encode: EncodeGraph
    step: StepGraph
    source_tokenizer: Tokenizer


class Forecaster(NamedTuple):
    """A step graph that reads a series."""

    spec: Manifest
    step: StepGraph
    provider: str


class Tagger(NamedTuple):
    """The graph of a tagger, and how it reads."""

    graph: TaggingGraph
    words: Words


G = TypeVar("G", StepGraph, SequenceGraph, TaggingGraph, Translator, Tagger)


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

    def open(
        self, bundle: Bundle
    ) -> (
        Opened[StepGraph] | Opened[SequenceGraph] | Opened[Tagger] | Opened[Translator] | Forecaster
    ):
        """Checks, loads and proves what a bundle holds.

        Raises:
            BundleError: why it is refused.
        """
        openers: dict[str, Callable[[Bundle], Any]] = {
            "generation": self.open_step,
            "classification": self.open_along if _steps(bundle) else self.open_sequence,
            "tagging": self.open_tagger,
            "translation": self.open_translator,
            "forecasting": self.open_forecaster,
        }
        return openers[bundle.manifest.task](bundle)

    def open_step(self, bundle: Bundle) -> Opened[StepGraph]:
        """Opens the bundle of a generator."""
        check_generation(bundle.manifest, self.limits_of(bundle.manifest))
        opened, case = self._open(bundle, "step", StepGraph)
        prove_step(opened.graph, case, opened.spec.golden, self.batching.most_in_a_run)
        return opened

    def open_sequence(self, bundle: Bundle) -> Opened[SequenceGraph]:
        """Opens the bundle of a classifier."""
        check_classification(bundle.manifest)
        opened, case = self._open(bundle, "sequence", SequenceGraph)
        buckets = opened.spec.graphs["sequence"].buckets
        prove_sequence(opened.graph, buckets, case, opened.spec.golden, self.batching.max_batch)
        return opened

    def open_tagger(self, bundle: Bundle) -> Opened[Tagger]:
        """Opens the bundle of a tagger."""
        width = check_tagging(bundle.manifest)
        opened, case = self._open(bundle, "sequence", TaggingGraph)
        spec, most = opened.spec, self.batching.max_batch
        prove_tagging(opened.graph, spec.graphs["sequence"].buckets, case, spec.golden, most)
        read = spec.characters
        assert read is not None
        characters = Tokenizer(bundle.read(read.file), read, MOST_CHARACTERS)
        words = Words(opened.tokenizer, characters, spec, width)
        return Opened(
            spec=spec,
            graph=Tagger(opened.graph, words),
            tokenizer=opened.tokenizer,
            provider=opened.provider,
        )

    def open_along(self, bundle: Bundle) -> Opened[StepGraph]:
        """Opens the bundle of a classifier that judges texts while they are read."""
        _check_width(bundle.manifest, "step", len(bundle.manifest.labels), "labels")
        opened, case = self._open(bundle, "step", StepGraph)
        prove_step(opened.graph, case, opened.spec.golden, self.batching.most_in_a_run)
        return opened

    def open_forecaster(self, bundle: Bundle) -> Forecaster:
        """Opens the bundle of a model that reads a series."""
        files, described = bundle.read_all(), bundle.manifest.graphs["step"]
        graph = Graph(files[described.file], described, self._runtime_for(bundle.manifest))
        step = StepGraph(graph, described)
        case = golden.unpack(files[bundle.manifest.golden.file]).get("step", golden.GoldenCase())
        prove_step(step, case, bundle.manifest.golden, self.batching.most_in_a_run)
        return Forecaster(bundle.manifest, step, graph.provider)

    def open_translator(self, bundle: Bundle) -> Opened[Translator]:
        """Opens the bundle of a translator."""
        spec = bundle.manifest
        check_translation(spec, self.limits_of(spec))
        step, case = self._open(bundle, "step", StepGraph)
        files = bundle.read_all()
        runtime, described = self._runtime_for(spec), spec.graphs["encode"]
        graph = Graph(files[described.file], described, runtime)
        encode = EncodeGraph(graph, described, spec.graphs["step"])
        read = spec.source_tokenizer or spec.tokenizer
        source_tokenizer = Tokenizer(files[read.file], read, spec.limits.max_input_tokens)
        given = golden.unpack(files[spec.golden.file]).get("encode", golden.GoldenCase())
        sources = prove_encode(
            encode, described.buckets, given, spec.golden, self.batching.max_batch
        )
        prove_step(step.graph, case, spec.golden, self.batching.max_rows, sources)
        return Opened(
            spec=spec,
            graph=Translator(encode, step.graph, source_tokenizer),
            tokenizer=step.tokenizer,
            provider=step.provider,
        )

    def limits_of(self, spec: Manifest) -> Limits:
        """What a bundle and the server's settings allow requests to ask for."""
        vocabulary = spec.tokenizer.vocabulary_size
        widest = min(self.batching.max_beam_width, self.batching.max_rows, vocabulary // 2)
        step = spec.graphs.get("step")
        return Limits(
            vocabulary_size=vocabulary,
            max_input_tokens=spec.limits.max_input_tokens,
            max_new_tokens=spec.limits.max_new_tokens,
            max_beam_width=max(1, widest),
            attends=bool(step and any(tensor.role == "attention" for tensor in step.outputs)),
        )

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


def _steps(bundle: Bundle) -> bool:
    """Whether a classifier reads token by token, and not whole texts."""
    return "step" in bundle.manifest.graphs and "sequence" not in bundle.manifest.graphs


def check_generation(spec: Manifest, limits: Limits) -> None:
    """Raises ManifestInvalid where a manifest promises what a generator cannot do."""
    graph = spec.graphs.get("step")
    if graph is None:
        raise ManifestInvalid(f"graphs: task {spec.task} needs a step graph")
    if spec.limits.max_new_tokens < 1:
        raise ManifestInvalid("limits.max_new_tokens: must be at least 1 to generate")
    _check_width(spec, "step", spec.tokenizer.vocabulary_size, "tokens")
    encode = spec.graphs.get("encode")
    known = {tensor.name for tensor in encode.outputs if tensor.role == "start"} if encode else ()
    for state in graph.states:
        if state.start != "zeros" and encode is None:
            raise ManifestInvalid(f"graphs.step.states: start {state.start!r} has no encode graph")
        if state.start != "zeros" and state.start not in known:
            raise ManifestInvalid(f"graphs.step.states: start {state.start!r} is no such output")
    try:
        defaults(limits, spec.decoding)
    except InvalidRequest as error:
        raise ManifestInvalid(f"decoding: {error}") from error


def check_translation(spec: Manifest, limits: Limits) -> None:
    """Raises ManifestInvalid where a manifest promises what a translator cannot do."""
    encode = spec.graphs.get("encode")
    if encode is None:
        raise ManifestInvalid("graphs: task translation needs an encode graph")
    check_generation(spec, limits)
    if spec.tokenizer.begin is None or spec.tokenizer.end is None:
        raise ManifestInvalid("tokenizer: a translator needs a begin and an end token")
    for role in ("encode", "step"):
        buckets = spec.graphs[role].buckets
        if not buckets or buckets[-1] < spec.limits.max_input_tokens:
            raise ManifestInvalid(f"graphs.{role}.buckets: must reach limits.max_input_tokens")
    given = {t.name: (t.dtype, t.shape) for t in encode.outputs if t.role == "context"}
    wanted = {t.name: (t.dtype, t.shape) for t in spec.graphs["step"].inputs if t.role == "context"}
    if given != wanted:
        raise ManifestInvalid(f"graphs: encode gives contexts {given}, step takes {wanted}")
    if any(shape[:1] != (-1,) for _, shape in given.values()):
        raise ManifestInvalid("graphs.encode.outputs: axis 1 of a context is the source: -1")


def check_classification(spec: Manifest) -> None:
    """Raises ManifestInvalid where a manifest promises what a classifier cannot do."""
    graph = spec.graphs.get("sequence")
    if graph is None:
        raise ManifestInvalid("graphs: task classification needs a sequence or a step graph")
    longest = graph.buckets[-1] if graph.buckets else 0
    if longest < spec.limits.max_input_tokens:
        raise ManifestInvalid("graphs.sequence.buckets: must reach limits.max_input_tokens")
    _check_width(spec, "sequence", len(spec.labels), "labels")


def check_tagging(spec: Manifest) -> int:
    """Raises ManifestInvalid where a manifest promises what a tagger cannot do.

    Returns:
        How many characters the graph reads of a word.
    """
    graph = spec.graphs.get("sequence")
    if graph is None:
        raise ManifestInvalid("graphs: task tagging needs a sequence graph")
    if spec.characters is None:
        raise ManifestInvalid("characters: task tagging needs a tokenizer of words' characters")
    if (spec.characters.pad, spec.tokenizer.unknown) != (PADDING, UNKNOWN_WORD):
        raise ManifestInvalid("characters.pad and tokenizer.unknown: must be 0 for task tagging")
    if spec.characters.unknown is None:
        raise ManifestInvalid("characters.unknown: is missing, words may hold any characters")
    longest = graph.buckets[-1] if graph.buckets else 0
    if longest < spec.limits.max_input_tokens:
        raise ManifestInvalid("graphs.sequence.buckets: must reach limits.max_input_tokens")
    shapes = {tensor.role: tensor.shape for tensor in (*graph.inputs, *graph.outputs)}
    if shapes.get("logits") != (-1, len(spec.labels)):
        raise ManifestInvalid(
            f"graphs.sequence.outputs: logits of shape {list(shapes.get('logits', ()))}, "
            f"not [-1, {len(spec.labels)}] for {len(spec.labels)} labels"
        )
    read = shapes.get("characters", ())
    if len(read) != 2 or read[1] < 1:
        raise ManifestInvalid(f"graphs.sequence.inputs: characters of shape {list(read)}")
    return read[1]


def _check_width(spec: Manifest, role: str, wanted: int, what: str) -> None:
    for tensor in spec.graphs[role].outputs:
        if tensor.role == "logits" and tensor.shape != (wanted,):
            raise ManifestInvalid(
                f"graphs.{role}.outputs: logits of shape {list(tensor.shape)} for {wanted} {what}"
            )
