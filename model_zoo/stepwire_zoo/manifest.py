"""What manifest.json says about a bundle.

docs/bundles.md explains the format for people who write one by hand.
"""

import math
import re
from dataclasses import dataclass, field, replace

FORMAT = 1  # of manifest.json; a reader refuses every other

TASKS = ("generation", "classification", "tagging", "translation", "forecasting", "embedding")
GRAPH_ROLES = ("step", "encode", "sequence")
FLOAT32, INT8 = "float32", "int8"
PRECISIONS = (FLOAT32, INT8)  # that graphs compute in
DTYPES = ("float32", "float16", "int64", "int32", "uint8", "int8", "bool")
TENSOR_ROLES = (
    *("token", "tokens", "characters", "lengths", "logits", "attention", "hidden", "text_logits"),
    *("context", "start", "rows", "places"),
    *("features", "values", "spread", "score"),
    "word",
    *("vector", "cosines"),
)

MOST_STATE_ELEMENTS = 1 << 22  # of one state of one row

_PLAIN_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a graph that is not a state."""

    name: str
    dtype: str
    shape: tuple[int, ...]  # of one row, or one source, without the batch axis; -1 varies
    role: str  # one of TENSOR_ROLES

    def __post_init__(self) -> None:
        _one_of("dtype", self.dtype, DTYPES)
        _one_of("role", self.role, TENSOR_ROLES)
        if any(size < -1 or size == 0 for size in self.shape):
            raise ValueError(f"shape must hold sizes from 1, or -1 where it varies: {self.shape}")


@dataclass(frozen=True, kw_only=True)
class State:
    """A tensor that a step reads and replaces."""

    input: str
    output: str
    dtype: str
    shape: tuple[int, ...]  # of one row, without the batch axis
    start: str = "zeros"  # or the output of the encode graph that begins it

    def __post_init__(self) -> None:
        _one_of("dtype", self.dtype, DTYPES)
        if any(size < 1 for size in self.shape) or math.prod(self.shape) > MOST_STATE_ELEMENTS:
            raise ValueError(
                f"shape must hold sizes from 1, {MOST_STATE_ELEMENTS} elements in all, "
                f"got {self.shape}"
            )


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One ONNX file: what goes in, what comes out, what is carried on."""

    file: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    states: tuple[State, ...] = ()
    # Ascending: padded lengths of texts for a sequence or an encode graph, of the sources'
    # contexts for a step graph.
    buckets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if list(self.buckets) != sorted({size for size in self.buckets if size > 0}):
            raise ValueError(f"buckets must ascend from at least 1, got {self.buckets}")


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A file of the `tokenizers` library, and which of its tokens are special."""

    file: str
    vocabulary_size: int
    begin: int | None = None  # read before every prompt; an empty prompt is this alone
    end: int | None = None  # choosing it ends a sequence
    unknown: int | None = None  # stands for characters the model never saw
    pad: int | None = None  # fills a row up to its bucket
    accepts_unknown: bool = True  # whether a text may hold unknown characters
    suppressed: tuple[int, ...] = ()  # never generated

    def __post_init__(self) -> None:
        if self.vocabulary_size < (1 if self.file else 0):
            raise ValueError(f"vocabulary_size must be at least 1, got {self.vocabulary_size}")
        special = (self.begin, self.end, self.unknown, self.pad, *self.suppressed)
        wrong = [token for token in special if token is not None and not self.holds(token)]
        if wrong:
            raise ValueError(f"token {wrong[0]} is not in [0, {self.vocabulary_size})")

    def holds(self, token: int) -> bool:
        """Whether a token is in the vocabulary."""
        return 0 <= token < self.vocabulary_size


@dataclass(frozen=True, kw_only=True)
class Subwords:
    """Parts of words that have vectors too; their numbers are those behind the words'."""

    tokenizer: Tokenizer  # each part is a token of it, and its normaliser writes words alike
    shortest: int  # characters of a part, the marks at the ends of a word included
    longest: int

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest:
            raise ValueError(
                f"shortest must be in [1, longest], got {self.shortest} and {self.longest}"
            )


NO_TOKENIZER = Tokenizer(file="", vocabulary_size=0)  # of a model that reads no text


