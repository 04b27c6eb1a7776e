"""Texts from standard input or a file, one a line."""

import argparse
import codecs
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from stepwire.errors import InvalidRequest

STANDARD_INPUT = "standard input"

_CHUNK_BYTES = 1 << 18


class InputError(Exception):
    """The input cannot be read, or the server refuses a part of it."""


def located(
    error: InvalidRequest, first: int, source: str | None, places: Sequence[int] | None = None
) -> Exception:
    """The error with the line of the text that it is about.

    Args:
        error: names the text by its place in the call.
        first: line of the call's first text.
        source: where lines come from; None if they do not come from lines.
        places: lines of the call's texts, counted from its first, if some were left out.
    """
    found = re.match(
        r"(?:texts|prompts|sources|inputs|words|questions)\[(\d+)\]", error.details.get("field", "")
    )
    if found is None or source is None:
        return error
    place = int(found[1]) if places is None else places[int(found[1])]
    return InputError(f"line {first + place} of {source}: {error}")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Texts that make one call."""

    first: int  # number of the first text, from 1
    texts: list[str]


@contextmanager
def batches_of(args: argparse.Namespace, size: int) -> Iterator[tuple[int | None, Iterator[Batch]]]:
    """How many texts a command is given, if that is known, and the texts."""
    if args.texts:
        yield len(args.texts), _cut(args.texts, size)
        return
    with Source.open(args.file) as source:
        yield source.count(), source.batches(size)


def _cut(texts: list[str], size: int) -> Iterator[Batch]:
    for start in range(0, len(texts), size):
        yield Batch(first=start + 1, texts=texts[start : start + size])


@dataclass(frozen=True, kw_only=True)
class Source:
    """An open file of lines."""

    descriptor: int
    name: str  # for messages

    @classmethod
    @contextmanager
    def open(cls, path: str | None) -> Iterator[Self]:
        """The file at `path`, None for standard input."""
        if path is not None:
            with open(path, "rb", buffering=0) as file:
                yield cls(descriptor=file.fileno(), name=path)
        elif sys.stdin is None:
            raise InputError(f"{STANDARD_INPUT} is closed")
        else:
            yield cls(descriptor=sys.stdin.fileno(), name=STANDARD_INPUT)

    def batches(self, size: int) -> Iterator[Batch]:
        """The lines, as many together as have arrived but never more than `size`.

        A file comes in full batches; a line typed or piped slowly is not kept waiting
        for others.

        Raises:
            InputError: naming the first line that is not UTF-8.
        """
        first = 1
        for lines in self._arrivals():
            for start in range(0, len(lines), size):
                part = lines[start : start + size]
                yield Batch(first=first, texts=list(self._decoded(first, part)))
                first += len(part)

    def count(self) -> int | None:
        """How many lines are to come; None if only reading them would tell."""
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            return None
        offset, count, last = os.lseek(self.descriptor, 0, os.SEEK_CUR), 0, b"\n"
        while chunk := os.pread(self.descriptor, _CHUNK_BYTES, offset):
            offset += len(chunk)
            count += chunk.count(b"\n")
            last = chunk[-1:]
        return count + (last != b"\n")

    def _arrivals(self) -> Iterator[list[bytes]]:
        """Whole lines, as many as each read completes."""
        begun: list[bytes] = []
        # Not through sys.stdin: a thread that waits in its buffer would hold up the exit.
        while chunk := os.read(self.descriptor, _CHUNK_BYTES):
            begun.append(chunk)
            if b"\n" in chunk:
                *lines, rest = b"".join(begun).split(b"\n")
                begun = [rest]
                yield lines
        if last := b"".join(begun):
            yield [last]

    def _decoded(self, first: int, lines: Iterable[bytes]) -> Iterator[str]:
        for number, line in enumerate(lines, start=first):
            if number == 1:  # some editors write a mark that is no part of the text
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                yield line.removesuffix(b"\r").decode()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"line {number} of {self.name} must be UTF-8, got byte "
                    f"0x{line[error.start]:02x} at position {error.start + 1}"
                ) from None
