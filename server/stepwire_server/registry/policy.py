"""Which versions of a model are served; the names are those of Triton's version_policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from stepwire_zoo.index import Location


@dataclass(frozen=True, kw_only=True)
class VersionPolicy:
    """All versions, the latest few, or some by number."""

    latest: int = 0  # 0: not by age
    specific: tuple[int, ...] = ()  # empty: not by number

    def choose(self, places: Sequence[Location]) -> list[Location]:
        """Chooses among the versions of one model."""
        ordered = sorted(places)
        if self.specific:
            return [place for place in ordered if place.version in self.specific]
        return ordered[-self.latest :]

    @classmethod
    def read(cls, text: str) -> "VersionPolicy":
        """Reads `all`, `latest:N` or `specific:1,3`; raises ValueError."""
        kind, _, numbers = text.partition(":")
        if kind == "all" and not numbers:
            return cls()
        if kind == "latest" and numbers.isdigit() and int(numbers):
            return cls(latest=int(numbers))
        if kind == "specific" and all(n.isdigit() and int(n) for n in numbers.split(",")):
            return cls(specific=tuple(int(n) for n in numbers.split(",")))
        raise ValueError(f"must be all, latest:N or specific:N,N, got {text!r}")
