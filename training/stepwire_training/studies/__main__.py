"""The command `python -m stepwire_training.studies NAME`: runs a study, writes what it found.

    python -m stepwire_training.studies gradients --out docs/lectures

writes tables (CSV) and pictures (PNG). With --quick it takes seconds and
shows only that everything runs.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from stepwire_training.studies import exposure, gradients, long_lags, truncation
from stepwire_training.studies.findings import Findings

STUDIES: dict[str, Callable[[bool], Findings]] = {
    "exposure": exposure.study,
    "gradients": gradients.study,
    "long_lags": long_lags.study,
    "truncation": truncation.study,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the answer is its exit code."""
    line = argparse.ArgumentParser("stepwire_training.studies", description=__doc__)
    line.add_argument("study", choices=sorted(STUDIES))
    line.add_argument("--quick", action="store_true", help="only try it, in seconds")
    line.add_argument("--out", type=Path, default=Path("docs/lectures"), help="folder to write to")
    options = line.parse_args(arguments)
    # As many threads as there are cores would give other last bits on every machine.
    torch.set_num_threads(1)
    began = time.process_time()
    written = STUDIES[options.study](options.quick).write(options.out)
    seconds = time.process_time() - began
    sys.stdout.write(f"{', '.join(map(str, written))}: {seconds:.0f} s of one core\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
