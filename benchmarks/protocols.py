"""The section that compares the Open Inference Protocol with our own contract and with naive."""

from collections.abc import Callable, Sequence

from benchmarks import servers
from benchmarks.ledger import Case, Ledger, Spread
from benchmarks.load import inference, labeling, stepping
from benchmarks.plan import Plan
from benchmarks.rounds import Cpu, in_turn, rounds
from benchmarks.servers import NAIVE, OURS, Server
from benchmarks.texts import of_one_length

PROTOCOL = "oip"  # the subject: our server through the Open Inference Protocol
_IN_FLIGHT = 64


async def measure_protocols(
    plan: Plan, texts: Sequence[str], ledger: Ledger, tell: Callable[[str], None]
) -> None:
    """Texts judged and sessions stepped in a second, through either contract of ours."""
    kinds = {"ragged": texts, "fixed": of_one_length(texts, plan.bundle(plan.classifier))}
    with servers.running(servers.commands(plan.repository)) as wanted:
        for server in wanted:
            await _classify(plan, server, texts, ledger, "")  # warm-up
        for number in rounds(plan, "protocols", tell):
            for server in in_turn(wanted, number):
                for kind, some in kinds.items():
                    await _classify(plan, server, some, ledger, kind)
                await _step(plan, server, ledger)


async def _classify(
    plan: Plan, server: Server, texts: Sequence[str], ledger: Ledger, kind: str
) -> None:
    ways = {server.name: labeling.classify_for}
    if server.name == OURS:
        ways[PROTOCOL] = inference.classify_for
    for subject, way in ways.items():
        timed = Cpu(server)
        run = await way(
            server.address,
            plan.classifier,
            texts,
            in_flight=_IN_FLIGHT,
            duration_s=plan.classify_s,
        )
        values = {**run.values(), **timed.values(len(run.latencies_s) / 1000, "1000_texts")}
        if kind:
            ledger.add(Case("oip classify", f"{_IN_FLIGHT} in flight, {kind}", subject), values)


async def _step(plan: Plan, server: Server, ledger: Ledger) -> None:
    count = plan.live_sessions[-1]
    timed = Cpu(server)
    run = await stepping.step_for(
        server.address, plan.generator, sessions=count, duration_s=plan.step_s
    )
    values = {**run.values(), **timed.values(len(run.latencies_s) / 1000, "1000_steps")}
    ledger.add(Case("oip step", f"{count} sequences", server.name), values)
    if server.name != OURS:
        return
    for streams in (count, plan.protocol_streams):
        timed = Cpu(server)
        run = await inference.step_for(
            server.address,
            plan.generator,
            sequences=count,
            streams=streams,
            duration_s=plan.step_s,
        )
        values = {**run.values(), **timed.values(len(run.latencies_s) / 1000, "1000_steps")}
        shared = "" if streams == count else f", {streams} streams"
        ledger.add(Case("oip step", f"{count} sequences", PROTOCOL + shared), values)


def ratios(plan: Plan, ledger: Ledger) -> dict[str, Spread]:
    """What the protocol reaches, against the better naive variant and against our own contract."""
    found = {}
    texts = f"{_IN_FLIGHT} in flight"
    steps = f"{plan.live_sessions[-1]} sequences"
    many = f"_{plan.live_sessions[-1]}"
    for section, load, quantity, name in (
        ("oip classify", f"{texts}, fixed", "texts_per_s", f"oip_classify{{}}_{_IN_FLIGHT}_fixed"),
        (
            "oip classify",
            f"{texts}, ragged",
            "texts_per_s",
            f"oip_classify{{}}_{_IN_FLIGHT}_ragged",
        ),
        ("oip step", steps, "steps_per_s", f"oip_step{{}}{many}"),
    ):
        case = Case(section, load, PROTOCOL)
        if not ledger.has(case):
            continue
        variants = [case._replace(subject=naive) for naive in NAIVE]
        better = ledger.better(variants, quantity, highest=True)
        found[name.format("_vs_naive")] = ledger.ratio(case, better, quantity)
        found[name.format("_vs_own")] = ledger.ratio(case, case._replace(subject=OURS), quantity)
        shared = case._replace(subject=f"{PROTOCOL}, {plan.protocol_streams} streams")
        if ledger.has(shared):
            shared_name = name.format("_few_streams_vs_naive")
            found[shared_name] = ledger.ratio(shared, better, quantity)
    return found
