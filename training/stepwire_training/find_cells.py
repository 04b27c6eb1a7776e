"""Finds cells that follow something in the text, and says how well.

    python -m stepwire_training.find_cells war-and-peace-lstm

A cell and a threshold are chosen on the split that chose the weights, and tried on the test
split, which nothing was chosen by. After Karpathy, Johnson and Li (2015), who looked for such
cells by eye.
"""

import argparse
import csv
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from stepwire_training.cells.drawing import Panel, drawn
from stepwire_training.cells.marks import (
    Marks,
    Rule,
    far_in_line,
    in_comment,
    in_condition,
    in_quotes,
    in_string,
)
from stepwire_training.cells.probes import (
    Activations,
    Found,
    Probe,
    Together,
    base_rate,
    best_probe,
)
from stepwire_training.cells.reading import memories
from stepwire_training.data.long_texts import LongText
from stepwire_training.recipes import RECIPES
from stepwire_zoo.bundle import open_bundle

ZOO = Path("model_zoo/bundles")
CHARACTERS = 120_000  # of each split that are read
SHOWN = 420  # characters of an excerpt
RULES: dict[str, dict[str, Rule]] = {
    "war-and-peace-lstm": {
        "inside quotes": in_quotes,
        "40 or more characters into the line": partial(far_in_line, characters=40),
    },
    "linux-kernel-lstm": {
        "inside a comment": in_comment,
        "inside a string literal": in_string,
        "inside the condition of an if": in_condition,
        "30 or more characters into the line": partial(far_in_line, characters=30),
    },
}


class Split(NamedTuple):
    """A text, and what all cells held behind each of its characters."""

    text: str
    activations: Activations


class Line(NamedTuple):
    """What was found of one mark."""

    mark: str
    probe: Probe
    cell: Found  # of the cell alone
    together: Found  # of all cells
    base: float  # of whoever looks at nothing


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the answer is its exit code."""
    options = parser().parse_args(arguments)
    bundle = open_bundle(options.zoo / options.name / "1")
    data = RECIPES[options.name]().data
    assert isinstance(data, LongText)
    parts = data.parts()
    tokenizer = Tokenizer.from_str(bundle.read(bundle.manifest.tokenizer.file).decode())
    chosen_on, tried_on = (
        Split(text, memories(bundle, np.array(tokenizer.encode(text).ids, np.int64)))
        for text in (part[: options.characters] for part in (parts.dev, parts.test))
    )
    lines = [found(mark, rule, chosen_on, tried_on) for mark, rule in RULES[options.name].items()]
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / f"cells_{options.name}.csv", lines)
    panels = [excerpt(line, tried_on, RULES[options.name][line.mark]) for line in lines]
    (options.out / f"cells_{options.name}.png").write_bytes(drawn(panels))
    return 0


def found(mark: str, rule: Rule, chosen_on: Split, tried_on: Split) -> Line:
    """Chooses a cell on one split, and tries it on another."""
    marks, wanted = rule(chosen_on.text), rule(tried_on.text)
    probe = best_probe(chosen_on.activations, marks)
    together = Together(chosen_on.activations, marks)
    return Line(
        mark=mark,
        probe=probe,
        cell=Found.of(probe.says(tried_on.activations), wanted),
        together=Found.of(together.says(tried_on.activations), wanted),
        base=base_rate(wanted),
    )


def write(path: Path, lines: list[Line]) -> None:
    """Prints what was found, and writes it into a file."""
    head = ["mark", "cell", "base rate", "accuracy", "balanced", "all cells", "all, balanced"]
    rows = [
        [
            line.mark,
            str(line.probe.cell),
            *(
                f"{value:.4f}"
                for value in (
                    line.base,
                    line.cell.accuracy,
                    line.cell.balanced,
                    line.together.accuracy,
                    line.together.balanced,
                )
            ),
        ]
        for line in lines
    ]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    for row in [head, *rows]:
        sys.stdout.write("\t".join(row) + "\n")


def excerpt(line: Line, split: Split, rule: Rule) -> Panel:
    """The first piece of the text that has as much of the mark as not, by whole lines."""
    marks = rule(split.text)
    begin = _first_mixed(split.text, marks)
    end = split.text.find("\n", begin + SHOWN)
    part = slice(begin, end if end > 0 else len(split.text))
    side = "above" if line.probe.above else "below"
    return Panel(
        title=f"{line.mark}: cell {line.probe.cell}, {side} {line.probe.threshold:.2f}",
        text=split.text[part],
        values=split.activations[part, line.probe.cell].astype(np.float32),
    )


def _first_mixed(text: str, marks: Marks) -> int:
    """Where a line begins behind which 20 to 80 % of an excerpt have the mark, or the first."""
    begins = [place + 1 for place, character in enumerate(text[:-SHOWN]) if character == "\n"]
    for begin in begins:
        if 0.2 <= marks[begin : begin + SHOWN].mean() <= 0.8:
            return begin
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser("find_cells", description=__doc__)
    result.add_argument("name", choices=sorted(RULES))
    result.add_argument("--zoo", type=Path, default=ZOO, help="repository of bundles")
    result.add_argument("--out", type=Path, default=Path("docs/lectures"), help="of the findings")
    result.add_argument(
        "--characters", type=int, default=CHARACTERS, help="how many of each split are read"
    )
    return result


if __name__ == "__main__":
    sys.exit(main())
