"""A table for people, and a file with every round for later."""

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.ledger import Ledger, Spread, spread

# What the table shows of each section; the file has everything.
COLUMNS = {
    "start": ("ready_s", "server_rss_mib"),
    "engine": ("rows_per_s", "rows_per_cpu_s"),
    "generate": (
        "tokens_per_s",
        "first_piece_p50_ms",
        "first_piece_p99_ms",
        "stream_p50_ms",
        "piece_interval_p50_ms",
        "server_cpu_s_per_1000_tokens",
        "load_cpu_share",
    ),
    "prefixes": (
        "tokens_per_s",
        "first_piece_p50_ms",
        "first_piece_p99_ms",
        "server_cpu_s_per_1000_tokens",
    ),
    "classify": (
        "texts_per_s",
        "latency_p50_ms",
        "latency_p99_ms",
        "server_cpu_s_per_1000_texts",
        "load_cpu_share",
    ),
    "search": ("rows_per_s", "rows_per_cpu_s"),
    "encode": ("sentences_per_s",),
    "translate": (
        "sentences_per_s",
        "first_message_p50_ms",
        "latency_p50_ms",
        "latency_p99_ms",
        "bleu",
        "server_cpu_s_per_1000_sentences",
        "load_cpu_share",
    ),
    "step": (
        "steps_per_s",
        "step_p50_ms",
        "step_p99_ms",
        "server_cpu_s_per_1000_steps",
        "load_cpu_share",
    ),
    "oip classify": (
        "texts_per_s",
        "latency_p50_ms",
        "latency_p99_ms",
        "server_cpu_s_per_1000_texts",
        "load_cpu_share",
    ),
    "oip step": (
        "steps_per_s",
        "step_p50_ms",
        "step_p99_ms",
        "server_cpu_s_per_1000_steps",
        "load_cpu_share",
    ),
    "idle": (
        "idle_session_bytes",
        "server_rss_mib",
        "opened_per_s",
        "wake_p50_ms",
        "wake_p99_ms",
    ),
    "training": ("steps_per_s", "steps_per_cpu_s"),
    "echo": ("messages_per_s", "server_cpu_s_per_1000_messages", "load_cpu_share"),
}


def table(ledger: Ledger) -> str:
    """One block a section, one line a case: medians, and the spread of the first figure."""
    lines: list[str] = []
    section = ""
    sections = [case.section for case, _ in ledger]
    for case, values in sorted(ledger, key=lambda each: sections.index(each[0].section)):
        columns = [column for column in COLUMNS[case.section] if column in values]
        if case.section != section:
            section = case.section
            titles = "".join(f"{_title(column):>16}" for column in columns)
            lines += ["", f"{section:40}{titles}{'spread':>18}"]
        first = spread(values[columns[0]])
        cells = "".join(f"{_number(spread(values[column]).median):>16}" for column in columns)
        between = f"{_number(first.lowest)}-{_number(first.highest)}"
        lines.append(f"{case.load:22}{case.subject:18}{cells}{between:>18}")
    return "\n".join(lines)


def ratio_table(ratios: dict[str, Spread]) -> str:
    """One line a ratio."""
    lines = [f"{'ratio':34}{'median':>10}{'lowest':>10}{'highest':>10}"]
    lines += [
        f"{name:34}{value.median:10.2f}{value.lowest:10.2f}{value.highest:10.2f}"
        for name, value in ratios.items()
    ]
    return "\n".join(lines)


def save(path: Path, about: dict[str, object], ledger: Ledger, ratios: dict[str, Spread]) -> None:
    """Writes everything that was measured."""
    content = {
        **about,
        "ratios": {name: asdict(value) for name, value in ratios.items()},
        "measured": [{**case._asdict(), "rounds": values} for case, values in ledger],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(content), ensure_ascii=False, indent=1) + "\n")


def _title(quantity: str) -> str:
    """Fits a quantity into a column: `server_cpu_s_per_1000_tokens` says `cpu s/1000`."""
    if quantity.startswith("server_cpu_s"):
        return "cpu s/1000"
    shorter = (
        quantity.replace("_per_cpu_s", "/cpu s")
        .replace("_message", "")
        .replace("_per_s", "/s")
        .replace("piece_interval", "gap")
    )
    return shorter.replace("_piece", "").replace("_share", "").replace("_", " ")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _rounded(value: object) -> object:
    """Four digits are more than a measurement knows."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value
