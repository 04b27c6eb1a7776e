"""JSON to frozen dataclasses and back, strictly.

Every field is checked against its annotation and an error names its path, as in
`graphs.step.states[0].shape: must be a list, got "2"`. It knows the few types that
manifests are made of: str, int, float, bool, tuples, dicts by name, optionals, a text
or a number, and other dataclasses.
"""

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

from stepwire_zoo.errors import ManifestInvalid

T = TypeVar("T")


def read(cls: type[T], value: Any, path: str = "") -> T:
    """Builds a dataclass from parsed JSON.

    Args:
        cls: the dataclass.
        value: what json.loads gave.
        path: where the value stands, for messages.

    Returns:
        An instance of `cls`.

    Raises:
        ManifestInvalid: a field is missing, unknown or of the wrong type, or the
            dataclass itself refuses its values.
    """
    _expect(isinstance(value, dict), path or "manifest", "an object", value)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(value.keys() - fields.keys())
    if unknown:
        raise ManifestInvalid(f"{_join(path, unknown[0])}: not a field of this format")
    missing = sorted(name for name, field in fields.items() if _required(field) - value.keys())
    if missing:
        raise ManifestInvalid(f"{_join(path, missing[0])}: is missing")
    known = {name: _read_as(hints[name], item, _join(path, name)) for name, item in value.items()}
    try:
        return cls(**known)
    except ValueError as error:
        raise ManifestInvalid(f"{path or 'manifest'}: {error}") from error


def write(value: Any) -> Any:
    """Turns a dataclass into what json.dumps takes; parts that are not there are left out."""
    if dataclasses.is_dataclass(value):
        items = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: write(item) for field, item in items if not _absent(field, item)}
    if isinstance(value, tuple):
        return [write(item) for item in value]
    if isinstance(value, dict):
        return {name: write(item) for name, item in value.items()}
    return value


def _absent(field: dataclasses.Field[Any], item: Any) -> bool:
    """Whether a field is None, or the value that stands for a part that is not there."""
    return item is None or (dataclasses.is_dataclass(item) and item == field.default)


def _required(field: dataclasses.Field[Any]) -> set[str]:
    optional = (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
    return set() if optional else {field.name}


def _read_as(hint: Any, value: Any, path: str) -> Any:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return _read_union(parts, value, path)
    if origin is tuple:
        _expect(isinstance(value, list), path, "a list", value)
        return tuple(_read_as(parts[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        _expect(isinstance(value, dict), path, "an object", value)
        return {name: _read_as(parts[1], item, _join(path, name)) for name, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return read(typing.cast(type, hint), value, path)
    return _read_scalar(hint, value, path)


def _read_union(parts: tuple[Any, ...], value: Any, path: str) -> Any:
    """Of `X | None`, or of `str | X`."""
    if value is None and type(None) in parts:
        return None
    if parts[0] is str and not isinstance(value, str) and parts[1] is not type(None):
        return _read_as(parts[1], value, path)
    return _read_as(parts[0], value, path)


def _read_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    _expect(type(value) is hint, path, f"of type {hint.__name__}", value)
    if hint is float:
        _expect(math.isfinite(value), path, "finite", value)
    return value


def _expect(holds: bool, path: str, wanted: str, value: Any) -> None:
    if not holds:
        raise ManifestInvalid(f"{path}: must be {wanted}, got {str(value)[:80]!r}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
