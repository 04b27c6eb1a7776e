"""How many sessions or sequences each caller has, and what they take."""

from stepwire_server.config import SessionLimits
from stepwire_server.errors import Overloaded

RETRY_AFTER_S = 1.0


class Holdings:
    """Counts. Plain bookkeeping."""

    def __init__(self, limits: SessionLimits, what: str, remedy: str) -> None:
        """Counts nothing yet.

        Args:
            limits: of one caller and of all.
            what: is counted, for messages: "sessions".
            remedy: what helps a caller who has too many: "close some".
        """
        self._limits = limits
        self._what, self._remedy = what, remedy
        self._owners: dict[str, _Holding] = {}
        self._total = _Holding()

    @property
    def total_bytes(self) -> int:
        """What everybody has, in bytes."""
        return self._total.size_bytes

    def add(self, owner: str) -> None:
        """Counts one more."""
        for holding in (self._total, self._owners.setdefault(owner, _Holding())):
            holding.count += 1

    def remove(self, owner: str) -> None:
        """Counts one less; what it took is counted off before."""
        holding = self._owners[owner]
        self._total.count -= 1
        holding.count -= 1
        if not holding.count:
            del self._owners[owner]

    def grow(self, owner: str, size_bytes: int) -> None:
        """Counts what one takes more, or less."""
        self._total.size_bytes += size_bytes
        self._owners[owner].size_bytes += size_bytes

    def check(self, owner: str, size_bytes: int) -> None:
        """Raises Overloaded unless a caller may have one more of a size."""
        held, limits = self._owners.get(owner) or _Holding(), self._limits
        if held.count >= limits.max_sessions_per_owner:
            raise Overloaded(
                f"you have {held.count} {self._what}, all that a caller may have: {self._remedy}",
                RETRY_AFTER_S,
            )
        if held.size_bytes + size_bytes > limits.max_bytes_per_owner:
            raise Overloaded(
                f"your {self._what} take {held.size_bytes} bytes, and a caller may have "
                f"{limits.max_bytes_per_owner}: {self._remedy}",
                RETRY_AFTER_S,
            )

    def are_full(self, size_bytes: int) -> bool:
        """Whether the server has no room for one more of a size."""
        total, limits = self._total, self._limits
        full = total.count >= limits.max_sessions
        return full or total.size_bytes + size_bytes > limits.max_bytes


class _Holding:
    """What one owner has."""

    __slots__ = ("count", "size_bytes")

    def __init__(self) -> None:
        self.count = 0
        self.size_bytes = 0
