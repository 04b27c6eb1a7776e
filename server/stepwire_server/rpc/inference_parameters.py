"""What the parameters of a request of the Open Inference Protocol say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwire_server.engine.tensors import Parameter
from stepwire_server.errors import InvalidRequest
from stepwire_server.sessions.sequence import SequenceId

FINAL_RESPONSE = "triton_final_response"
_OF_CLIENTS = ("headers", "binary_data_output")  # they mean something on other transports only


@dataclass(kw_only=True, slots=True)
class Said:
    """The parameters of one request."""

    sequence: SequenceId | None = None  # None: of no sequence
    start: bool = False
    end: bool = False
    priority: int = 0
    timeout_s: float | None = None
    empty_final: bool = False  # an answer without outputs is wanted when all is said
    others: dict[str, Parameter] = field(default_factory=dict)


def read_parameters(parameters: Mapping[str, Any]) -> Said:
    """Reads the parameters of a request; raises InvalidRequest."""
    said = Said()
    for name, value in parameters.items():
        which = value.WhichOneof("parameter_choice")
        read = _KNOWN.get(name)
        if read is not None:
            read(said, name, None if which is None else getattr(value, which))
        elif which is None:
            raise InvalidRequest.of(f"parameter {name}", "have a value", "none")
        elif not name.startswith("triton_") and name not in _OF_CLIENTS:
            said.others[name] = getattr(value, which)
    return said


def _sequence(said: Said, name: str, value: Any) -> None:
    # A bool is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidRequest.of(name, "be a whole number or a text", value)
    said.sequence = value or None


def _start(said: Said, name: str, value: Any) -> None:
    said.start = _flag(name, value)


def _end(said: Said, name: str, value: Any) -> None:
    said.end = _flag(name, value)


def _empty_final(said: Said, name: str, value: Any) -> None:
    said.empty_final = _flag(name, value)


def _priority(said: Said, name: str, value: Any) -> None:
    said.priority = _whole(name, value)


def _timeout(said: Said, name: str, value: Any) -> None:
    said.timeout_s = _whole(name, value) / 1e6 or None


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest.of(name, "be true or false", value)
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequest.of(name, "be a whole number of at least 0", value)
    return value


_KNOWN = {
    "sequence_id": _sequence,
    "sequence_start": _start,
    "sequence_end": _end,
    "priority": _priority,
    "timeout": _timeout,
    "triton_enable_empty_final_response": _empty_final,
}
