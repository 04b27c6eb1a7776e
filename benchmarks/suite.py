"""The sections of the suite. Each writes its rounds in the ledger."""

import asyncio
import gc
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import sacrebleu

from benchmarks import servers
from benchmarks.ledger import Case, Ledger, percentile
from benchmarks.load.echoing import KINDS, bidi_for, echo_for
from benchmarks.load.generation import run_streams
from benchmarks.load.labeling import classify_for
from benchmarks.load.stepping import open_many, step_for, step_together_for, wake
from benchmarks.load.translation import translate_all
from benchmarks.plan import Plan
from benchmarks.prefixes import measure_prefixes
from benchmarks.protocols import measure_protocols
from benchmarks.rounds import Cpu, in_turn, rounds
from benchmarks.searching import WIDTH, Encoder, EngineSearch, RawSearch
from benchmarks.servers import Server
from benchmarks.starting import measure_starting
from benchmarks.stepping import EngineLoop, Rate, RawLoop
from benchmarks.texts import Captions, of_one_length, prompts
from benchmarks.training import measure_training
from stepwire.v1.generation_pb2 import GenerateRequest
from stepwire_zoo.manifest import FLOAT32, INT8

TEMPERATURE = 0.8  # of sampled runs

Progress = Callable[[str], None]


def measure_engine(plan: Plan, ledger: Ledger, tell: Progress) -> None:
    """Rows stepped in a second: a raw loop, our engine greedy, our engine sampling."""
    bundle = plan.bundle(plan.generator)
    ways: dict[tuple[str, str], Callable[[int, int], Rate]] = {}
    with ExitStack() as stack:
        for precision in (FLOAT32, *bundle.manifest.variants):
            engine = stack.enter_context(EngineLoop(bundle, precision))
            ways[precision, "raw"] = RawLoop(bundle, precision).rows_per_s
            ways[precision, "engine"] = partial(engine.rows_per_s, temperature=0.0)
            ways[precision, "engine sampled"] = partial(engine.rows_per_s, temperature=TEMPERATURE)
        for rows in plan.engine_rows:  # the first run of a size is the slow one
            for way in ways.values():
                way(rows, 5)
        for _ in rounds(plan, "engine", tell):
            for rows in plan.engine_rows:
                for (precision, name), way in ways.items():
                    gc.collect()
                    case = Case("engine", f"{rows} rows{suffix(precision)}", name)
                    ledger.add(case, way(rows, plan.steps(rows))._asdict())


def suffix(precision: str) -> str:
    """What is added to the name of a load that is measured in another precision."""
    return "" if precision == FLOAT32 else f", {precision}"


async def measure_generate(plan: Plan, ledger: Ledger, tell: Progress) -> None:
    """Tokens a second and times to the first piece, through gRPC."""
    loads = [(streams, 0.0) for streams in plan.streams]
    loads += [(streams, TEMPERATURE) for streams in plan.sampled_streams]
    bundle = plan.bundle(plan.generator)
    raw = RawLoop(bundle, ([*bundle.manifest.variants] or [FLOAT32])[-1])  # as it is served
    with servers.running(servers.commands(plan.repository)) as wanted:
        for server in wanted:
            await run_streams(server.address, _requests(plan, 4, 0.0))  # warm-up
        for number in rounds(plan, "generate", tell):
            for streams, temperature in loads:
                load = f"{streams} streams" + (", sampled" if temperature else "")
                for server in in_turn(wanted, number):
                    values = await _generate(plan, server, streams, temperature)
                    if failed := values["failed_streams"]:
                        tell(f"{server.name}, {load}: {failed:.0f} failed, and do not count")
                    ledger.add(Case("generate", load, server.name), values)
                if not temperature:
                    rate = raw.rows_per_s(streams, plan.steps(streams)).rows_per_s
                    ledger.add(Case("generate", load, "raw"), {"tokens_per_s": rate})


