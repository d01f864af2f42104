"""Rows go into the blocks and come out again as they were."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.nn.buckets import MOST_PADDED_WORK, MOST_SCORES, bucket
from headway.nn.packing import Packing

pairs_of_lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20)


def packings(pairs: list[tuple[int, int]]) -> tuple[Packing, Packing]:
    queries, keys = (Packing(lengths) for lengths in zip(*pairs, strict=True))
    return queries, keys


@given(pairs_of_lengths)
def test_what_is_filled_in_comes_out_again(pairs: list[tuple[int, int]]) -> None:
    queries, keys = packings(pairs)
    buckets = bucket(queries, keys)
    for packing, filling in ((queries, buckets.queries), (keys, buckets.keys)):
        rows = torch.arange(1.0, packing.num_tokens + 1)[:, None]
        assert torch.equal(filling.take(filling.fill(rows)), rows)
        assert torch.equal(filling.take(filling.fill_zeros(rows)), rows)
        assert float(filling.fill_zeros(rows).sum()) == float(rows.sum())


@given(pairs_of_lengths)
def test_each_block_holds_its_sequences_and_masks_the_rest(pairs: list[tuple[int, int]]) -> None:
    queries, keys = packings(pairs)
    buckets = bucket(queries, keys)
    owners = torch.repeat_interleave(torch.arange(len(pairs)), torch.tensor(keys.lengths))[:, None, None]
    sequence = 0
    for run, mask in zip(buckets.runs, buckets.masks, strict=True):
        block = run.key_block(buckets.keys.fill(owners))
        for member in range(run.num_sequences):
            assert block[member].eq(sequence).all()
            there = run.key_length if mask is None else int((mask[member] == 0).sum())
            assert there == keys.lengths[sequence]
            sequence += 1
    assert sequence == len(pairs)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=64))
def test_blocks_add_little_work_and_stay_small(lengths: list[int]) -> None:
    packing = Packing(sorted(lengths))
    start = 0
    for run in bucket(packing, packing).runs:
        scores = sum(length**2 for length in packing.lengths[start : start + run.num_sequences])
        filled = run.num_sequences * run.query_length * run.key_length
        assert run.num_sequences == 1 or (filled <= MOST_PADDED_WORK * scores and filled <= MOST_SCORES)
        start += run.num_sequences


@given(pairs_of_lengths)
def test_exact_blocks_fill_nothing(pairs: list[tuple[int, int]]) -> None:
    buckets = bucket(*packings(pairs), exact=True)
    assert buckets.queries.is_identity
    assert buckets.keys.is_identity
    assert all(mask is None for mask in buckets.masks)
