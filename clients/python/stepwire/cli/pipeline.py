"""A few calls at a time, results in order."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Pending = Queue[Future[Result] | None]  # None is the end


@contextmanager
def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], width: int
) -> Iterator[Iterator[Result]]:
    """Results in the order of their items, `width` being worked on.

    Items are taken in a thread of their own, so that results already there do not wait
    for items that are slow to come. Leaving the block starts no more work; what is under
    way ends with the client.
    """
    threads = ThreadPoolExecutor(width)
    pending: Pending[Result] = Queue(maxsize=width)
    Thread(target=_feed, args=(work, items, threads, pending), daemon=True).start()
    try:
        yield (future.result() for future in iter(pending.get, None))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _feed(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    threads: Executor,
    pending: Pending[Result],
) -> None:
    try:
        for item in items:
            pending.put(threads.submit(work, item))
    except Exception as error:  # raised in its turn, by whoever takes the results
        failed: Future[Result] = Future()
        failed.set_exception(error)
        pending.put(failed)
    pending.put(None)
