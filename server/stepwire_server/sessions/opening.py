"""What a session begins with: its model's start, another session, or a state token."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.stepping import Stepper
from stepwire_server.registry.text import Prompt
from stepwire_server.sessions import tokens
from stepwire_server.sessions.session import Beginning, Session

Begin = Callable[[Stepper], Beginning]


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What somebody wants to open."""

    model: str = ""
    version: str = ""
    token: bytes | None = None
    copied: str | None = None  # id of another session
    accept_inexact: bool = False
    max_snapshots: int = 0
    window: int = 1
    source: Prompt | None = None  # of one that begins at the model's start
    follows: bool = False


def fresh(stepper: Stepper, source: tuple[int, ...], wanted: Opening) -> Beginning:
    """At the model's start."""
    return _beginning(stepper, wanted, stepper.start, source)


def copied(other: Session, wanted: Opening) -> Begin:
    """Where another session stands."""
    return lambda stepper: replace(
        _beginning(stepper, wanted, other.packed, other.source),
        next_step=other.next_step,
        inexact=other.inexact,
    )


def thawed(token: tokens.Token, stepper: Stepper, wanted: Opening) -> Beginning:
    """Where a token was made."""
    head, origin = token.head, stepper.origin
    state = tokens.state_of(token, origin, accept_inexact=wanted.accept_inexact)
    return replace(
        _beginning(stepper, wanted, state, tuple(head.source)),
        next_step=head.next_step,
        inexact=head.half or head.inexact or head.numerics != origin.numerics,
    )


def _beginning(
    stepper: Stepper, wanted: Opening, packed: bytes, source: tuple[int, ...]
) -> Beginning:
    return Beginning(
        model=stepper.name,
        version=stepper.version,
        packed=packed,
        source=source,
        follows=wanted.version if wanted.follows else None,
        window=wanted.window,
        max_snapshots=wanted.max_snapshots,
    )


def check_same(wanted: Opening, model: str, version: str) -> None:
    """A model that is named beside an origin must be the origin's."""
    if wanted.model and wanted.model != model:
        raise InvalidRequest.of("model", f"be empty or {model}, the origin's", wanted.model)
    if wanted.version and wanted.version != version:
        raise InvalidRequest.of("version", f"be empty or {version}, the origin's", wanted.version)
