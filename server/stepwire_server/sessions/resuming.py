"""Resume tokens: sequences under way that another replica can go on with."""

import time

from stepwire_server.registry import saved as sequences
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.saved import Saved
from stepwire_server.sessions import tokens
from stepwire_server.sessions.keys import KeyRing


class ResumeTokens:
    """Seals sequences, and opens what it sealed or another with its keys."""

    def __init__(self, ring: KeyRing, token_s: float) -> None:
        """Makes one.

        Args:
            ring: the server's keys.
            token_s: how long a token can be used.
        """
        self._ring = ring
        self._token_s = token_s

    def seal(self, owner: str, origin: Origin, saved: Saved) -> bytes:
        """Makes a token of a sequence."""
        head = tokens.TokenHead(
            model=origin.model,
            version=origin.version,
            digest=origin.digest,
            numerics=origin.numerics,
            owner=owner,
            next_step=saved.length,
            ends_at=int(time.time() + self._token_s),
        )
        return tokens.seal(self._ring, tokens.RESUME, head, sequences.write(saved))

    def open(self, owner: str, origin: Origin, token: bytes, *, accept_inexact: bool) -> Saved:
        """Opens a token of a caller, for a model.

        Raises:
            StateTokenUnusable: why it cannot be used, by its class.
        """
        opened = tokens.unseal(self._ring, tokens.RESUME, token, owner, time.time())
        tokens.check_origin(opened, origin, accept_inexact=accept_inexact)
        saved = sequences.read(opened.body)
        tokens.check_states([row.packed for row in saved.rows], origin.layout, tokens.RESUME)
        return saved
