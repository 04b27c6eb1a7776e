"""Everything that can go wrong, by name.

StepwireError
├── InvalidRequest      the caller asked for something this model cannot do
├── Unsupported         the protocol has it, this server does not
├── ModelNotFound       no such model or version
├── ModelLoading        it is being loaded and proved
├── ModelFailed         it could not be loaded, or did not reproduce its golden case
├── ModelControlDisabled models are not loaded or unloaded on request
├── SessionNotFound     no such session, or somebody else's
├── SessionExpired      it was not used for too long, or lived too long
├── SessionEvicted      the server needed its room
├── StaleEpoch          another stream has the session, or it was rolled back
├── StepTaken           the step was taken with other inputs
├── StepSkipped         steps before it were not taken
├── RollbackUnavailable no snapshot of that step is kept
├── StateTokenUnusable  its subclasses say why a state token is refused
├── Overloaded          every waiting place is taken; retrying later is safe
├── DeadlineExceeded    the caller's deadline passed while the work was queued
├── ShuttingDown        the server is draining
└── InternalError       our own mistake; the caller gets an id, the log the rest

StartupError            the server cannot start; for the operator, never on the wire
"""

import math
from typing import Any, ClassVar


class StepwireError(Exception):
    """Base of all errors a caller may see. The message is shown to the caller."""

    reason: ClassVar[str]  # of google.rpc.ErrorInfo
    metadata: dict[str, str]  # of google.rpc.ErrorInfo

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class InvalidRequest(StepwireError):
    """The caller asked for something this model cannot do."""

    reason = "INVALID_REQUEST"

    @classmethod
    def of(cls, field: str, allowed: str, got: object) -> "InvalidRequest":
        """Names the field, what it may be, and what came."""
        shown = _shorten(got)
        message = f"{field} must {allowed}, got {shown}"
        return cls(message, field=field, allowed=allowed, got=shown)


class Unsupported(StepwireError):
    """The protocol knows what was asked for, this server does not do it."""

    reason = "UNSUPPORTED"


class ModelNotFound(StepwireError):
    """No such model or version."""

    reason = "MODEL_NOT_FOUND"


class ModelLoading(StepwireError):
    """The model is being loaded and proved; retrying is safe."""

    reason = "MODEL_LOADING"


class ModelFailed(StepwireError):
    """The model could not be loaded, or did not reproduce its golden case."""

    reason = "MODEL_FAILED"


class ModelControlDisabled(StepwireError):
    """Models are not loaded or unloaded on request here."""

    reason = "MODEL_CONTROL_DISABLED"


class SessionNotFound(StepwireError):
    """No such session; somebody else's looks the same."""

    reason = "SESSION_NOT_FOUND"


class SessionExpired(StepwireError):
    """The session was not used for too long, or lived too long."""

    reason = "SESSION_EXPIRED"


class SessionEvicted(StepwireError):
    """The server needed the session's room."""

    reason = "SESSION_EVICTED"


class StaleEpoch(StepwireError):
    """Another stream has the session, or it was rolled back since."""

    reason = "STALE_EPOCH"


class StepTaken(StepwireError):
    """The step was taken before, with other inputs or too long ago to answer again."""

    reason = "STEP_TAKEN"


class StepSkipped(StepwireError):
    """Steps before this one were not taken."""

    reason = "STEP_SKIPPED"


class RollbackUnavailable(StepwireError):
    """No snapshot of that step is kept."""

    reason = "ROLLBACK_UNAVAILABLE"


class StateTokenUnusable(StepwireError):
    """A state token is refused; the subclass says why."""


class StateTokenUnreadable(StateTokenUnusable):
    """It is cut short, of a newer format, or no state token at all."""

    reason = "STATE_TOKEN_UNREADABLE"


class StateTokenForged(StateTokenUnusable):
    """It was changed, or sealed by nobody who holds the key."""

    reason = "STATE_TOKEN_FORGED"


class StateTokenUnknownKey(StateTokenUnusable):
    """It was sealed with a key that this server does not have."""

    reason = "STATE_TOKEN_UNKNOWN_KEY"


class StateTokenOtherModel(StateTokenUnusable):
    """It is a state of another model, or of another build of this one."""

    reason = "STATE_TOKEN_OTHER_MODEL"


class StateTokenOtherOwner(StateTokenUnusable):
    """It was made for another caller."""

    reason = "STATE_TOKEN_OTHER_OWNER"


class StateTokenExpired(StateTokenUnusable):
    """Its time is over."""

    reason = "STATE_TOKEN_EXPIRED"


class StateTokenInexact(StateTokenUnusable):
    """Its numbers were computed by another CPU, provider or build, or in half precision."""

    reason = "STATE_TOKEN_INEXACT"


class Overloaded(StepwireError):
    """Every waiting place is taken; retrying after `retry_after_s` is safe."""

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(StepwireError):
    """The caller's deadline passed while the work was queued; it was not done."""

    reason = "DEADLINE_EXCEEDED"


class ShuttingDown(StepwireError):
    """The server is draining; another replica can take the request."""

    reason = "SHUTTING_DOWN"


class InternalError(StepwireError):
    """Our own mistake. The log has the details under the id."""

    reason = "INTERNAL"


class StartupError(Exception):
    """The server cannot start. The message is for the operator."""


def check_range(
    field: str,
    value: Any,
    low: float,
    high: float,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raises InvalidRequest unless low <= value <= high; an open end is not in the range.

    NaN is in no range; one without a highest value ends at infinity.
    """
    holds = (low < value if open_low else low <= value) and (
        value < high if open_high else value <= high
    )
    if holds:
        return
    if high == math.inf:
        raise InvalidRequest.of(field, f"be at least {_plain(low)}", value)
    left, right = "(" if open_low else "[", ")" if open_high else "]"
    raise InvalidRequest.of(field, f"be in {left}{_plain(low)}, {_plain(high)}{right}", value)


def _plain(number: float) -> str:
    """Writes a number as a person would: 1048576 and 0.01."""
    return str(int(number)) if number == int(number) else str(number)


def _shorten(value: object) -> str:
    """Shows what came, but never a whole prompt."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 64 else text[:61] + "..."
