import threading
import time
from collections.abc import Iterator

import pytest

from headway.batching.prefetch import map_ahead


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_order_is_kept(workers: int) -> None:
    def slow(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    assert list(map_ahead(slow, range(30), workers=workers)) == [item * item for item in range(30)]


def test_it_works_ahead_but_not_without_end() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            drawn.append(item)
            yield item

    results = map_ahead(lambda item: item, items(), workers=2, ahead=3)
    assert next(results) == 0
    assert drawn == [0, 1, 2, 3]
    assert next(results) == 1
    assert len(drawn) == 5
    results.close()
    assert len(drawn) == 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("headway-batches")]


def test_results_are_made_ahead_in_other_threads() -> None:
    threads: set[threading.Thread] = set()
    made: list[int] = []

    def work(item: int) -> int:
        threads.add(threading.current_thread())
        made.append(item)
        return item

    results = map_ahead(work, range(100), ahead=3)
    assert next(results) == 0
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert made == [0, 1, 2, 3]
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    results.close()


def test_an_error_of_the_items_ends_the_work() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    with pytest.raises(ValueError, match="the third"):
        list(map_ahead(lambda item: item, items()))
