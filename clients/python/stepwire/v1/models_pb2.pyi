from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_GENERATION: _ClassVar[Task]
    TASK_CLASSIFICATION: _ClassVar[Task]
    TASK_TRANSLATION: _ClassVar[Task]
    TASK_FORECASTING: _ClassVar[Task]
    TASK_TENSORS: _ClassVar[Task]
    TASK_TAGGING: _ClassVar[Task]
    TASK_EMBEDDING: _ClassVar[Task]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
    MODEL_STATE_UNLOADED: _ClassVar[ModelState]
TASK_UNSPECIFIED: Task
TASK_GENERATION: Task
TASK_CLASSIFICATION: Task
TASK_TRANSLATION: Task
TASK_FORECASTING: Task
TASK_TENSORS: Task
TASK_TAGGING: Task
TASK_EMBEDDING: Task
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_FAILED: ModelState
MODEL_STATE_UNLOADED: ModelState

class LoadModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelSummary]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelSummary, _Mapping]]] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class UnloadModelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelSummary]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelSummary, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class ModelSummary(_message.Message):
    __slots__ = ("name", "version", "task", "state", "reason", "summary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    task: Task
    state: ModelState
    reason: str
    summary: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., task: _Optional[_Union[Task, str]] = ..., state: _Optional[_Union[ModelState, str]] = ..., reason: _Optional[str] = ..., summary: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("summary", "languages", "licence", "limits", "labels", "graphs", "metrics", "decoding_defaults", "provenance", "provider", "size_bytes", "load_seconds", "digest", "series", "precision", "precision_reason", "batch_independent", "text_labels")
    class DecodingDefaultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    GRAPHS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    DECODING_DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    PRECISION_REASON_FIELD_NUMBER: _ClassVar[int]
    BATCH_INDEPENDENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_LABELS_FIELD_NUMBER: _ClassVar[int]
    summary: ModelSummary
    languages: _containers.RepeatedScalarFieldContainer[str]
    licence: str
    limits: ModelLimits
    labels: _containers.RepeatedScalarFieldContainer[str]
    graphs: _containers.RepeatedCompositeFieldContainer[Graph]
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    decoding_defaults: _containers.ScalarMap[str, float]
    provenance: Provenance
    provider: str
    size_bytes: int
    load_seconds: float
    digest: str
    series: SeriesColumns
    precision: str
    precision_reason: str
    batch_independent: bool
    text_labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, summary: _Optional[_Union[ModelSummary, _Mapping]] = ..., languages: _Optional[_Iterable[str]] = ..., licence: _Optional[str] = ..., limits: _Optional[_Union[ModelLimits, _Mapping]] = ..., labels: _Optional[_Iterable[str]] = ..., graphs: _Optional[_Iterable[_Union[Graph, _Mapping]]] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., decoding_defaults: _Optional[_Mapping[str, float]] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., provider: _Optional[str] = ..., size_bytes: _Optional[int] = ..., load_seconds: _Optional[float] = ..., digest: _Optional[str] = ..., series: _Optional[_Union[SeriesColumns, _Mapping]] = ..., precision: _Optional[str] = ..., precision_reason: _Optional[str] = ..., batch_independent: _Optional[bool] = ..., text_labels: _Optional[_Iterable[str]] = ...) -> None: ...

class SeriesColumns(_message.Message):
    __slots__ = ("columns", "targets", "horizon")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    HORIZON_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedScalarFieldContainer[str]
    targets: _containers.RepeatedScalarFieldContainer[str]
    horizon: int
    def __init__(self, columns: _Optional[_Iterable[str]] = ..., targets: _Optional[_Iterable[str]] = ..., horizon: _Optional[int] = ...) -> None: ...

class ModelLimits(_message.Message):
    __slots__ = ("max_input_tokens", "max_new_tokens", "vocabulary_size", "max_inputs_per_call", "max_beam_width", "begin_token", "end_token", "reach", "subword_count")
    MAX_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_NEW_TOKENS_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_INPUTS_PER_CALL_FIELD_NUMBER: _ClassVar[int]
    MAX_BEAM_WIDTH_FIELD_NUMBER: _ClassVar[int]
    BEGIN_TOKEN_FIELD_NUMBER: _ClassVar[int]
    END_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REACH_FIELD_NUMBER: _ClassVar[int]
    SUBWORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    max_input_tokens: int
    max_new_tokens: int
    vocabulary_size: int
    max_inputs_per_call: int
    max_beam_width: int
    begin_token: int
    end_token: int
    reach: int
    subword_count: int
    def __init__(self, max_input_tokens: _Optional[int] = ..., max_new_tokens: _Optional[int] = ..., vocabulary_size: _Optional[int] = ..., max_inputs_per_call: _Optional[int] = ..., max_beam_width: _Optional[int] = ..., begin_token: _Optional[int] = ..., end_token: _Optional[int] = ..., reach: _Optional[int] = ..., subword_count: _Optional[int] = ...) -> None: ...

class Graph(_message.Message):
    __slots__ = ("role", "inputs", "outputs", "states")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    role: str
    inputs: _containers.RepeatedCompositeFieldContainer[Tensor]
    outputs: _containers.RepeatedCompositeFieldContainer[Tensor]
    states: _containers.RepeatedCompositeFieldContainer[State]
    def __init__(self, role: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., states: _Optional[_Iterable[_Union[State, _Mapping]]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("name", "dtype", "shape", "role")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    role: str
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., role: _Optional[str] = ...) -> None: ...

class State(_message.Message):
    __slots__ = ("input", "output", "dtype", "shape", "start")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    input: str
    output: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    start: str
    def __init__(self, input: _Optional[str] = ..., output: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., start: _Optional[str] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "value", "unit", "split", "published")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    unit: str
    split: str
    published: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., unit: _Optional[str] = ..., split: _Optional[str] = ..., published: _Optional[str] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("recipe", "command", "seed", "parameters", "data")
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    recipe: str
    command: str
    seed: int
    parameters: int
    data: _containers.RepeatedCompositeFieldContainer[Dataset]
    def __init__(self, recipe: _Optional[str] = ..., command: _Optional[str] = ..., seed: _Optional[int] = ..., parameters: _Optional[int] = ..., data: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "licence", "home")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    name: str
    licence: str
    home: str
    def __init__(self, name: _Optional[str] = ..., licence: _Optional[str] = ..., home: _Optional[str] = ...) -> None: ...