@dataclass(frozen=True, kw_only=True)
class Series:
    """What a forecaster reads, row by row, and what it predicts."""

    columns: tuple[str, ...]  # the features of a row, in their order: [F]
    targets: tuple[str, ...]  # the columns that are predicted: [C]
    horizon: int  # rows ahead that are predicted at once, H

    def __post_init__(self) -> None:
        for name, given in (("columns", self.columns), ("targets", self.targets)):
            if not given or len(set(given)) < len(given):
                raise ValueError(f"{name} must be names, each once, got {list(given)}")
        strange = sorted(set(self.targets) - set(self.columns))
        if strange:
            raise ValueError(f"targets must be among the columns, got {strange[0]!r}")
        if self.horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {self.horizon}")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of a step's tensors, by role."""
        predicted = (self.horizon, len(self.targets))
        return {
            "features": (len(self.columns),),
            "values": predicted,
            "spread": predicted,
            "score": (1,),
        }


@dataclass(frozen=True, kw_only=True)
class Chain:
    """How well the tags of a sentence go together, in the units of the logits (a CRF)."""

    starts: tuple[float, ...]  # to begin with each label, [L]
    steps: tuple[tuple[float, ...], ...]  # from one label to the next, [L, L]
    ends: tuple[float, ...]  # to end with each, [L]

    def __post_init__(self) -> None:
        sizes = {len(part) for part in (self.starts, self.ends, self.steps, *self.steps)}
        if len(sizes) != 1:
            raise ValueError(f"starts, steps and ends must be of one size, got {sorted(sizes)}")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What requests may ask for."""

    max_input_tokens: int  # in a prompt or a text; rows, where a series is read
    max_new_tokens: int = 0  # generated for one sequence; 0 where nothing is generated
    reach: int = 0  # of the last tokens, which alone bear on what comes next; 0: all do

    def __post_init__(self) -> None:
        if self.max_input_tokens < 1:
            raise ValueError(f"max_input_tokens must be at least 1, got {self.max_input_tokens}")
        if self.max_new_tokens < 0:
            raise ValueError(f"max_new_tokens must not be negative, got {self.max_new_tokens}")
        if self.reach < 0:
            raise ValueError(f"reach must not be negative, got {self.reach}")


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Inputs whose outputs PyTorch computed when the bundle was made."""

    file: str
    absolute_tolerance: float = 1e-4
    relative_tolerance: float = 1e-4

    def __post_init__(self) -> None:
        # A generous manifest would make the proof worthless.
        if not 0 <= self.absolute_tolerance <= 0.01 or not 0 <= self.relative_tolerance <= 0.01:
            raise ValueError("tolerances must be in [0, 0.01]")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measured figure of quality."""

    name: str
    value: float
    unit: str
    split: str  # the data it was measured on
    published: str = ""  # a figure to set beside it, with its source
    # Of the same recipe with several seeds in a row, this value first; empty if it ran once.
    runs: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.runs and (len(self.runs) < 2 or self.runs[0] != self.value):
            raise ValueError(
                f"runs must be empty, or {self.value} and those of other seeds, "
                f"got {list(self.runs)}"
            )


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Graphs that compute in another precision; their tensors are those of the first."""

    files: dict[str, str]  # by role of the graph; graphs of other roles stay as they are
    golden: Golden
    metrics: tuple[Metric, ...]  # the figures of quality, measured with these graphs

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError("files: has no graph")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One source of training data."""

    name: str
    licence: str
    home: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How the bundle was made."""

    recipe: str
    command: str
    commit: str  # of the repository, at training
    seed: int
    parameters: int
    training_seconds: float
    machine: str  # class of machine, in words
    data: tuple[Dataset, ...]


