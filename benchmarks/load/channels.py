"""Connections to a server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

# Callers of a real server do not share one connection, and one does not go as fast.
MOST_CONNECTIONS = 8


@asynccontextmanager
async def connections(address: str, callers: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Opens connections, one for each caller up to a limit, and waits until they stand."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # otherwise all would share one
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options))
            for _ in range(min(callers, MOST_CONNECTIONS))
        ]
        for channel in channels:
            await channel.channel_ready()
        yield channels
