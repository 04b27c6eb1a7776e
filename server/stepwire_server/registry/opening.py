"""From a bundle's folder to graphs and a tokenizer that are checked and proved."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from stepwire_server.config import PROVIDERS, BatchingConfig, RuntimeConfig
from stepwire_server.decoding.options import Limits, defaults
from stepwire_server.engine.graph import (
    EmbeddingGraph,
    EncodeGraph,
    Graph,
    SequenceGraph,
    StepGraph,
    TaggingGraph,
)
from stepwire_server.engine.runtime import check_provider
from stepwire_server.errors import InvalidRequest, StartupError
from stepwire_server.registry.alone import steps_stand_alone, texts_stand_alone
from stepwire_server.registry.embedding_checks import check_embedding
from stepwire_server.registry.known_words import KnownWords, Parts
from stepwire_server.registry.proof import (
    prove_embedding,
    prove_encode,
    prove_sequence,
    prove_step,
    prove_tagging,
    with_characters,
)
from stepwire_server.registry.tagger_checks import check_tagging, check_word_tagging
from stepwire_server.registry.text import Tokenizer
from stepwire_server.registry.words import MOST_CHARACTERS, Words
from stepwire_zoo import golden, manifest
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.errors import BatchDependent, ManifestInvalid
from stepwire_zoo.manifest import FLOAT32, Manifest


class _Part(NamedTuple):
    """One graph, and what proves it."""

    described: manifest.Graph
    graph: Graph
    case: golden.GoldenCase
    golden: manifest.Golden
    files: dict[str, bytes]  # of the whole bundle


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
    stands_alone: bool


class Tagger(NamedTuple):
    """The graph of a tagger, and how it reads."""

    graph: TaggingGraph
    words: Words


class WordTagger(NamedTuple):
    """The graph of a tagger that reads word by word, and how."""

    graph: StepGraph
    words: Words


class WordVectors(NamedTuple):
    """The graph of word vectors, and how words are looked up."""

    graph: EmbeddingGraph
    words: KnownWords


G = TypeVar("G", StepGraph, SequenceGraph, Translator, Tagger, WordTagger, WordVectors)


@dataclass(frozen=True, kw_only=True)
class Opened(Generic[G]):
    """What a model is made of."""

    spec: Manifest
    graph: G
    tokenizer: Tokenizer
    provider: str  # as ONNX Runtime names it
    stands_alone: bool  # no row's result depends on what shares its batch


@dataclass(frozen=True, kw_only=True)
class Opener:
    """Opens bundles under one set of settings."""

    batching: BatchingConfig
    runtime: RuntimeConfig
    precision: str = FLOAT32  # of the graphs that have it

    def open(
        self, bundle: Bundle
    ) -> (
        Opened[StepGraph]
        | Opened[SequenceGraph]
        | Opened[Tagger]
        | Opened[WordTagger]
        | Opened[Translator]
        | Opened[WordVectors]
        | Forecaster
    ):
        """Checks, loads and proves what a bundle holds.

        Raises:
            BundleError: why it is refused.
        """
        openers: dict[str, Callable[[Bundle], Any]] = {
            "generation": self.open_step,
            "classification": self.open_along if _steps(bundle) else self.open_sequence,
            "tagging": self.open_word_tagger if _steps(bundle) else self.open_tagger,
            "translation": self.open_translator,
            "forecasting": self.open_forecaster,
            "embedding": self.open_embedding,
        }
        return openers[bundle.manifest.task](bundle)

    def open_step(self, bundle: Bundle) -> Opened[StepGraph]:
        """Opens the bundle of a generator."""
        check_generation(bundle.manifest, self.limits_of(bundle.manifest))
        return self._steps(bundle)

    def open_sequence(self, bundle: Bundle) -> Opened[SequenceGraph]:
        """Opens the bundle of a classifier."""
        check_classification(bundle.manifest)
        [part], rows = self._parts(bundle, "sequence"), self.batching.max_batch
        graph, buckets = SequenceGraph(part.graph, part.described), part.described.buckets
        prove_sequence(graph, buckets, part.case, part.golden, rows)
        alone = texts_stand_alone(graph, buckets, part.case, rows)
        return self._opened(bundle, graph, part, alone)

    def open_tagger(self, bundle: Bundle) -> Opened[Tagger]:
        """Opens the bundle of a tagger."""
        spec = bundle.manifest
        width, read = check_tagging(spec)
        [part], rows = self._parts(bundle, "sequence"), self.batching.max_batch
        graph, buckets = TaggingGraph(part.graph, part.described), part.described.buckets
        case = with_characters(part.case)
        prove_tagging(graph, buckets, case, part.golden, rows)
        alone = texts_stand_alone(graph, buckets, case, rows)
        words, tokenizer = _words(spec, part, width, read)
        return self._opened(bundle, Tagger(graph, words), part, alone, tokenizer)

    def open_word_tagger(self, bundle: Bundle) -> Opened[WordTagger]:
        """Opens the bundle of a tagger that reads word by word."""
        spec = bundle.manifest
        width, read = check_word_tagging(spec)
        [part] = self._parts(bundle, "step")
        graph = StepGraph(part.graph, part.described)
        alone = self._prove_steps(graph, part)
        words, tokenizer = _words(spec, part, width, read)
        return self._opened(bundle, WordTagger(graph, words), part, alone, tokenizer)

    def open_embedding(self, bundle: Bundle) -> Opened[WordVectors]:
        """Opens the bundle of word vectors."""
        spec = bundle.manifest
        check_embedding(spec)
        [part], rows = self._parts(bundle, "sequence"), self.batching.max_batch
        graph, buckets = EmbeddingGraph(part.graph, part.described), part.described.buckets
        prove_embedding(graph, buckets, part.case, part.golden, rows)
        alone = texts_stand_alone(graph, buckets, part.case, rows)
        words, tokenizer = _known_words(spec, part)
        return self._opened(bundle, WordVectors(graph, words), part, alone, tokenizer)

    def open_along(self, bundle: Bundle) -> Opened[StepGraph]:
        """Opens the bundle of a classifier that judges texts while they are read."""
        _check_width(bundle.manifest, "step", len(bundle.manifest.labels), "labels")
        return self._steps(bundle)

    def open_forecaster(self, bundle: Bundle) -> Forecaster:
        """Opens the bundle of a model that reads a series."""
        [part] = self._parts(bundle, "step")
        step = StepGraph(part.graph, part.described)
        alone = self._checked(self._prove_steps(step, part))
        return Forecaster(bundle.manifest, step, part.graph.provider, alone)

    def open_translator(self, bundle: Bundle) -> Opened[Translator]:
        """Opens the bundle of a translator."""
        spec = bundle.manifest
        check_translation(spec, self.limits_of(spec))
        stepping, reading = self._parts(bundle, "step", "encode")
        step = StepGraph(stepping.graph, stepping.described)
        encode = EncodeGraph(reading.graph, reading.described, stepping.described)
        read = spec.source_tokenizer or spec.tokenizer
        source_tokenizer = Tokenizer(reading.files[read.file], read, spec.limits.max_input_tokens)
        rows, buckets = self.batching.max_batch, reading.described.buckets
        sources = prove_encode(encode, buckets, reading.case, reading.golden, rows)
        prove_step(step, stepping.case, stepping.golden, self.batching.max_rows, sources)
        alone = texts_stand_alone(encode, buckets, reading.case, rows)
        alone &= steps_stand_alone(step, stepping.case, self.batching.max_rows, sources)
        return self._opened(bundle, Translator(encode, step, source_tokenizer), stepping, alone)

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

    def _steps(self, bundle: Bundle) -> Opened[StepGraph]:
        """A step graph that reads tokens."""
        [part] = self._parts(bundle, "step")
        graph = StepGraph(part.graph, part.described)
        return self._opened(bundle, graph, part, self._prove_steps(graph, part))

    def _prove_steps(self, graph: StepGraph, part: "_Part") -> bool:
        """Proves a step graph; says whether its rows stand alone."""
        rows = self.batching.most_in_a_run
        prove_step(graph, part.case, part.golden, rows)
        return steps_stand_alone(graph, part.case, rows)

    def _opened(
        self,
        bundle: Bundle,
        graph: G,
        part: "_Part",
        stands_alone: bool,
        tokenizer: Tokenizer | None = None,
    ) -> Opened[G]:
        """Puts a model together; its tokenizer is read unless it is given."""
        spec = bundle.manifest
        longest = spec.limits.max_input_tokens
        return Opened(
            spec=spec,
            graph=graph,
            tokenizer=tokenizer
            or Tokenizer(part.files[spec.tokenizer.file], spec.tokenizer, longest),
            provider=part.graph.provider,
            stands_alone=self._checked(stands_alone),
        )

    def _checked(self, stands_alone: bool) -> bool:
        if self.runtime.strict_batches and not stands_alone:
            raise BatchDependent("a row's result depends here on what shares its batch")
        return stands_alone

    def _parts(self, bundle: Bundle, *roles: str) -> list["_Part"]:
        """Graphs of a bundle; its files are read once, and each must be what was published."""
        files, runtime = bundle.read_all(), self._runtime_for(bundle.manifest)
        parts = []
        for role in roles:
            described, proof = bundle.manifest.graph(role, self.precision)
            graph = Graph(files[described.file], described, runtime)
            case = golden.unpack(files[proof.file]).get(role, golden.GoldenCase())
            parts.append(_Part(described, graph, case, proof, files))
        return parts

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
    """Whether a classifier or a tagger reads step by step, and not whole texts."""
    return "step" in bundle.manifest.graphs and "sequence" not in bundle.manifest.graphs


def _words(
    spec: Manifest, part: _Part, width: int, read: manifest.Tokenizer
) -> tuple[Words, Tokenizer]:
    """How a tagger cuts texts into words, and reads `width` characters of each."""
    longest = spec.limits.max_input_tokens
    tokenizer = Tokenizer(part.files[spec.tokenizer.file], spec.tokenizer, longest)
    characters = Tokenizer(part.files[read.file], read, MOST_CHARACTERS)
    return Words(tokenizer, characters, longest, width), tokenizer


def _known_words(spec: Manifest, part: _Part) -> tuple[KnownWords, Tokenizer]:
    """How word vectors are looked up."""
    longest = spec.limits.max_input_tokens
    tokenizer = Tokenizer(part.files[spec.tokenizer.file], spec.tokenizer, longest)
    parts = None
    if spec.subwords:
        read, first = spec.subwords.tokenizer, spec.tokenizer.vocabulary_size
        known = Tokenizer(part.files[read.file], read, MOST_CHARACTERS)
        parts = Parts(known, spec.subwords, first, part.described.buckets[-1])
    return KnownWords(tokenizer, parts, longest), tokenizer


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
    looked = [tensor.shape for tensor in graph.outputs if tensor.role == "attention"]
    if looked not in ([], [(-1,)]):
        raise ManifestInvalid(f"graphs.sequence.outputs: attention of shape {list(looked[0])}")


def _check_width(spec: Manifest, role: str, wanted: int, what: str) -> None:
    for tensor in spec.graphs[role].outputs:
        if tensor.role == "logits" and tensor.shape != (wanted,):
            raise ManifestInvalid(
                f"graphs.{role}.outputs: logits of shape {list(tensor.shape)} for {wanted} {what}"
            )
