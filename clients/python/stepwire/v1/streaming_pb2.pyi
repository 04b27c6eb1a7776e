from stepwire.v1 import generation_pb2 as _generation_pb2
from stepwire.v1 import labeling_pb2 as _labeling_pb2
from stepwire.v1 import sessions_pb2 as _sessions_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StepRequest(_message.Message):
    __slots__ = ("session_id", "attach", "inputs", "more")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    attach: Attach
    inputs: Inputs
    more: _containers.RepeatedCompositeFieldContainer[StepRequest]
    def __init__(self, session_id: _Optional[str] = ..., attach: _Optional[_Union[Attach, _Mapping]] = ..., inputs: _Optional[_Union[Inputs, _Mapping]] = ..., more: _Optional[_Iterable[_Union[StepRequest, _Mapping]]] = ...) -> None: ...

class Attach(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Inputs(_message.Message):
    __slots__ = ("epoch", "first_step", "tokens", "text", "features", "outputs", "snapshot", "export_state")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EXPORT_STATE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    first_step: int
    tokens: _generation_pb2.TokenIds
    text: str
    features: Features
    outputs: Outputs
    snapshot: bool
    export_state: bool
    def __init__(self, epoch: _Optional[int] = ..., first_step: _Optional[int] = ..., tokens: _Optional[_Union[_generation_pb2.TokenIds, _Mapping]] = ..., text: _Optional[str] = ..., features: _Optional[_Union[Features, _Mapping]] = ..., outputs: _Optional[_Union[Outputs, _Mapping]] = ..., snapshot: _Optional[bool] = ..., export_state: _Optional[bool] = ...) -> None: ...

class Features(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Outputs(_message.Message):
    __slots__ = ("every_step", "top_k", "logits", "entropy", "labels", "values", "hidden_units", "attention")
    EVERY_STEP_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_UNITS_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    every_step: bool
    top_k: int
    logits: bool
    entropy: bool
    labels: bool
    values: bool
    hidden_units: _containers.RepeatedScalarFieldContainer[int]
    attention: bool
    def __init__(self, every_step: _Optional[bool] = ..., top_k: _Optional[int] = ..., logits: _Optional[bool] = ..., entropy: _Optional[bool] = ..., labels: _Optional[bool] = ..., values: _Optional[bool] = ..., hidden_units: _Optional[_Iterable[int]] = ..., attention: _Optional[bool] = ...) -> None: ...

class StepResponse(_message.Message):
    __slots__ = ("session_id", "attached", "taken", "error", "ending", "more")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    attached: _sessions_pb2.Session
    taken: StepsTaken
    error: StepError
    ending: SessionEnding
    more: _containers.RepeatedCompositeFieldContainer[StepResponse]
    def __init__(self, session_id: _Optional[str] = ..., attached: _Optional[_Union[_sessions_pb2.Session, _Mapping]] = ..., taken: _Optional[_Union[StepsTaken, _Mapping]] = ..., error: _Optional[_Union[StepError, _Mapping]] = ..., ending: _Optional[_Union[SessionEnding, _Mapping]] = ..., more: _Optional[_Iterable[_Union[StepResponse, _Mapping]]] = ...) -> None: ...

class StepsTaken(_message.Message):
    __slots__ = ("first_step", "count", "outputs", "state_token", "repeated_answer", "version", "digest")
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    STATE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REPEATED_ANSWER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    first_step: int
    count: int
    outputs: _containers.RepeatedCompositeFieldContainer[StepOutputs]
    state_token: bytes
    repeated_answer: bool
    version: str
    digest: str
    def __init__(self, first_step: _Optional[int] = ..., count: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[StepOutputs, _Mapping]]] = ..., state_token: _Optional[bytes] = ..., repeated_answer: _Optional[bool] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class StepOutputs(_message.Message):
    __slots__ = ("tokens", "labels", "logits", "entropy", "values", "spread", "surprise", "hidden", "attention")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    SURPRISE_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[_generation_pb2.TokenLogprob]
    labels: _containers.RepeatedCompositeFieldContainer[_labeling_pb2.ScoredLabel]
    logits: _containers.RepeatedScalarFieldContainer[float]
    entropy: float
    values: _containers.RepeatedScalarFieldContainer[float]
    spread: _containers.RepeatedScalarFieldContainer[float]
    surprise: float
    hidden: _containers.RepeatedScalarFieldContainer[float]
    attention: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, tokens: _Optional[_Iterable[_Union[_generation_pb2.TokenLogprob, _Mapping]]] = ..., labels: _Optional[_Iterable[_Union[_labeling_pb2.ScoredLabel, _Mapping]]] = ..., logits: _Optional[_Iterable[float]] = ..., entropy: _Optional[float] = ..., values: _Optional[_Iterable[float]] = ..., spread: _Optional[_Iterable[float]] = ..., surprise: _Optional[float] = ..., hidden: _Optional[_Iterable[float]] = ..., attention: _Optional[_Iterable[float]] = ...) -> None: ...

class StepError(_message.Message):
    __slots__ = ("first_step", "code", "reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    first_step: int
    code: int
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, first_step: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SessionEnding(_message.Message):
    __slots__ = ("reason", "state_token")
    REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reason: str
    state_token: bytes
    def __init__(self, reason: _Optional[str] = ..., state_token: _Optional[bytes] = ...) -> None: ...
