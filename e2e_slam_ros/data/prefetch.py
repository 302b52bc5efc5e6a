"""Items prepared in a thread while the ones before are used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prepared_ahead(
    make: Callable[[int], Item], first: int, last: int, ahead: int, threads: int = 1
) -> Generator[tuple[int, Item], None, None]:
    """Yield ``(step, make(step))`` for steps ``first`` to ``last`` - 1, in order.

    Further threads make up to ``ahead`` items before they are asked for. An error
    in ``make`` is raised when its step is reached. Closing the iterator ends the threads.

    Args:
        make: called by several threads at once where there are several.
        threads: how many make items; more than ``ahead`` are of no use.
    """
    if ahead == 0:
        for step in range(first, last):
            yield step, make(step)
        return
    waiting: deque[Future[Item]] = deque()
    coming = iter(range(first, last))
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            for step in range(first, last):
                while len(waiting) <= ahead:
                    upcoming = next(coming, None)
                    if upcoming is None:
                        break
                    waiting.append(pool.submit(make, upcoming))
                yield step, waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
