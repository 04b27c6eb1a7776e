"""Requests whose answer is computed by a coroutine."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from stepwire_server.engine.tensors import Cancel, Failed
from stepwire_server.errors import InternalError, InvalidRequest, StepwireError

log = logging.getLogger(__name__)

_RUNNING: set[asyncio.Task[None]] = set()  # the event loop itself keeps weak references


def in_background(work: Coroutine[Any, Any, None], failed: Failed) -> Cancel:
    """Runs a coroutine by itself; tells `failed` if it raises, whatever it is."""

    async def guarded() -> None:
        try:
            await work
        except StepwireError as error:
            failed(error)
        except Exception:
            log.exception("request failed")
            failed(InternalError("internal error"))

    task = asyncio.get_running_loop().create_task(guarded())
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    return lambda: _cancel(task)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def text_of(field: str, value: bytes) -> str:
    """Reads a text; raises InvalidRequest if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest.of(field, "be UTF-8", f"byte {error.start} that is not") from error
