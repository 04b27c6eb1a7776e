from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VectorOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VECTOR_ORIGIN_UNSPECIFIED: _ClassVar[VectorOrigin]
    VECTOR_ORIGIN_WORD: _ClassVar[VectorOrigin]
    VECTOR_ORIGIN_SUBWORDS: _ClassVar[VectorOrigin]
    VECTOR_ORIGIN_NONE: _ClassVar[VectorOrigin]

class AnalogyMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANALOGY_METHOD_UNSPECIFIED: _ClassVar[AnalogyMethod]
    ANALOGY_METHOD_3COSADD: _ClassVar[AnalogyMethod]
    ANALOGY_METHOD_3COSMUL: _ClassVar[AnalogyMethod]
VECTOR_ORIGIN_UNSPECIFIED: VectorOrigin
VECTOR_ORIGIN_WORD: VectorOrigin
VECTOR_ORIGIN_SUBWORDS: VectorOrigin
VECTOR_ORIGIN_NONE: VectorOrigin
ANALOGY_METHOD_UNSPECIFIED: AnalogyMethod
ANALOGY_METHOD_3COSADD: AnalogyMethod
ANALOGY_METHOD_3COSMUL: AnalogyMethod

class EmbedRequest(_message.Message):
    __slots__ = ("model", "version", "inputs")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    inputs: _containers.RepeatedCompositeFieldContainer[EmbedInput]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[EmbedInput, _Mapping]]] = ...) -> None: ...

class EmbedInput(_message.Message):
    __slots__ = ("word", "text")
    WORD_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    word: str
    text: str
    def __init__(self, word: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Embedding]
    def __init__(self, results: _Optional[_Iterable[_Union[Embedding, _Mapping]]] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("vector", "words")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    vector: _containers.RepeatedScalarFieldContainer[float]
    words: _containers.RepeatedCompositeFieldContainer[EmbeddedWord]
    def __init__(self, vector: _Optional[_Iterable[float]] = ..., words: _Optional[_Iterable[_Union[EmbeddedWord, _Mapping]]] = ...) -> None: ...

class EmbeddedWord(_message.Message):
    __slots__ = ("text", "origin")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    text: str
    origin: VectorOrigin
    def __init__(self, text: _Optional[str] = ..., origin: _Optional[_Union[VectorOrigin, str]] = ...) -> None: ...

class NeighborsRequest(_message.Message):
    __slots__ = ("model", "version", "words", "k")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    words: _containers.RepeatedScalarFieldContainer[str]
    k: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., words: _Optional[_Iterable[str]] = ..., k: _Optional[int] = ...) -> None: ...

class NeighborsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Neighborhood]
    def __init__(self, results: _Optional[_Iterable[_Union[Neighborhood, _Mapping]]] = ...) -> None: ...

class Neighborhood(_message.Message):
    __slots__ = ("word", "neighbors")
    WORD_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    word: EmbeddedWord
    neighbors: _containers.RepeatedCompositeFieldContainer[Neighbor]
    def __init__(self, word: _Optional[_Union[EmbeddedWord, _Mapping]] = ..., neighbors: _Optional[_Iterable[_Union[Neighbor, _Mapping]]] = ...) -> None: ...

class Neighbor(_message.Message):
    __slots__ = ("word", "score")
    WORD_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    word: str
    score: float
    def __init__(self, word: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class AnalogyRequest(_message.Message):
    __slots__ = ("model", "version", "questions", "k", "method")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    questions: _containers.RepeatedCompositeFieldContainer[AnalogyQuestion]
    k: int
    method: AnalogyMethod
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., questions: _Optional[_Iterable[_Union[AnalogyQuestion, _Mapping]]] = ..., k: _Optional[int] = ..., method: _Optional[_Union[AnalogyMethod, str]] = ...) -> None: ...

class AnalogyQuestion(_message.Message):
    __slots__ = ("positive", "negative")
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    positive: _containers.RepeatedScalarFieldContainer[str]
    negative: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, positive: _Optional[_Iterable[str]] = ..., negative: _Optional[_Iterable[str]] = ...) -> None: ...

class AnalogyResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[AnalogyAnswer]
    def __init__(self, results: _Optional[_Iterable[_Union[AnalogyAnswer, _Mapping]]] = ...) -> None: ...

class AnalogyAnswer(_message.Message):
    __slots__ = ("answers", "words")
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[Neighbor]
    words: _containers.RepeatedCompositeFieldContainer[EmbeddedWord]
    def __init__(self, answers: _Optional[_Iterable[_Union[Neighbor, _Mapping]]] = ..., words: _Optional[_Iterable[_Union[EmbeddedWord, _Mapping]]] = ...) -> None: ...
