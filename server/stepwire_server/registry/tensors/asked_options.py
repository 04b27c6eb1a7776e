"""How a request of named tensors says how tokens are to be chosen.

By its parameters, one each, or by a JSON object under `sampling_parameters`, as clients of text
generators are used to; both under the names of docs/decoding.md.
"""

import json
from collections.abc import Mapping
from typing import Any

from stepwire_server.decoding.options import LengthNormalization, Options, filled_in
from stepwire_server.errors import InvalidRequest, check_range
from stepwire_server.registry.generation import fresh_seed

_WHOLE = (
    *("max_tokens", "min_tokens", "top_k", "no_repeat_ngram_size", "seed", "logprobs"),
    *("beam_width", "num_hypotheses"),
)
_REAL = (
    *("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty"),
    *("frequency_penalty", "length_penalty", "coverage_penalty", "patience"),
)
_FLAGS = ("replace_unknowns",)
_LISTS = {"stop": str, "stop_token_ids": int, "suppress_tokens": int}
_NAMES = sorted((*_WHOLE, *_REAL, *_FLAGS, *_LISTS, "logit_bias", "length_normalization"))


def read_options(
    text: bytes | None, parameters: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Options:
    """Reads options.

    Args:
        text: a JSON object, if one came; UTF-8.
        parameters: of the request; they win over the text.
        defaults: of the model.

    Raises:
        InvalidRequest: a name is unknown, or a value is none that it may have.
    """
    given = {**_from_json(text), **parameters}
    read = {name: _value(name, value) for name, value in given.items()}
    return Options(**{"seed": fresh_seed(), **filled_in(defaults, read)})


def _from_json(text: bytes | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest.of("sampling_parameters", "be JSON", error) from error
    if not isinstance(value, dict):
        raise InvalidRequest.of("sampling_parameters", "be a JSON object", type(value).__name__)
    return value


def _value(name: str, value: Any) -> Any:
    if name == "seed":
        check_range(
            name, _typed(name, value, "a whole number", isinstance(value, int)), 0, 2**64 - 1
        )
    if name in _WHOLE:
        return _typed(name, value, "a whole number", isinstance(value, int))
    if name in _REAL:
        return float(_typed(name, value, "a number", isinstance(value, int | float)))
    if name in _FLAGS:
        return _typed(name, value, "true or false", isinstance(value, bool), flag=True)
    if name in _LISTS:
        return _list(name, value, _LISTS[name])
    if name == "logit_bias":
        return _biases(value)
    if name == "length_normalization":
        return _normalization(value)
    raise InvalidRequest.of(f"parameter {name}", f"be one of {', '.join(_NAMES)}", name)


def _typed(name: str, value: Any, allowed: str, fits: bool, *, flag: bool = False) -> Any:
    if not fits or isinstance(value, bool) is not flag:
        raise InvalidRequest.of(name, f"be {allowed}", value)
    return value


def _list(name: str, value: Any, kind: type) -> tuple[Any, ...]:
    # A request's parameter holds one value and no list.
    values = [value] if isinstance(value, kind) else value
    if not isinstance(values, list):
        raise InvalidRequest.of(name, f"be a list of {kind.__name__}", value)
    for index, each in enumerate(values):
        if not isinstance(each, kind) or isinstance(each, bool):
            raise InvalidRequest.of(f"{name}[{index}]", f"be {kind.__name__}", each)
    return tuple(values)


def _biases(value: Any) -> dict[int, float]:
    if not isinstance(value, dict):
        raise InvalidRequest.of("logit_bias", "be an object of tokens and numbers", value)
    biases = {}
    for token, bias in value.items():
        if not str(token).isascii() or not str(token).isdigit():
            raise InvalidRequest.of("logit_bias", "have tokens as names", token)
        number = _typed(f"logit_bias[{token}]", bias, "a number", isinstance(bias, int | float))
        biases[int(token)] = float(number)
    return biases


def _normalization(value: Any) -> LengthNormalization:
    try:
        return LengthNormalization(value)
    except ValueError as error:
        known = ", ".join(each.value for each in LengthNormalization)
        raise InvalidRequest.of("length_normalization", f"be one of {known}", value) from error
