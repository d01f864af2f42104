"""Batches made ahead, in threads, while the model computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["map_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 1, ahead: int = 4
) -> Iterator[Result]:
    """`map`, computed ahead by threads: while one result is used, the next ones are being made.

    Threads, since tokenizers, and Pillow while it decodes and resizes, let others run: they need neither start-up nor
    copies, unlike processes. One item should be a batch, not an image: tiny images take less time than handing them
    over.

    Args:
        function: What is done for each item; in several threads at once if there are several workers.
        items: Drawn by the thread that takes the results, as far ahead as is needed.
        workers: The number of threads. 0: everything is computed when its turn comes.
        ahead: So many results are made or being made beyond the one that is asked for; this bounds the memory.

    Yields:
        The results, in the order of the items. An error comes in place of its result and ends the work.
    """
    if workers <= 0:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="headway-batches") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # after an error, or when no more results are wanted
            for future in waiting:
                future.cancel()