async def _generate(
    plan: Plan, server: Server, streams: int, temperature: float
) -> dict[str, float]:
    count = plan.single_streams if streams == 1 else streams
    requests = _requests(plan, count, temperature)
    timed = Cpu(server)
    run = await run_streams(server.address, requests, at_once=streams > 1)
    if server.name == servers.OURS and run.values()["failed_streams"]:
        raise RuntimeError("a stream of our server failed: that is a bug, not a figure")
    return {**run.values(), **timed.values(run.tokens / 1000, "1000_tokens")}


def _requests(plan: Plan, count: int, temperature: float) -> list[GenerateRequest]:
    requests = []
    for seed, prompt in enumerate(prompts(count)):
        request = GenerateRequest(model=plan.generator)
        request.prompts.add(text=prompt)
        request.options.max_tokens = plan.stream_tokens
        request.options.temperature = temperature
        request.options.seed = seed
        requests.append(request)
    return requests


async def measure_classify(
    plan: Plan, texts: Sequence[str], ledger: Ledger, tell: Progress
) -> None:
    """Texts judged in a second, one a call, through gRPC."""
    with servers.running(servers.commands(plan.repository)) as wanted:
        for server in wanted:
            await _classify(plan, server, texts, in_flight=8)  # warm-up
        alike = of_one_length(texts, plan.bundle(plan.classifier))
        loads = [(in_flight, alike, "") for in_flight in plan.in_flight]
        loads.append((max(plan.in_flight), texts, ", ragged"))
        for number in rounds(plan, "classify", tell):
            for in_flight, some, kind in loads:
                for server in in_turn(wanted, number):
                    values = await _classify(plan, server, some, in_flight=in_flight)
                    load = f"{in_flight} in flight{kind}"
                    ledger.add(Case("classify", load, server.name), values)


async def _classify(
    plan: Plan, server: Server, texts: Sequence[str], *, in_flight: int
) -> dict[str, float]:
    timed = Cpu(server)
    run = await classify_for(
        server.address,
        plan.classifier,
        texts,
        in_flight=in_flight,
        duration_s=plan.classify_s,
    )
    return {**run.values(), **timed.values(len(run.latencies_s) / 1000, "1000_texts")}


def measure_search(plan: Plan, captions: Captions, ledger: Ledger, tell: Progress) -> None:
    """Rows of beam searches stepped in a second; sentences encoded in a second."""
    bundle = plan.bundle(plan.translator)
    encoder = Encoder(bundle, captions.sentences[:256])
    sources = encoder.sources()
    short = [source for source in sources if source.bucket == sources[0].bucket]
    steps, raw = plan.search_tokens, RawSearch(bundle, short)
    with EngineSearch(bundle, endless=True) as endless, EngineSearch(bundle, endless=False) as busy:
        ways: dict[str, Callable[[int], dict[str, float]]] = {
            "raw": lambda count: raw.rows_per_s(count, steps)._asdict(),
            "engine": lambda count: endless.rows_per_s(short, count, count, steps)._asdict(),
            "engine, come and go": lambda count: busy.rows_per_s(
                short, count, count * plan.search_sentences
            )._asdict(),
        }
        for count in plan.searches:
            for way in ways.values():
                way(count)
        for _ in rounds(plan, "search", tell):
            for count in plan.searches:
                for name, measure in ways.items():
                    gc.collect()
                    ledger.add(Case("search", f"{count} sentences", name), measure(count))
            for rows in plan.encode_rows:
                for name in ("by length", "as they come"):
                    rate = encoder.per_s(rows, by_length=name == "by length")
                    ledger.add(Case("encode", f"{rows} rows", name), {"sentences_per_s": rate})


