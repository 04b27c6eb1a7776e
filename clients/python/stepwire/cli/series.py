"""A series from a CSV file: the columns that a model reads, row by row."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from stepwire.cli.lines import InputError, Source
from stepwire.errors import InvalidRequest

_LINES_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class Series:
    """Rows of numbers, and where they stand in their file."""

    rows: list[list[float]]
    lines: list[int]  # on which each row ends
    names: list[str]  # of the columns, as the file has them
    source: str  # the file

    @classmethod
    def read(cls, path: str, columns: Sequence[str], chosen: Sequence[str] | None) -> Self:
        """Reads a file with a header.

        Args:
            path: of the file; "-" is standard input.
            columns: that the model reads, in their order.
            chosen: names that the file has for them; None: the same, or if the model reads
                one, whichever column holds numbers.

        Raises:
            InputError: naming the line and the column that cannot be read.
        """
        with Source.open(None if path == "-" else path) as source:
            records = _records(source)
            header = _header(records, source.name)
            first = next(records, None)
            if first is None:
                raise InputError(f"{source.name} has a header and no rows")
            names = _names(header, first, columns, chosen, source.name)
            places = [(header.index(name), name) for name in names]
            rows, lines = [], []
            for line, cells in (first, *records):
                where = f"line {line} of {source.name}"
                if len(cells) != len(header):
                    raise InputError(
                        f"{where} must have {len(header)} cells, as the header has, "
                        f"got {len(cells)}"
                    )
                rows.append([_number(cells[place], name, where) for place, name in places])
                lines.append(line)
            return cls(rows=rows, lines=lines, names=names, source=source.name)

    def located(self, error: InvalidRequest) -> Exception:
        """The error with the line and the column of the number that it is about."""
        found = re.fullmatch(r"histories\[0\]\.values\[(\d+)\]", error.details.get("field", ""))
        if found is None:
            return error
        row, place = divmod(int(found[1]), len(self.names))
        where = f"line {self.lines[row]} of {self.source}, column {self.names[place]!r}"
        return InputError(f"{where}: {error}")


def _records(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Cells with the line that they end on; blank lines at the end are nothing."""
    reader = csv.reader(
        (line for batch in source.batches(_LINES_AT_ONCE) for line in batch.texts), strict=True
    )
    blank: int | None = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(f"line {reader.line_num} of {source.name}: {error}") from None
        if cells is None:
            return
        if len(cells) <= 1 and not "".join(cells).strip():
            blank = blank or reader.line_num
            continue
        if blank is not None:
            raise InputError(f"line {blank} of {source.name} is blank, and rows follow it")
        yield reader.line_num, [cell.strip() for cell in cells]


def _header(records: Iterator[tuple[int, list[str]]], source: str) -> list[str]:
    line, names = next(records, (0, []))
    if not names:
        raise InputError(f"{source} is empty: it must have a header and rows")
    if all(_parsed(name) is not None for name in names):
        raise InputError(f"line {line} of {source} must be a header, got numbers")
    return names


def _names(
    header: list[str],
    first: tuple[int, list[str]],
    columns: Sequence[str],
    chosen: Sequence[str] | None,
    source: str,
) -> list[str]:
    """The columns to read, in the order in which the model takes them."""
    names = list(chosen or columns)
    if len(names) != len(columns):
        raise InputError(
            f"--columns must name {len(columns)} columns, for {', '.join(columns)}, "
            f"got {len(names)}"
        )
    if chosen is None and len(columns) == 1 and columns[0] not in header:
        numeric = [name for name, cell in zip(header, first[1], strict=False) if _is_number(cell)]
        if len(numeric) == 1:
            return numeric
        raise InputError(
            f"{source} has no column {columns[0]!r}, and {len(numeric)} that hold numbers: "
            f"name one with --column; there are {', '.join(header)}"
        )
    for name in names:
        if header.count(name) != 1:
            problem = "has no column" if name not in header else "has more than one column"
            raise InputError(f"{source} {problem} {name!r}; there are {', '.join(header)}")
    return names


def _number(cell: str, name: str, where: str) -> float:
    value = _parsed(cell)
    if value is None or not math.isfinite(value):
        shown = repr(cell) if cell else "a blank cell"
        raise InputError(f"{where}, column {name!r} must be a finite number, got {shown}")
    return value


def _is_number(cell: str) -> bool:
    return _parsed(cell) is not None


def _parsed(cell: str) -> float | None:
    """A number as other programs write it; Python alone knows 1_000."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
