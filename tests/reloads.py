"""Reloads a model under many streams: `make reloads`. Nobody may notice, and memory stays."""

import argparse
import asyncio
import signal
import statistics
import sys
import tempfile
import time
import traceback
from pathlib import Path

from support.reloading import Reloading
from support.replica import Replica
from support.shelf import publish

# From here on memory must be flat: what is needed for a first load of everything is there.
_SETTLED = 0.2  # of the reloads
_MOST_GROWTH_MB = 40.0


def main():
    """Runs it, prints what it took, and says what came of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server ends with it
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--model", type=Path, help="folder of a bundle; default: a tiny one")
    parser.add_argument("--minutes", type=float, default=30.0, help="give up after so long")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        keys.write_text("reloads AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
        repository = Path(folder) / "zoo"
        model = _put(given.model, repository)
        flags = ("--model-control-mode", "explicit", "--load-model", "*")
        server = Replica(repository, keys, flags=flags)
        try:
            server.start()
            return _run(server, model, given)
        finally:
            server.end(signal.SIGTERM)


def _put(model, repository):
    """Publishes the model that is served; gives its folder."""
    if model is None:
        publish(repository)
        return repository / "tiny/1"
    place = repository / model.parent.name
    place.mkdir(parents=True)
    (place / model.name).symlink_to(model.resolve())
    return place / model.name


def _run(server, model, given):
    began, sizes = time.monotonic(), [_resident_mb(server)]
    print(f"{given.reloads} reloads, {given.streams} streams, {sizes[0]:.1f} MB", flush=True)

    def told(reloads):
        sizes.append(_resident_mb(server))
        if reloads % max(1, given.reloads // 10) == 0:
            took_s = time.monotonic() - began
            print(f"{reloads:6} reloads {took_s:6.0f} s {sizes[-1]:7.1f} MB", flush=True)

    reloading = Reloading(server.address, model, told=told)
    work = reloading.run(streams=given.streams, reloads=given.reloads)
    try:
        asyncio.run(asyncio.wait_for(work, given.minutes * 60))
    except BaseException as error:
        traceback.print_exception(error)
        print(f"FAILED after {reloading.reloads} reloads")
        return 1
    return _judge(reloading, sizes)


def _judge(reloading, sizes):
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(reloading.done.items()))
    loads = sorted(reloading.load_seconds)
    print(f"{counts}: none failed, every output is that of the graph or the seed alone")
    print(f"a reload took {statistics.median(loads):.3f} s, at most {loads[-1]:.3f} s")
    settled = sizes[int(len(sizes) * _SETTLED) :]
    quarter = max(1, len(settled) // 4)
    growth = statistics.median(settled[-quarter:]) - statistics.median(settled[:quarter])
    print(
        f"memory once settled: {growth:+.1f} MB, between {min(settled):.1f} and {max(settled):.1f}"
    )
    if growth > _MOST_GROWTH_MB:
        print("FAILED: memory grows")
        return 1
    return 0


def _resident_mb(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