async def measure_translate(plan: Plan, captions: Captions, ledger: Ledger, tell: Progress) -> None:
    """Sentences translated in a second by beam search, one a call, through gRPC."""
    with servers.running(servers.commands(plan.repository)) as wanted:
        for server in wanted:
            await _translate(plan, server, captions, range(16), clients=8)  # warm-up
        for number in rounds(plan, "translate", tell):
            for clients in plan.clients:
                count = plan.translate_sentences if clients > 1 else plan.translate_sentences // 6
                # Other sentences in every round: ours keeps those that it has read.
                chosen = range(number * count, (number + 1) * count)
                for server in in_turn(wanted, number):
                    values = await _translate(plan, server, captions, chosen, clients=clients)
                    ledger.add(Case("translate", f"{clients} clients", server.name), values)


async def _translate(
    plan: Plan, server: Server, captions: Captions, chosen: range, *, clients: int
) -> dict[str, float]:
    places = [place % len(captions.sentences) for place in chosen]
    timed = Cpu(server)
    run = await translate_all(
        server.address,
        plan.translator,
        [captions.sentences[place] for place in places],
        clients=clients,
        beam_width=WIDTH,
    )
    values = {**run.values(), **timed.values(len(places) / 1000, "1000_sentences")}
    if captions.references:
        texts = [run.texts[index] for index in range(len(places))]
        wanted = [captions.references[place] for place in places]
        values["bleu"] = sacrebleu.corpus_bleu(texts, [wanted]).score
    return values


async def measure_step(plan: Plan, ledger: Ledger, tell: Progress) -> None:
    """Steps of live sessions, beside a bare echo and a bare step, in every precision."""
    bundle = plan.bundle(plan.generator)
    precisions = (FLOAT32, *bundle.manifest.variants)
    raw = {precision: RawLoop(bundle, precision) for precision in precisions}
    commands = servers.commands(plan.repository)
    for precision in precisions:
        commands[precision] = servers.ours(plan.repository, "--precision", precision)
    del commands[servers.OURS]
    with servers.running({**commands, "echo": ["-m", "benchmarks.echo"]}) as (*wanted, echo):
        for server in wanted:
            await _step(plan, server, sessions=8)  # warm-up
        for loop in raw.values():
            loop.rows_per_s(1, 50)
        for number in rounds(plan, "step", tell):
            for sessions in plan.live_sessions:
                for server in in_turn(wanted, number):
                    await _steps(plan, server, sessions, ledger)
                await _floors(plan, echo, raw, sessions, ledger)
            ours = [server for server in wanted if server.name == precisions[-1]]
            await _steps(plan, ours[0], plan.many_sessions, ledger)


async def _steps(plan: Plan, server: Server, sessions: int, ledger: Ledger) -> None:
    """One server, a message a step; ours also with many sessions a message."""
    values = await _step(plan, server, sessions=sessions)
    own = server.name not in servers.NAIVE
    for case in _cases("step", f"{sessions} sessions", server):
        ledger.add(case, values)
    if own and sessions > 1:
        values = await _step(plan, server, sessions=sessions, together=True)
        for case in _cases("step", f"{sessions} together", server):
            ledger.add(case, values)


def _cases(section: str, load: str, server: Server) -> list[Case]:
    """Under which names a figure is kept: naive servers are set beside every precision."""
    if server.name in servers.NAIVE:
        return [Case(section, load + suffix(p), server.name) for p in (FLOAT32, INT8)]
    return [Case(section, load + suffix(server.name), servers.OURS)]


async def _floors(
    plan: Plan, echo: Server, raw: dict[str, RawLoop], sessions: int, ledger: Ledger
) -> None:
    """The echo of bare gRPC, and its time with that of a bare step."""
    rate, latencies_s = await bidi_for(echo.address, calls=sessions, duration_s=plan.step_s)
    echo_ms = 1e3 * percentile(latencies_s, 50)
    for precision, loop in raw.items():
        step_ms = 1e3 / loop.rows_per_s(1, plan.steps(1)).rows_per_s
        floor = {"steps_per_s": rate, "step_p50_ms": step_ms + echo_ms}
        load = f"{sessions} sessions{suffix(precision)}"
        ledger.add(Case("step", load, "echo + bare step"), floor)


