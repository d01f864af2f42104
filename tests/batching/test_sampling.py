from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.batching.sampling import epoch_order, split_by_examples, split_by_tokens


def test_an_epochs_order_is_a_function_of_seed_and_epoch():
    orders = [epoch_order(1000, seed, epoch).tolist() for seed, epoch in ((3, 0), (3, 0), (3, 1), (4, 0), (0, 3))]
    assert orders[0] == orders[1]
    assert all(orders[0] != other for other in orders[2:])
    assert all(sorted(order) == list(range(1000)) for order in orders)
    assert epoch_order(5, 1, 2).tolist() == [4, 1, 0, 3, 2]  # a resumed run of another day finds it again


@given(count=st.integers(0, 50), size=st.integers(1, 20))
def test_steps_of_so_many_examples(count, size):
    order = epoch_order(count, 0, 0)
    steps = split_by_examples(order, size)
    assert np.concatenate([*steps, order[:0]]).tolist() == order.tolist()
    assert all(len(step) == size for step in steps[:-1])
    assert all(len(step) for step in steps)


@given(lengths=st.lists(st.integers(1, 40), max_size=50), most=st.integers(1, 100))
def test_steps_of_so_many_tokens(lengths, most):
    costs = np.array(lengths, dtype=np.int64)
    order = epoch_order(len(costs), 0, 0)
    steps = split_by_tokens(order, costs, most)
    assert np.concatenate([*steps, order[:0]]).tolist() == order.tolist()
    assert all(len(step) == 1 or costs[step].sum() <= most for step in steps)
    for step, following in pairwise(steps):  # each is full: the next example would not fit
        assert costs[step].sum() + costs[following[0]] > most
