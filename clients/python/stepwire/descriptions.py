"""What a server tells of its models: the values behind `models()` and `model()`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    """What a model does, and so which calls it answers."""

    GENERATION = "generation"  # generate, score
    CLASSIFICATION = "classification"  # classify
    TAGGING = "tagging"  # tag
    TRANSLATION = "translation"  # translate, score
    FORECASTING = "forecasting"  # forecast, session
    EMBEDDING = "embedding"  # embed, neighbors, analogy
    TENSORS = "tensors"  # none of them: the Open Inference Protocol alone
    UNKNOWN = "unknown"  # the server is newer than this client


class ModelState(StrEnum):
    """Whether a model answers requests."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # did not load, or did not reproduce its golden case
    UNLOADED = "unloaded"  # it loads on first use, or on request: the reason says which
    UNKNOWN = "unknown"  # the server is newer than this client


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """A line of the list of models."""

    name: str
    version: str  # a whole number from 1
    task: Task
    state: ModelState
    reason: str  # why it is not ready; empty if it is
    summary: str  # one sentence for people


@dataclass(frozen=True, kw_only=True)
class ModelLimits:
    """What requests may ask of a model; 0 where it does not apply."""

    max_input_tokens: int
    max_new_tokens: int
    vocabulary_size: int
    max_inputs_per_call: int
    max_beam_width: int = 0
    begin_token: int | None = None  # stands before a sequence; who steps a session gives it
    end_token: int | None = None
    reach: int = 0  # how many of the last tokens bear on what comes next; 0: all
    subword_count: int = 0  # parts of words that unknown words' vectors are made of


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output of a graph."""

    name: str
    dtype: str  # as NumPy names it
    shape: tuple[int, ...]  # of one row, without the batch axis; -1 varies
    role: str


@dataclass(frozen=True, kw_only=True)
class State:
    """A tensor that a step reads and replaces."""

    input: str
    output: str
    dtype: str
    shape: tuple[int, ...]  # of one row
    start: str  # "zeros", or the output of the encode graph that begins it


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One ONNX file of a model."""

    role: str  # "step", "encode" or "sequence"
    inputs: tuple[Tensor, ...]  # states left out
    outputs: tuple[Tensor, ...]  # states left out
    states: tuple[State, ...]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measured figure of a model's quality."""

    name: str
    value: float
    unit: str
    split: str  # the data it was measured on
    published: str  # a published figure beside it, with its source; or empty


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One source of training data."""

    name: str
    licence: str
    home: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a model was made."""

    recipe: str
    command: str  # makes it again
    seed: int
    parameters: int
    data: tuple[Dataset, ...]


@dataclass(frozen=True, kw_only=True)
class Series:
    """What a forecaster reads, row by row, and what it predicts."""

    columns: tuple[str, ...]  # the numbers of a row, in their order
    targets: tuple[str, ...]  # the columns that are predicted, in their order
    horizon: int  # rows ahead that are predicted at once


@dataclass(frozen=True, kw_only=True)
class Model:
    """Everything about a model that a caller may need."""

    summary: ModelSummary
    languages: tuple[str, ...]  # BCP 47 tags
    licence: str  # SPDX identifier
    limits: ModelLimits
    labels: tuple[str, ...]  # of a classifier or a tagger, by index
    graphs: tuple[Graph, ...]
    metrics: tuple[Metric, ...]
    decoding_defaults: Mapping[str, float]
    provenance: Provenance
    provider: str  # ONNX Runtime execution provider; empty unless ready
    size_bytes: int
    load_seconds: float  # 0 unless ready
    digest: str  # SHA-256 of its manifest; names exactly this build
    series: Series | None = None  # of a forecaster
    precision: str = ""  # "float32" or "int8"; empty unless ready
    precision_reason: str = ""  # why it is not served in a faster one
    batch_independent: bool = False  # what shares a batch changes no bit of a result
    text_labels: tuple[str, ...] = ()  # of whole texts, of a tagger that can be asked to classify