async def _step(
    plan: Plan, server: Server, *, sessions: int, together: bool = False
) -> dict[str, float]:
    timed, address, model = Cpu(server), server.address, plan.generator
    if together:
        streams = plan.gateway_streams
        run = await step_together_for(
            address, model, sessions=sessions, streams=streams, duration_s=plan.step_s
        )
    else:
        run = await step_for(address, model, sessions=sessions, duration_s=plan.step_s)
    return {**run.values(), **timed.values(len(run.latencies_s) / 1000, "1000_steps")}


async def measure_idle(plan: Plan, ledger: Ledger, tell: Progress) -> None:
    """Memory of idle sessions, and the time to wake one."""
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.running({servers.OURS: servers.ours(_alone(plan, Path(folder)))}) as (server,),
    ):
        tell(f"idle, {plan.idle_sessions} sessions")
        await open_many(server.address, plan.generator, 100)  # warm-up
        before = server.process.memory_info().rss
        began = time.perf_counter()
        ids = await open_many(server.address, plan.generator, plan.idle_sessions)
        took_s = time.perf_counter() - began
        grown = server.process.memory_info().rss - before
        woken = await wake(server.address, random.Random(1).sample(ids, plan.woken_sessions))
        values = {
            "idle_session_bytes": grown / len(ids),
            "server_rss_mib": server.process.memory_info().rss / 2**20,
            "opened_per_s": len(ids) / took_s,
            "wake_p50_ms": 1e3 * percentile(woken, 50),
            "wake_p99_ms": 1e3 * percentile(woken, 99),
        }
        ledger.add(Case("idle", f"{plan.idle_sessions} sessions", server.name), values)


def _alone(plan: Plan, folder: Path) -> Path:
    """A repository with one model only: what loading others left free would hide the growth."""
    source = plan.repository.resolve() / plan.generator
    (folder / plan.generator).symlink_to(source, target_is_directory=True)
    return folder


async def measure_echo(plan: Plan, ledger: Ledger, tell: Progress) -> None:
    """Messages a second of bare gRPC: what no server in Python can exceed here."""
    with servers.running({"echo": ["-m", "benchmarks.echo"]}) as (server,):
        for _ in rounds(plan, "echo", tell):
            for kind in KINDS:
                for calls in plan.echo_calls:
                    timed = Cpu(server)
                    rate = await echo_for(server.address, kind, calls=calls, duration_s=plan.echo_s)
                    values = timed.values(rate * plan.echo_s / 1000, "1000_messages")
                    case = Case("echo", f"{calls} calls", kind)
                    ledger.add(case, {"messages_per_s": rate, **values})


def sections(
    plan: Plan, texts: Sequence[str], captions: Captions, ledger: Ledger, tell: Progress
) -> dict[str, Callable[[], None]]:
    """What can be measured, by name."""

    def in_loop(measure: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            await measure()

        return lambda: asyncio.run(run())

    return {
        "start": lambda: measure_starting(plan, ledger, tell),
        "engine": lambda: measure_engine(plan, ledger, tell),
        "generate": in_loop(lambda: measure_generate(plan, ledger, tell)),
        "prefixes": in_loop(lambda: measure_prefixes(plan, ledger, tell)),
        "classify": in_loop(lambda: measure_classify(plan, texts, ledger, tell)),
        "search": lambda: measure_search(plan, captions, ledger, tell),
        "translate": in_loop(lambda: measure_translate(plan, captions, ledger, tell)),
        "step": in_loop(lambda: measure_step(plan, ledger, tell)),
        "idle": in_loop(lambda: measure_idle(plan, ledger, tell)),
        "protocols": in_loop(lambda: measure_protocols(plan, texts, ledger, tell)),
        "echo": in_loop(lambda: measure_echo(plan, ledger, tell)),
        "training": lambda: measure_training(plan, ledger, tell),
    }