@dataclass(frozen=True, kw_only=True)
class File:
    """What a file of the bundle must be."""

    sha256: str  # hexadecimal
    size_bytes: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 must be 64 hexadecimal digits, got {self.sha256!r}")
        if self.size_bytes < 0:
            raise ValueError(f"size_bytes must not be negative, got {self.size_bytes}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a server must know before it opens a graph."""

    format: int
    name: str
    version: str  # a whole number from 1, as text
    task: str  # one of TASKS
    summary: str  # one sentence for people
    architecture: str = ""  # what it is built of, in words: layers, cells, sizes
    licence: str  # SPDX
    languages: tuple[str, ...]  # BCP 47
    # By role, one of GRAPH_ROLES. A generator has a step graph, a translator an encode and a
    # step graph; word vectors have a sequence graph; a classifier or a tagger has one if it reads
    # texts whole, a step graph if it says something of them while they are read.
    graphs: dict[str, Graph]
    limits: Limits
    golden: Golden
    metrics: tuple[Metric, ...]
    provenance: Provenance
    # Of what is generated, and of what is read unless that has its own.
    tokenizer: Tokenizer = NO_TOKENIZER
    files: dict[str, File] = field(default_factory=dict)  # every file but manifest.json
    labels: tuple[str, ...] = ()  # of a classifier or a tagger, in the order of its logits
    # Of a tagger that judges the whole text as well, in the order of its text_logits.
    text_labels: tuple[str, ...] = ()
    decoding: dict[str, float] = field(default_factory=dict)  # default options by name
    source_tokenizer: Tokenizer | None = None  # of what a translator reads, if it is another
    series: Series | None = None  # of a forecaster, and of no other
    # Of a tagger whose graph reads characters: cuts each word into them, number 0 pads.
    characters: Tokenizer | None = None
    chain: Chain | None = None  # of a tagger whose tags depend on one another
    subwords: Subwords | None = None  # of word vectors that words unknown to it are made of
    providers: tuple[str, ...] = ()  # execution providers it may run on; empty: the server's
    variants: dict[str, Variant] = field(default_factory=dict)  # by precision
    precision: str = ""  # what is served unless a server is told; empty: int8 on a CPU

    def __post_init__(self) -> None:
        if not _MODEL_NAME.fullmatch(self.name):
            raise ValueError(f"name must be lower-case letters, digits and ._-, got {self.name!r}")
        if not (self.version.isascii() and self.version.isdigit() and self.version[0] != "0"):
            raise ValueError(f"version must be a whole number from 1, got {self.version!r}")
        _one_of("task", self.task, TASKS)
        for role in self.graphs:
            _one_of("graphs", role, GRAPH_ROLES)
        for name in self.files:
            if not _PLAIN_FILE_NAME.fullmatch(name):
                raise ValueError(f"files: {name!r} is not the plain name of a file")
        _check_reading(self)
        _check_variants(self)
        named = [*(g.file for g in self.graphs.values()), self.golden.file]
        for variant in self.variants.values():
            named += [*variant.files.values(), variant.golden.file]
        parts = self.subwords.tokenizer if self.subwords else None
        read = (self.tokenizer, self.source_tokenizer, self.characters, parts)
        named += [tokenizer.file for tokenizer in read if tokenizer and tokenizer != NO_TOKENIZER]
        absent = sorted(set(named) - self.files.keys()) if self.files else []
        if absent:
            raise ValueError(f"files: {absent[0]!r} is used but not listed")

    def graph(self, role: str, precision: str = FLOAT32) -> tuple[Graph, Golden]:
        """A graph that computes in a precision, if there is one, and what proves it."""
        graph, variant = self.graphs[role], self.variants.get(precision)
        if variant is None or role not in variant.files:
            return graph, self.golden
        return replace(graph, file=variant.files[role]), variant.golden

    def metrics_in(self, precision: str) -> tuple[Metric, ...]:
        """The figures of quality of the graphs of a precision."""
        variant = self.variants.get(precision)
        return variant.metrics if variant else self.metrics

    @property
    def size_bytes(self) -> int:
        """Size of all its files, the manifest left out."""
        return sum(file.size_bytes for file in self.files.values())


def _check_reading(manifest: Manifest) -> None:
    """Raises ValueError unless it reads text by a tokenizer or rows of a series."""
    series, forecasts = manifest.series, manifest.task == "forecasting"
    if (series is not None) != forecasts:
        raise ValueError("series: a forecaster has it, and no other")
    if (manifest.tokenizer == NO_TOKENIZER) != forecasts:
        raise ValueError(f"tokenizer: {'none, for rows' if forecasts else 'is missing'}")
    if series is None:
        return
    step = manifest.graphs.get("step")
    if step is None:
        raise ValueError("graphs: task forecasting needs a step graph")
    for role, shape in series.shapes.items():
        found = [tensor.shape for tensor in (*step.inputs, *step.outputs) if tensor.role == role]
        if found != [shape]:
            raise ValueError(
                f"graphs.step: must have one tensor of role {role} and shape {list(shape)}"
            )


def _check_variants(manifest: Manifest) -> None:
    """Raises ValueError unless each is of a known precision and of graphs that are there."""
    for precision, variant in manifest.variants.items():
        _one_of("variants", precision, PRECISIONS[1:])
        for role in variant.files:
            _one_of(f"variants.{precision}.files", role, tuple(manifest.graphs))
    if manifest.precision:
        _one_of("precision", manifest.precision, (FLOAT32, *manifest.variants))


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
