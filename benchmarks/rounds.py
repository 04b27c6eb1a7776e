"""Rounds of a section, and the CPU time that they take."""

import gc
import time
from collections.abc import Callable, Iterator

from benchmarks.plan import Plan
from benchmarks.servers import Server


class Cpu:
    """CPU time of a server, and of this process, from here on."""

    def __init__(self, server: Server) -> None:
        gc.collect()  # so that no measured run pays for another's garbage
        self._server = server
        self._server_s, self._own_s, self._began = server.cpu_s(), time.process_time(), time.time()

    def values(self, work: float, unit: str) -> dict[str, float]:
        """CPU-seconds for each unit of work, and how busy the load itself was."""
        took_s = time.time() - self._began
        return {
            f"server_cpu_s_per_{unit}": (self._server.cpu_s() - self._server_s) / work,
            "server_cpu_share": (self._server.cpu_s() - self._server_s) / took_s,
            "load_cpu_share": (time.process_time() - self._own_s) / took_s,
        }


def rounds(plan: Plan, section: str, tell: Callable[[str], None]) -> Iterator[int]:
    """Counts rounds, always whole ones, until there are enough or the time is up."""
    ends_at = time.monotonic() + plan.section_s
    for number in range(plan.rounds):
        if number >= plan.least_rounds and time.monotonic() > ends_at:
            tell(f"{section}: out of time after {number} of {plan.rounds} rounds")
            return
        tell(f"{section}, round {number + 1} of {plan.rounds}")
        yield number


def in_turn(wanted: list[Server], number: int) -> list[Server]:
    """Another one begins each round, so that none always follows the same neighbour."""
    first = number % len(wanted)
    return [*wanted[first:], *wanted[:first]]
