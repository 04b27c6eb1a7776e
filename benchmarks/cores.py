"""What engines, workers and threads are worth on this machine: `python -m benchmarks.cores`.

And whether two models under load share the cores fairly. Every round measures everything once;
figures are medians, with the lowest and the highest beside them. A repository given with
`--model-repository` is measured instead of the zoo.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from benchmarks import machine, servers
from benchmarks.load.generation import run_streams, tokens_for
from benchmarks.load.labeling import classify_for
from benchmarks.servers import Server
from benchmarks.texts import prompts, reviews
from stepwire.v1.generation_pb2 import GenerateRequest

ZOO = Path(__file__).resolve().parents[1] / "model_zoo" / "bundles"
STREAMS, TOKENS = 128, 200
SHARED_S = 5.0  # of one measured run of two models
SECTIONS = ("engines", "workers", "sharing", "more cores")
PAIR = ("shakespeare-lstm", "shakespeare-gru")

Figures = dict[str, list[float]]  # of each round, by name
Measure = Callable[[Server], Awaitable[dict[str, float]]]


def main() -> None:
    """Prints tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cores", description=__doc__)
    parser.add_argument("--model-repository", type=Path, default=ZOO)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    flags = parser.parse_args()
    print(machine.describe(), f"load average {machine.load_average()}")
    asyncio.run(_measure(flags.model_repository, flags.rounds, flags.only))


def _generators() -> dict[str, list[str]]:
    return {
        f"{precision}, {engines} engines, {threads} threads a run": [
            *("--precision", precision, "--engines-per-model", str(engines)),
            *("--threads-per-run", str(threads)),
        ]
        for precision in ("int8", "float32")
        for engines, threads in ((1, 1), (2, 1), (1, 2))
    }


async def _measure(repository: Path, rounds: int, only: list[str]) -> None:
    workers = {f"{n} workers": ["--sequence-workers", str(n)] for n in (1, 2)}
    sections: dict[str, tuple[dict[str, list[str]], Measure]] = {
        "engines": (_generators(), _generate),
        "workers": (workers, _classify),
        "sharing": ({"two models": []}, _share),
    }
    for name in only:
        if name == "more cores":
            await _compare(_sleeping(repository), rounds, _generate)
            continue
        settings, measure = sections[name]
        commands = {case: servers.ours(repository, *more) for case, more in settings.items()}
        await _compare(commands, rounds, measure)


def _sleeping(repository: Path) -> dict[str, list[str]]:
    """Our server with graphs that sleep, by what a row costs and how many engines there are."""
    return {
        f"a row of {row_us} us, {engines} engines": [
            *("-m", "benchmarks.sleeping", str(row_us)),
            *servers.ours(repository, "--engines-per-model", str(engines), "--lazy-load")[2:],
        ]
        for row_us in (15, 62, 250)
        for engines in (1, 2, 4)
    }


async def _compare(commands: dict[str, list[str]], rounds: int, measure: Measure) -> None:
    """Measures servers that differ in a setting, in turn."""
    found: dict[str, Figures] = {name: {} for name in commands}
    with servers.running(commands) as started:
        for server in started:
            await measure(server)  # warm-up
        for _ in range(rounds):
            for server in started:
                for name, value in (await measure(server)).items():
                    found[server.name].setdefault(name, []).append(value)
    for case, figures in found.items():
        for name, values in figures.items():
            print(f"{case:34} {name:34} {_spread(values)}")


def _spread(values: list[float]) -> str:
    return f"{median(values):10,.2f} ({min(values):,.2f} to {max(values):,.2f})"


async def _generate(server: Server) -> dict[str, float]:
    requests = [_request(PAIR[0], prompt, TOKENS) for prompt in prompts(STREAMS)]
    cpu_s, began = server.cpu_s(), time.perf_counter()
    run = await run_streams(server.address, requests)
    took_s = time.perf_counter() - began
    figures = run.values()
    return {
        "tokens_per_s": figures["tokens_per_s"],
        "first_piece_p50_ms": figures["first_piece_p50_ms"],
        "cores_used": (server.cpu_s() - cpu_s) / took_s,
        "server_cpu_us_per_token": 1e6 * (server.cpu_s() - cpu_s) / run.tokens,
    }


async def _classify(server: Server) -> dict[str, float]:
    texts, _ = reviews()
    run = await classify_for(server.address, "nsmc-bilstm", texts, in_flight=64, duration_s=2.0)
    return run.values()


async def _share(server: Server) -> dict[str, float]:
    """What each of two models gives alone, and what part of it is left when both are busy."""
    alone = [await _tokens(server, model) for model in PAIR]
    together = await asyncio.gather(*(_tokens(server, model) for model in PAIR))
    figures = {}
    for model, before, after in zip(PAIR, alone, together, strict=True):
        figures[f"{model} alone"] = before
        figures[f"{model} with the other"] = after
        figures[f"{model} keeps"] = after / before
    return figures


async def _tokens(server: Server, model: str) -> float:
    request = _request(model, "ROMEO:", 500)
    return await tokens_for(server.address, request, streams=STREAMS // 2, duration_s=SHARED_S)


def _request(model: str, prompt: str, tokens: int) -> GenerateRequest:
    request = GenerateRequest(model=model)
    request.prompts.add(text=prompt)
    request.options.max_tokens = tokens
    return request


if __name__ == "__main__":
    main()
