"""The section that compares prompts that begin alike with and without their beginnings kept."""

import random
from collections.abc import Callable

from benchmarks import servers
from benchmarks.ledger import Case, Ledger, Spread
from benchmarks.load.generation import run_streams
from benchmarks.plan import Plan
from benchmarks.rounds import Cpu, in_turn, rounds
from benchmarks.servers import Server
from benchmarks.texts import prompts
from stepwire.v1.generation_pb2 import GenerateRequest

KEPT, READ = "kept", "read again"  # the subjects
_WARM_UP = 2  # from the third prompt on what all of them share is known


async def measure_prefixes(plan: Plan, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Times to the first piece, and tokens a second, of prompts with a long common beginning."""
    ours = servers.ours(plan.repository)
    commands = {
        KEPT: [*ours, "--prefix-cache-isolation", "none"],  # each stream has its own connection
        READ: [*ours, "--prefix-cache-bytes", "0"],
    }
    with servers.running(commands) as wanted:
        for number in rounds(plan, "prefixes", tell):
            shared = _beginning(plan.prefix_tokens, number)
            for server in in_turn(wanted, number):
                for streams in plan.prefix_streams:
                    values = await _measure(plan, server, shared, streams)
                    ledger.add(Case("prefixes", f"{streams} streams", server.name), values)


async def _measure(plan: Plan, server: Server, shared: str, streams: int) -> dict[str, float]:
    count = plan.single_streams if streams == 1 else streams
    requests = [
        _request(plan, shared + own, seed) for seed, own in enumerate(prompts(count + _WARM_UP))
    ]
    await run_streams(server.address, requests[:_WARM_UP], at_once=False)
    timed = Cpu(server)
    run = await run_streams(server.address, requests[_WARM_UP:], at_once=streams > 1)
    return {**run.values(), **timed.values(run.tokens / 1000, "1000_tokens")}


def _request(plan: Plan, prompt: str, seed: int) -> GenerateRequest:
    request = GenerateRequest(model=plan.generator)
    request.prompts.add(text=prompt)
    request.options.max_tokens = plan.stream_tokens
    request.options.seed = seed
    return request


def _beginning(characters: int, number: int) -> str:
    """Another one in every round, of words that every generator of the zoo knows."""
    words = "".join(prompts(characters)).split()
    random.Random(number).shuffle(words)
    return " ".join(words)[:characters]


def ratios(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """What keeping beginnings is worth: kept by read again."""
    found = {}
    for streams in plan.prefix_streams:
        kept = Case("prefixes", f"{streams} streams", KEPT)
        if ledger.has(kept):
            again = kept._replace(subject=READ)
            for name, quantity in (
                ("first_piece", "first_piece_p50_ms"),
                ("tokens", "tokens_per_s"),
            ):
                found[f"prefix_{name}_{streams}"] = ledger.ratio(kept, again, quantity)
    return found
