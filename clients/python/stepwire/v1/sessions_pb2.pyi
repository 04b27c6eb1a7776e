from stepwire.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpenSessionRequest(_message.Message):
    __slots__ = ("model", "version", "state_token", "session_id", "accept_inexact", "max_snapshots", "window", "source_text", "source_tokens", "follow_reloads")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_INEXACT_FIELD_NUMBER: _ClassVar[int]
    MAX_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_RELOADS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    state_token: bytes
    session_id: str
    accept_inexact: bool
    max_snapshots: int
    window: int
    source_text: str
    source_tokens: _generation_pb2.TokenIds
    follow_reloads: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., state_token: _Optional[bytes] = ..., session_id: _Optional[str] = ..., accept_inexact: _Optional[bool] = ..., max_snapshots: _Optional[int] = ..., window: _Optional[int] = ..., source_text: _Optional[str] = ..., source_tokens: _Optional[_Union[_generation_pb2.TokenIds, _Mapping]] = ..., follow_reloads: _Optional[bool] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("id", "model", "version", "next_step", "epoch", "snapshots", "window", "size_bytes", "idle_seconds_left", "lifetime_seconds_left", "inexact", "source_token_texts", "digest", "follows_reloads")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    IDLE_SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TOKEN_TEXTS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    FOLLOWS_RELOADS_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    version: str
    next_step: int
    epoch: int
    snapshots: _containers.RepeatedScalarFieldContainer[int]
    window: int
    size_bytes: int
    idle_seconds_left: float
    lifetime_seconds_left: float
    inexact: bool
    source_token_texts: _containers.RepeatedScalarFieldContainer[str]
    digest: str
    follows_reloads: bool
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[str] = ..., next_step: _Optional[int] = ..., epoch: _Optional[int] = ..., snapshots: _Optional[_Iterable[int]] = ..., window: _Optional[int] = ..., size_bytes: _Optional[int] = ..., idle_seconds_left: _Optional[float] = ..., lifetime_seconds_left: _Optional[float] = ..., inexact: _Optional[bool] = ..., source_token_texts: _Optional[_Iterable[str]] = ..., digest: _Optional[str] = ..., follows_reloads: _Optional[bool] = ...) -> None: ...

class ExportSessionRequest(_message.Message):
    __slots__ = ("session_id", "half_precision")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    HALF_PRECISION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    half_precision: bool
    def __init__(self, session_id: _Optional[str] = ..., half_precision: _Optional[bool] = ...) -> None: ...

class ExportSessionResponse(_message.Message):
    __slots__ = ("state_token", "next_step", "seconds_left")
    STATE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    state_token: bytes
    next_step: int
    seconds_left: float
    def __init__(self, state_token: _Optional[bytes] = ..., next_step: _Optional[int] = ..., seconds_left: _Optional[float] = ...) -> None: ...

class RollBackSessionRequest(_message.Message):
    __slots__ = ("session_id", "step")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    step: int
    def __init__(self, session_id: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class RollBackSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
