"""An engine stepped by hand, and a caller that keeps what it gets."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig
from stepwire_server.decoding.options import Options
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.job import Job, Kind
from stepwire_server.engine.outbox import Outbox
from stepwire_server.engine.pool import EnginePool
from stepwire_server.engine.prefix_cache import PrefixCache
from stepwire_server.engine.prefixes import PrefixTree
from stepwire_server.metrics import Metrics, ModelMetrics
from support.tiny import VOCABULARY, TinyCell


@dataclass
class Caller:
    """Collects deliveries, by prompt and sample."""

    tokens: dict = field(default_factory=dict)
    ended: dict = field(default_factory=dict)
    logprobs: dict = field(default_factory=dict)
    errors: list = field(default_factory=list)
    deliveries: list = field(default_factory=list)
    standings: list = field(default_factory=list)
    hypotheses: tuple = ()  # of a search, when it is over
    taken: list = field(default_factory=list)  # steps of a session

    def update(self, update):
        self.standings.append(update.standing)
        if update.ended:
            self.hypotheses = update.job.search.hypotheses

    def deliver(self, delivery):
        self.deliveries.append(delivery)
        key = (delivery.row.job.index, delivery.row.sample)
        self.tokens.setdefault(key, [])
        self.tokens[key] += delivery.tokens
        if delivery.logprobs:
            self.logprobs.setdefault(key, []).append(delivery.logprobs)
        if delivery.ended:
            self.ended[key] = delivery.ended.reason

    def step(self, taken):
        self.taken.append(taken)

    def fail(self, job, error):
        self.errors.append((job.index, error))


def a_job(
    caller,
    prompt=(1,),
    *,
    index=0,
    samples=1,
    deadline=None,
    kind=Kind.CHOOSE,
    wish=(),
    save_every=0,
    beginning=None,
    **options,
):
    return Job(
        list(prompt),
        Options(**{"max_tokens": 8, **options}),
        caller,
        samples=samples,
        index=index,
        deadline=deadline,
        kind=kind,
        wish=wish,
        save_every=save_every,
        beginning=beginning,
    )


class HandEngine:
    """An engine, or several as one, whose outbox delivers at once and whose thread is the test."""

    def __init__(self, cell=None, end=None, vocabulary=VOCABULARY, engines=1, **config):
        self.cell = cell or TinyCell()
        self.config = BatchingConfig(**{"max_rows": 8, "prefix_cache_bytes": 0, **config})
        self.registry = CollectorRegistry()
        metrics = ModelMetrics(Metrics(self.registry), "tiny", "1")
        self.outbox = Outbox(lambda function: function(), self.config.max_delay_s)
        self.tree = PrefixTree(self.config.prefix_cache_bytes)
        isolated = self.config.prefix_cache_isolation == "caller"
        prefixes = PrefixCache(self.tree, metrics, isolated=isolated)
        rows, self.batches, self.engines = self.config.max_rows, [], []
        for part in metrics.split(engines) if engines > 1 else [metrics]:
            sampler = Sampler(rows, vocabulary, end=end, suppressed=())
            self.batches.append(RunningBatch(self.cell, sampler, rows, end))
            self.engines.append(
                Engine(
                    {0: self.batches[-1]},
                    self.config,
                    part,
                    self.outbox,
                    end,
                    prefixes if self.config.prefix_cache_bytes else None,
                )
            )
        self.batch = self.batches[0]
        self.engine = self.engines[0] if engines == 1 else EnginePool(self.engines, self.config)

    def step(self, times=1):
        for _ in range(times):
            went_on = any([engine.step() for engine in self.engines])
            for engine in self.engines:
                engine.tell()
            self.outbox.flush()
        return went_on

    def finish(self):
        while self.step():
            pass

    def value(self, name, **labels):
        labels = {"model": "tiny", "version": "1", **labels}
        return self.registry.get_sample_value(name, labels)


def run(*jobs_of, cell=None, end=None, whole=False, **config):
    """Runs jobs together to their end; returns the tokens of each, by sample, or all it got."""
    hand, callers = HandEngine(cell, end, **config), []
    for make in jobs_of:
        caller = Caller()
        callers.append(caller)
        hand.engine.submit([make(caller)])
    hand.finish()
    return callers if whole else [caller.tokens for caller in callers]
