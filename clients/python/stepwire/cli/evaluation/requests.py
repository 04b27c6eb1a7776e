"""Requests to a voice assistant: what each asks for, and what its parts say."""

import io
import json
import tarfile
from itertools import accumulate
from pathlib import PurePosixPath
from typing import NamedTuple

from stepwire.cli.evaluation.files import File

SNIPS = File(
    path="snips/2017-06-custom-intent-engines.tar",
    sha256="3da126db32bb914d661dec5373cee4efed886e12ad99e44be4b5387a48d5d1ca",
)


class Part(NamedTuple):
    """Some of what is said."""

    text: str
    slot: str  # what it says; empty where it says nothing by itself


class Request(NamedTuple):
    """A request, part by part."""

    intent: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All of it, with a space between the parts: a slot ends where its part does."""
        return " ".join(part.text for part in self.parts)

    def tags(self, starts: list[int]) -> list[str]:
        """B-X, I-X or O of words that begin at some places of the text, in their order."""
        ends = list(accumulate(len(part.text) + 1 for part in self.parts))
        found, before = [], -1
        for start in starts:
            place = next(place for place, end in enumerate(ends) if start < end)
            slot = self.parts[place].slot
            found.append(f"{'I' if place == before else 'B'}-{slot}" if slot else "O")
            before = place
        return found


def snips() -> list[Request]:
    """The validation files, which papers take for the test split, in the order of their intents."""
    found: list[Request] = []
    with tarfile.open(fileobj=io.BytesIO(SNIPS.read())) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            file = archive.extractfile(member)
            if file and PurePosixPath(member.name).name.startswith("validate_"):
                found += requests(file.read())
    return found


def requests(content: bytes) -> list[Request]:
    """The requests of a file, all of one intent."""
    [(intent, every)] = json.loads(content.decode(errors="replace")).items()
    return [
        Request(intent, tuple(Part(part["text"], part.get("entity", "")) for part in each["data"]))
        for each in every
    ]
