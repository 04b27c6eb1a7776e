import logging
import math

import pytest
from prometheus_client import CollectorRegistry

from stepwire_server.config import RuntimeConfig
from stepwire_server.cores import Cores
from stepwire_server.errors import StartupError
from stepwire_server.metrics import Metrics
from stepwire_server.picking import pick, tell_picked

LEFT_OPEN = RuntimeConfig(engines_per_model=0, sequence_workers=0)


def test_what_is_left_open_follows_the_cores():
    picked = pick(LEFT_OPEN, Cores(6))
    assert (picked.most_engines, picked.sequence_workers) == (4, 2)
    assert picked.engines_per_model == 0  # by what each model costs


def test_what_is_said_stays():
    said = RuntimeConfig(engines_per_model=7, sequence_workers=9)
    picked = pick(said, Cores(2))
    assert (picked.engines_per_model, picked.sequence_workers) == (7, 9)


def test_a_gpu_has_one_engine_for_each_model():
    open_on_a_gpu = RuntimeConfig(engines_per_model=0, sequence_workers=0, provider="cuda")
    assert pick(open_on_a_gpu, Cores(16)).most_engines == 1


@pytest.mark.parametrize("name", ["engines_per_model", "sequence_workers"])
def test_less_than_none_is_refused(name):
    with pytest.raises(StartupError, match=f"{name} must be at least 0, got -1"):
        RuntimeConfig(**{name: -1})


@pytest.mark.parametrize(("quota", "told", "usable"), [(math.inf, None, 8), (2.5, 2.5, 2)])
async def test_the_log_and_the_metrics_say_what_was_picked(caplog, quota, told, usable):
    metrics, cores = Metrics(CollectorRegistry()), Cores(8, quota)
    with caplog.at_level(logging.INFO):
        tell_picked(pick(LEFT_OPEN, cores), cores, metrics)
    [record] = [record for record in caplog.records if record.message == "picked"]
    assert (record.cores, record.quota) == (8, told)
    labels = {
        "most_engines": str(record.most_engines),
        "sequence_workers": str(record.sequence_workers),
        "threads_per_run": "1",
        "precision": "auto",
        "event_loop": "asyncio",
    }
    assert metrics.registry.get_sample_value("stepwire_picked_info", labels) == 1
    assert metrics.registry.get_sample_value("stepwire_cores") == usable
