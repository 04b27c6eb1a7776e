"""The event loop that a server runs on: uvloop where it installs, else asyncio's own."""

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any

NAME = "uvloop" if find_spec("uvloop") else "asyncio"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine to its end, as `asyncio.run` does."""
    if NAME == "asyncio":
        asyncio.run(main)
        return
    import uvloop  # not made for every system

    uvloop.run(main)
