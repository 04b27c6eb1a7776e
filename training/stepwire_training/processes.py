"""One process or several under torchrun: who am I, and what do the others say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from stepwire_training.data.batches import Shard


@contextmanager
def joined() -> Iterator[Shard]:
    """This process's share of the run; joins the others if torchrun started it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Shard()
        return
    dist.init_process_group("gloo")
    try:
        yield Shard(rank=dist.get_rank(), world=world)
    finally:
        dist.destroy_process_group()


def shared(model: nn.Module, shard: Shard) -> nn.Module:
    """The model itself, or with gradients averaged over the processes."""
    return model if shard.world == 1 else DistributedDataParallel(model)


def any_of(flags: list[bool], shard: Shard) -> list[bool]:
    """For each flag whether any process raised it, so that all act at the same step."""
    votes = torch.tensor(flags, dtype=torch.int32)
    if shard.world > 1:
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
    return [bool(vote) for vote in votes.tolist()]


def mean(value: float, shard: Shard) -> float:
    """The mean over all processes."""
    total = torch.tensor(value, dtype=torch.float64)
    if shard.world > 1:
        dist.all_reduce(total)
    return total.item() / shard.world


def gathered(part: Any, shard: Shard) -> list[Any]:
    """Every process's part in order of rank; empty for all but the first."""
    if shard.world == 1:
        return [part]
    parts: list[Any] = [None] * shard.world
    dist.gather_object(part, parts if shard.rank == 0 else None)
    return parts if shard.rank == 0 else []
