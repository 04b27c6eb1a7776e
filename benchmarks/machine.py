"""Where and with what it was measured: without this a figure says nothing."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("onnxruntime", "grpcio", "protobuf", "numpy", "tokenizers", "torch")


def describe() -> dict[str, object]:
    """The machine and the versions."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES},
    }


def load_average() -> float:
    """Processes that wanted to run, over the last minute."""
    return round(os.getloadavg()[0], 2)


def commit() -> tuple[str, bool]:
    """The short commit of this checkout, and whether files differ from it."""
    try:
        short = _git("rev-parse", "--short", "HEAD")
        return short, bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def _git(*command: str) -> str:
    answer = subprocess.run(
        ["git", *command], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
