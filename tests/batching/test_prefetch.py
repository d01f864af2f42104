import threading
import time

import pytest

from headway.batching.prefetch import prefetch


def test_items_come_in_order_and_end():
    assert list(prefetch(iter(range(20)))) == list(range(20))
    assert list(prefetch(iter([]))) == []
    assert list(prefetch(iter([None, 0, False]))) == [None, 0, False]


def test_items_are_made_ahead_in_another_thread_but_not_all():
    made, threads = [], set()

    def items():
        for number in range(100):
            made.append(number)
            threads.add(threading.current_thread())
            yield number

    ahead = prefetch(items(), ahead=3)
    assert next(ahead) == 0
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    assert threads.isdisjoint({threading.current_thread()})
    assert len(threads) == 1
    ahead.close()


def test_an_error_comes_where_its_item_would_have():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    ahead = prefetch(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(ahead)


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    made = []
    ahead = prefetch((made.append(number) for number in range(1000)), ahead=2)
    next(ahead)
    ahead.close()
    assert threading.active_count() == before
    assert len(made) <= 4
