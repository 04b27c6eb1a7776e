"""Starts servers as processes of their own, and ends those that it started."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

START_TIMEOUT_S = 120.0  # loading proves a bundle at every batch size
STOP_TIMEOUT_S = 10.0
ROOT = Path(__file__).resolve().parents[1]

Process = subprocess.Popen[bytes]

OURS = "stepwire"
NAIVE = ("naive blocking", "naive executor")


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    name: str
    address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU time that it has used so far, all threads together."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def ours(repository: Path, *flags: str) -> list[str]:
    """The command of our server, with the settings that a user gets unless flags say otherwise."""
    ports = ["--grpc-port", "0", "--metrics-port", "0", "--exit-timeout-secs", "2"]
    return ["-m", "stepwire_server", "--model-repository", str(repository), *ports, *flags]


def naive(repository: Path, variant: str) -> list[str]:
    """The command of the naive server."""
    return ["-m", "benchmarks.naive", "--model-repository", str(repository), "--variant", variant]


def commands(repository: Path) -> dict[str, list[str]]:
    """Our server and both naive ones, by name."""
    variants = {name: naive(repository, name.removeprefix("naive ")) for name in NAIVE}
    return {OURS: ours(repository), **variants}


@contextmanager
def running(wanted: dict[str, list[str]]) -> Iterator[list[Server]]:
    """Starts servers by name and command, all at once, and ends them with the block.

    Raises:
        RuntimeError: one did not become ready; the message has the end of its log.
    """
    with ExitStack() as stack:
        started = {name: stack.enter_context(_process(c)) for name, c in wanted.items()}
        yield [
            Server(name, f"127.0.0.1:{_port(name, *one)}", psutil.Process(one[0].pid))
            for name, one in started.items()
        ]


@contextmanager
def _process(command: Sequence[str]) -> Iterator[tuple[Process, IO[str]]]:
    """A process and its log, to which it appends while we read from the start."""
    with tempfile.TemporaryFile("a+") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=log)
        try:
            yield process, log
        finally:
            _end(process)


def _port(name: str, process: Process, log: IO[str]) -> int:
    """Waits for the line of JSON in which a server says that it is ready, and where."""
    gives_up_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < gives_up_at and process.poll() is None:
        log.seek(0)
        for line in log:
            if '"server ready"' in line and line.endswith("\n"):
                return int(json.loads(line)["grpc_port"])
        time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"{name} did not start: {log.read()[-2000:]}")


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
