"""Packing: sequences laid end to end, found again, and grouped into runs."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.nn.packing import Packing

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(lengths)
def test_unpacking_and_packing_gives_the_same_rows(sizes: list[int]) -> None:
    packing = Packing(sizes)
    packed = torch.arange(1.0, packing.num_tokens + 1)
    dense = packing.unpack(packed)
    assert dense.shape == (len(sizes), max(sizes))
    assert dense[~packing.mask].eq(0).all()
    assert torch.equal(packing.pack(dense), packed)
    assert [row[mask].tolist() for row, mask in zip(dense, packing.mask, strict=True)] == [
        part.tolist() for part in packed.split(sizes)
    ]


@given(lengths)
def test_positions_and_first_rows(sizes: list[int]) -> None:
    packing = Packing(sizes)
    assert packing.offsets.dtype == torch.int32
    assert packing.offsets.diff().tolist() == sizes
    assert packing.positions.tolist() == [position for size in sizes for position in range(size)]
    assert packing.first_rows(packing.positions).eq(0).all()
    assert packing.firsts == Packing([1] * len(sizes))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=12))
def test_runs_cover_every_row_once_and_in_order(pairs: list[tuple[int, int]]) -> None:
    queries, keys = (Packing(sizes) for sizes in zip(*pairs, strict=True))
    query_rows, key_rows = torch.arange(queries.num_tokens)[:, None], torch.arange(keys.num_tokens)[:, None]
    runs = queries.runs(keys)
    assert torch.cat([run.query_block(query_rows).flatten() for run in runs]).tolist() == query_rows.flatten().tolist()
    assert torch.cat([run.key_block(key_rows).flatten() for run in runs]).tolist() == key_rows.flatten().tolist()
    assert all((a.query_length, a.key_length) != (b.query_length, b.key_length) for a, b in pairwise(runs))


def test_an_empty_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Packing([3, 0])
