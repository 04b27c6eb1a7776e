"""How many cores this process may use, and what a server makes of them.

Three things bound it: the cores of the machine, those that it is tied to (`taskset`, cpusets), and
the time that its control groups get (`docker run --cpus`, Kubernetes limits), which nothing in
`os` knows of.
"""

import math
import os
from pathlib import Path
from typing import NamedTuple

# One process has one interpreter's lock, for which all threads of it queue: see docs/adr/0010.
MOST_ENGINES = 4
MOST_WORKERS = 2


class Cores(NamedTuple):
    """What there is to run on."""

    allowed: int  # cores that the process may run on
    quota: float = math.inf  # cores' worth of time that its control groups get

    @property
    def usable(self) -> int:
        """Cores that can be kept busy."""
        return max(1, math.floor(min(self.allowed, self.quota)))

    @property
    def engines(self) -> int:
        """Engines that a model may get, if it can make use of them: one core is the loop's."""
        return min(max(1, self.usable - 1), MOST_ENGINES)

    @property
    def workers(self) -> int:
        """Runs of whole sequences at once: one core is the loop's."""
        return min(max(1, self.usable - 1), MOST_WORKERS)


def find_cores(root: Path = Path("/")) -> Cores:
    """Looks what there is.

    Args:
        root: where /proc and /sys are; another one in tests.
    """
    return Cores(_allowed(), _quota(root))


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> float:
    """The least that a control group of the process, or one above it, gets; inf: all it wants."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    groups, least = root / "sys/fs/cgroup", math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: one tree for all
            found = _least_on_the_way(groups, path)
        elif "cpu" in controllers.split(","):
            found = _least_on_the_way(groups / controllers, path)
        else:
            continue
        least = min(least, found)
    return least


def _least_on_the_way(tree: Path, path: str) -> float:
    """The least quota from a group up to the root of its tree.

    Inside a container the path may be the host's, of which only the root can be seen.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    folders = [tree.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return min(_quota_of(folder) for folder in folders)


def _quota_of(group: Path) -> float:
    """What one group gets; inf where it says nothing."""
    new = _words(group / "cpu.max")  # "50000 100000", or "max 100000"
    old = _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
    for words in (new, old):
        if len(words) == 2 and words[0].isdigit():  # neither "max" nor "-1"
            return int(words[0]) / int(words[1])
    return math.inf


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
