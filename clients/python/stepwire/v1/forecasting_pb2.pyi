from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ForecastRequest(_message.Message):
    __slots__ = ("model", "version", "histories", "horizon", "quantiles", "surprises")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HISTORIES_FIELD_NUMBER: _ClassVar[int]
    HORIZON_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    SURPRISES_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    histories: _containers.RepeatedCompositeFieldContainer[Series]
    horizon: int
    quantiles: _containers.RepeatedScalarFieldContainer[float]
    surprises: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., histories: _Optional[_Iterable[_Union[Series, _Mapping]]] = ..., horizon: _Optional[int] = ..., quantiles: _Optional[_Iterable[float]] = ..., surprises: _Optional[bool] = ...) -> None: ...

class Series(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class ForecastResponse(_message.Message):
    __slots__ = ("forecasts", "targets", "direct_rows", "fed_back_rows")
    FORECASTS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    DIRECT_ROWS_FIELD_NUMBER: _ClassVar[int]
    FED_BACK_ROWS_FIELD_NUMBER: _ClassVar[int]
    forecasts: _containers.RepeatedCompositeFieldContainer[SeriesForecast]
    targets: _containers.RepeatedScalarFieldContainer[str]
    direct_rows: int
    fed_back_rows: int
    def __init__(self, forecasts: _Optional[_Iterable[_Union[SeriesForecast, _Mapping]]] = ..., targets: _Optional[_Iterable[str]] = ..., direct_rows: _Optional[int] = ..., fed_back_rows: _Optional[int] = ...) -> None: ...

class SeriesForecast(_message.Message):
    __slots__ = ("values", "spread", "quantiles", "surprises")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    SURPRISES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    spread: _containers.RepeatedScalarFieldContainer[float]
    quantiles: _containers.RepeatedCompositeFieldContainer[Quantile]
    surprises: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ..., spread: _Optional[_Iterable[float]] = ..., quantiles: _Optional[_Iterable[_Union[Quantile, _Mapping]]] = ..., surprises: _Optional[_Iterable[float]] = ...) -> None: ...

class Quantile(_message.Message):
    __slots__ = ("level", "values")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    level: float
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, level: _Optional[float] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...
