"""The section that measures how long a server takes until it answers."""

import time
from collections.abc import Callable

from benchmarks import servers
from benchmarks.ledger import Case, Ledger, Spread, spread
from benchmarks.plan import Plan
from benchmarks.rounds import rounds

LAZY, PROVED = "models on first use", "every model proved"  # the subjects


def measure_starting(plan: Plan, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Seconds from the start of the process to its being ready."""
    commands = {
        LAZY: servers.ours(plan.repository, "--lazy-load"),
        PROVED: servers.ours(plan.repository),
    }
    for _ in rounds(plan, "start", tell):
        for name, command in commands.items():
            began = time.monotonic()
            with servers.running({name: command}) as (server,):
                took_s = time.monotonic() - began
                rss_mib = server.process.memory_info().rss / 2**20
            values = {"ready_s": took_s, "server_rss_mib": rss_mib}
            ledger.add(Case("start", "the repository", name), values)


def ratios(ledger: Ledger) -> dict[str, Spread]:
    """No ratios: seconds."""
    cases = {name: Case("start", "the repository", name) for name in (LAZY, PROVED)}
    names = {LAZY: "ready_lazily_s", PROVED: "ready_proved_s"}
    return {
        names[name]: spread(ledger.rounds(case, "ready_s"))
        for name, case in cases.items()
        if ledger.has(case)
    }
