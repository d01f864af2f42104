import threading

import pytest

from headway.batching.prefetch import map_ahead


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order_and_end(workers):
    assert list(map_ahead(lambda number: number * 2, range(20), workers=workers)) == list(range(0, 40, 2))
    assert list(map_ahead(bool, [], workers=workers)) == []
    assert list(map_ahead(lambda item: item, [None, 0, False], workers=workers)) == [None, 0, False]


def test_results_are_made_ahead_in_another_thread_but_not_all():
    drawn, threads = [], set()

    def items():
        for number in range(100):
            drawn.append(number)
            yield number

    def work(number):
        threads.add(threading.current_thread())
        return number

    ahead = map_ahead(work, items(), ahead=3)
    assert next(ahead) == 0
    assert drawn == [0, 1, 2, 3]
    assert threads.isdisjoint({threading.current_thread()})
    assert len(threads) == 1
    ahead.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_where_its_result_would_have(workers):
    ahead = map_ahead(lambda number: 6 // number, [1, 2, 0, 3], workers=workers)
    assert [next(ahead), next(ahead)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    made = []
    ahead = map_ahead(made.append, range(1000), ahead=2)
    next(ahead)
    ahead.close()
    assert threading.active_count() == before
    assert len(made) <= 4
