"""A server in this process, on a loop of its own: for tests that are not asynchronous."""

import asyncio
import threading
from contextlib import contextmanager

from stepwire_server.app import App


@contextmanager
def background(config):
    """Runs a server; gives it, and a way to call a function on its thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    async def begin():
        running = App(config).running()
        return running, await running.__aenter__()

    async def call(function, *given):
        return function(*given)

    try:
        running, app = wait(begin())
        try:
            yield app, lambda function, *given: wait(call(function, *given))
        finally:
            wait(running.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
