"""What is printed, and the progress bar beside it."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_QUIET_S = 1.0  # what is done sooner needs no bar


def write(text: str) -> None:
    """Prints at once: a person or a program may be waiting."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_lines(lines: Sequence[str]) -> None:
    """Prints every line with its end."""
    write("".join(f"{line}\n" for line in lines))


def as_json(value: object) -> str:
    """One line of JSON that people can read, too."""
    return json.dumps(value, ensure_ascii=False)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


class Progress:
    """Results printed in order, counted by a bar where there is one."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def write_lines(self, lines: Sequence[str]) -> None:
        """Prints results, out of the bar's way."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.clear()  # the next update draws it again, below the results
        write_lines(lines)
        if self._bar is not None:
            self._bar.update(len(lines))

    def advance(self, count: int) -> None:
        """Counts what is done and prints nothing."""
        if self._bar is not None:
            self._bar.update(count)


@contextmanager
def progress(total: int | None) -> Iterator[Progress]:
    """A bar on standard error while that is a terminal, tqdm is there and it takes longer."""
    try:
        from tqdm import tqdm
    except ImportError:  # the extra `cli`
        yield Progress(None)
        return
    with tqdm(
        total=total,
        unit=" texts",
        delay=_QUIET_S,
        disable=None,
        file=sys.stderr,
        ncols=_columns(),
        nrows=2,  # or a terminal that does not know its size would show nothing
    ) as bar:
        yield Progress(bar)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
