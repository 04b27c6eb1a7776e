"""The figures that everything is measured for: ratios to the raw loop and to naive servers."""

from benchmarks import prefixes, protocols, starting, training
from benchmarks.ledger import Case, Ledger, Spread, spread
from benchmarks.plan import Plan
from benchmarks.servers import NAIVE, OURS

# Against the raw loop: whose figure, and which.
_ENGINE = {
    "engine_vs_raw": ("engine", "rows_per_s"),
    "engine_sampled_vs_raw": ("engine sampled", "rows_per_s"),
    "engine_cpu_vs_raw": ("engine", "rows_per_cpu_s"),
    "engine_sampled_cpu_vs_raw": ("engine sampled", "rows_per_cpu_s"),
}
# The same for searches.
_SEARCH = {
    "translate_engine_vs_raw": ("engine", "rows_per_s"),
    "translate_engine_come_and_go_vs_raw": ("engine, come and go", "rows_per_s"),
    "translate_engine_cpu_vs_raw": ("engine", "rows_per_cpu_s"),
}


def ratios(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """Every ratio whose section was measured, by name."""
    return {
        **_steps(plan, ledger),
        **protocols.ratios(plan, ledger),
        **prefixes.ratios(plan, ledger),
        **starting.ratios(ledger),
        **training.ratios(plan, ledger),
        **_engine(plan, ledger),
        **_against_raw(
            ledger, "search", _SEARCH, {f"{n}": f"{n} sentences" for n in plan.searches}
        ),
        **_served(plan, ledger),
        **_against_naive(ledger, "generate", "tokens_per_s", _generate_names(plan), faster=True),
        **_against_naive(
            ledger,
            "generate",
            "stream_p50_ms",
            {"1 streams": "single_stream_vs_naive"},
            faster=False,
        ),
        **_against_naive(
            ledger,
            "generate",
            "first_piece_p50_ms",
            {f"{n} streams": f"first_piece_vs_naive_{n}" for n in plan.streams},
            faster=False,
        ),
        **_against_naive(
            ledger,
            "classify",
            "texts_per_s",
            _classify_names(plan),
            faster=True,
        ),
        **_against_naive(
            ledger,
            "classify",
            "latency_p50_ms",
            {"1 in flight": "single_classify_vs_naive"},
            faster=False,
        ),
        **_against_naive(
            ledger,
            "translate",
            "sentences_per_s",
            {f"{n} clients": f"translate_vs_naive_{n}" for n in plan.clients},
            faster=True,
        ),
        **_against_naive(
            ledger,
            "translate",
            "latency_p50_ms",
            {"1 clients": "single_translate_vs_naive"},
            faster=False,
        ),
        **_against_naive(
            ledger,
            "translate",
            "bleu",
            {f"{n} clients": f"translate_bleu_vs_naive_{n}" for n in plan.clients},
            faster=True,
        ),
    }


def _engine(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """Our engine against the raw loop in each precision, and one raw loop against the other."""
    loads = {f"{n}": f"{n} rows" for n in plan.engine_rows}
    loads |= {f"{n}_int8": f"{n} rows, int8" for n in plan.engine_rows}
    found = _against_raw(ledger, "engine", _ENGINE, loads)
    for rows in plan.engine_rows:
        fast = Case("engine", f"{rows} rows, int8", "raw")
        if ledger.has(fast):
            slow = fast._replace(load=f"{rows} rows")
            found[f"int8_vs_fp32_raw_{rows}"] = ledger.ratio(fast, slow, "rows_per_s")
    return found


def _served(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """Tokens through gRPC against a raw loop of the same graph on one thread."""
    found = {}
    for streams in plan.streams:
        ours = Case("generate", f"{streams} streams", OURS)
        if ledger.has(ours):
            raw = ours._replace(subject="raw")
            found[f"served_vs_raw_{streams}"] = ledger.ratio(ours, raw, "tokens_per_s")
    return found


def _steps(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """Steps of live sessions against the least that they can cost, and against naive."""
    found = {}
    for suffix, name in (("", ""), (", int8", "_int8")):
        for sessions in plan.live_sessions:
            found |= _steps_of(ledger, sessions, suffix, f"{sessions}{name}")
        names = {f"{n} sessions{suffix}": f"step_vs_naive_{n}{name}" for n in plan.live_sessions}
        found |= _against_naive(ledger, "step", "steps_per_s", names, faster=True)
    found |= _many_sessions(plan, ledger)
    idle = Case("idle", f"{plan.idle_sessions} sessions", OURS)
    if ledger.has(idle):
        for name in ("idle_session_bytes", "wake_p50_ms"):
            found[name] = spread(ledger.rounds(idle, name))
    return found


def _steps_of(ledger: Ledger, sessions: int, suffix: str, name: str) -> dict[str, Spread]:
    """Some live sessions of a model in one precision."""
    ours = Case("step", f"{sessions} sessions{suffix}", OURS)
    if not ledger.has(ours):
        return {}
    floor = ours._replace(subject="echo + bare step")
    found = {
        f"step_vs_floor_{name}": ledger.ratio(ours, floor, "step_p50_ms"),
        f"step_vs_echo_{name}": ledger.ratio(ours, floor, "steps_per_s"),
    }
    together = ours._replace(load=f"{sessions} together{suffix}")
    if ledger.has(together):
        naive = [ours._replace(subject=subject) for subject in NAIVE]
        better = ledger.better(naive, "steps_per_s", highest=True)
        for theirs, case in (("echo", floor), ("naive", better)):
            ratio = ledger.ratio(together, case, "steps_per_s")
            found[f"step_together_vs_{theirs}_{name}"] = ratio
    return found


def _many_sessions(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """Whether many live sessions take as many steps a second as some do."""
    for suffix in (", int8", ""):
        many = Case("step", f"{plan.many_sessions} sessions{suffix}", OURS)
        if ledger.has(many):
            most = max(plan.live_sessions)
            some = many._replace(load=f"{most} sessions{suffix}")
            name = f"steps_{plan.many_sessions}_vs_{most}"
            return {name: ledger.ratio(many, some, "steps_per_s")}
    return {}


def _classify_names(plan: Plan) -> dict[str, str]:
    most = max(plan.in_flight)
    alike = {f"{n} in flight": f"classify_vs_naive_{n}" for n in plan.in_flight}
    return {**alike, f"{most} in flight, ragged": f"classify_ragged_vs_naive_{most}"}


def _generate_names(plan: Plan) -> dict[str, str]:
    greedy = {f"{n} streams": f"generate_vs_naive_{n}" for n in plan.streams}
    sampled = {
        f"{n} streams, sampled": f"generate_sampled_vs_naive_{n}" for n in plan.sampled_streams
    }
    return {**greedy, **sampled}


def _against_raw(
    ledger: Ledger, section: str, names: dict[str, tuple[str, str]], loads: dict[str, str]
) -> dict[str, Spread]:
    """Ratios to the raw loop: by name whose figure, and which, for each load."""
    found = {}
    for name, (subject, quantity) in names.items():
        for count, load in loads.items():
            ours = Case(section, load, subject)
            if ledger.has(ours):
                raw = ours._replace(subject="raw")
                found[f"{name}_{count}"] = ledger.ratio(ours, raw, quantity)
    return found


def _against_naive(
    ledger: Ledger, section: str, quantity: str, names: dict[str, str], *, faster: bool
) -> dict[str, Spread]:
    """Ratios to the better naive variant of each load.

    Args:
        ledger: what was measured.
        section: of the ledger.
        quantity: what is compared.
        names: of the ratios, by load.
        faster: whether more of the quantity is better.
    """
    found = {}
    for load, name in names.items():
        ours = Case(section, load, OURS)
        if ledger.has(ours) and quantity in ledger.quantities(ours):
            variants = [Case(section, load, variant) for variant in NAIVE]
            better = ledger.better(variants, quantity, highest=faster)
            found[name] = ledger.ratio(ours, better, quantity)
    return found
