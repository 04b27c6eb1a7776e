"""What a server makes of the machine where its settings leave it the choice."""

import asyncio
import logging
import math
from dataclasses import replace

from stepwire_server.config import RuntimeConfig
from stepwire_server.cores import Cores
from stepwire_server.metrics import Metrics

log = logging.getLogger(__name__)


def pick(runtime: RuntimeConfig, cores: Cores) -> RuntimeConfig:
    """Fills in what the machine decides; engines are left to what each model costs.

    A GPU takes one run after the other, so a second engine would only make them smaller.
    """
    return replace(
        runtime,
        most_engines=cores.engines if runtime.provider == "cpu" else 1,
        sequence_workers=runtime.sequence_workers or cores.workers,
    )


def tell_picked(runtime: RuntimeConfig, cores: Cores, metrics: Metrics) -> None:
    """Says what the server found and what it does with it, in its log and its metrics."""
    picked = {
        "most_engines": runtime.engines_per_model or runtime.most_engines,
        "sequence_workers": runtime.sequence_workers,
        "threads_per_run": runtime.threads_per_run,
        "precision": runtime.precision,
        "event_loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
    }
    quota = None if math.isinf(cores.quota) else cores.quota
    log.info("picked", extra={"cores": cores.allowed, "quota": quota, **picked})
    metrics.picked.labels(*map(str, picked.values())).set(1)
    metrics.cores.set(cores.usable)
