"""Batches made ahead, in a thread of their own, while the model computes."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

__all__ = ["prefetch"]

Item = TypeVar("Item")


def prefetch(items: Iterator[Item], ahead: int = 4) -> Iterator[Item]:
    """The same items, made in a thread of their own up to `ahead` before they are asked for."""
    end = object()
    worker = ThreadPoolExecutor(1, thread_name_prefix="headway-batches")
    try:
        pending = deque(worker.submit(next, items, end) for _ in range(ahead))
        while (item := pending.popleft().result()) is not end:
            pending.append(worker.submit(next, items, end))
            yield cast("Item", item)
    finally:
        worker.shutdown(cancel_futures=True)
