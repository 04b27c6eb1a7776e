"""Who makes a call, as far as it says, and how long it waits."""

import time
from hashlib import blake2b
from typing import Any

from stepwire_server.errors import InvalidRequest

CALLER = "x-stepwire-caller"  # metadata in which a caller says who it is
_MOST_CALLER_CHARACTERS = 256
_DIGEST_BYTES = 16


def identity(context: Any) -> str:
    """Who is told apart from others: who a call says it is from, or else its connection.

    Raises:
        InvalidRequest: it says too much.
    """
    return owner(context) or str(context.peer())


def owner(context: Any) -> str:
    """Who makes a call: a digest of what it says, empty if it says nothing.

    Raises:
        InvalidRequest: it says too much.
    """
    told = str(dict(context.invocation_metadata() or ()).get(CALLER, ""))
    if len(told) > _MOST_CALLER_CHARACTERS:
        allowed = f"have at most {_MOST_CALLER_CHARACTERS} characters"
        raise InvalidRequest.of(CALLER, allowed, len(told))
    return blake2b(told.encode(), digest_size=_DIGEST_BYTES).hexdigest() if told else ""


def deadline_of(context: Any) -> float | None:
    """The caller's deadline on the monotonic clock, if it set one."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s
