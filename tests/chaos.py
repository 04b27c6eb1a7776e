"""Kills servers under many callers for minutes: `make chaos`. Every output must be the same."""

import argparse
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from support.chaos import Chaos
from support.subjects import subjects_of

BUNDLED = Path(__file__).parents[1] / "model_zoo/bundles/shakespeare-rnn"


def main():
    """Runs it, and says what came of it; 1 if an output was lost, doubled or changed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the replicas end with it
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to kill")
    parser.add_argument("--callers", type=int, default=24, help="sessions at once")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.callers} callers, {given.minutes:g} minutes", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        zoo = Path(folder) / "zoo"
        zoo.mkdir()
        subjects = subjects_of(zoo, [BUNDLED])
        chaos = Chaos(Path(folder), subjects, seed=given.seed, callers=given.callers)
        failure = None
        try:
            chaos.run(given.minutes * 60)
        except Exception as error:
            failure = error
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(chaos.done.items()))
    print(f"{counts}; {time.monotonic() - began:.0f} s")
    if failure is not None:
        traceback.print_exception(failure)
        print("FAILED")
        return 1
    print("every output equals an uninterrupted run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
