"""Packing: sequences laid end to end, found again, and grouped into runs."""

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
def test_positions_and_firsts(sizes: list[int]) -> None:
    packing = Packing(sizes)
    assert packing.offsets.dtype == torch.int32
    assert packing.offsets.diff().tolist() == sizes
    assert packing.positions.tolist() == [position for size in sizes for position in range(size)]
    assert packing.firsts == Packing([1] * len(sizes))


@given(lengths, st.randoms())
def test_the_last_row_and_the_last_marked_one(sizes: list[int], draw) -> None:
    packing = Packing(sizes)
    ends = packing.offsets[1:].long() - 1
    assert torch.equal(packing.lasts(), ends)
    marked = torch.tensor([draw.random() < 0.2 for _ in range(packing.num_tokens)])
    expected = [
        int(rows[marks][-1] if marks.any() else rows[-1])
        for rows, marks in zip(torch.arange(packing.num_tokens).split(sizes), marked.split(sizes), strict=True)
    ]
    assert packing.lasts(marked).tolist() == expected
    assert packing.lasts(marked).dtype == torch.int64


def test_an_empty_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Packing([3, 0])
