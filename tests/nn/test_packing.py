"""Packing: sequences laid end to end, found again, and grouped into runs."""

import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.nn.attention import attention
from headway.nn.attention.blocks import block_layout
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


@given(lengths)
def test_means_are_those_of_each_sequence(sizes: list[int]) -> None:
    packing = Packing(sizes)
    packed = torch.randn(packing.num_tokens, 3, requires_grad=True)
    expected = torch.stack([rows.mean(0) for rows in packed.split(sizes)])
    torch.testing.assert_close(packing.means(packed), expected, atol=1e-6, rtol=1e-6)
    weight = torch.randn_like(expected)
    gradients = [torch.autograd.grad((means * weight).sum(), packed)[0] for means in (packing.means(packed), expected)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-6)
    assert all(torch.equal(packing.means(packed), packing.means(packed)) for _ in range(3))


@given(lengths, st.data())
def test_selected_sequences_have_their_rows(sizes: list[int], data: st.DataObject) -> None:
    packing = Packing(sizes)
    chosen = data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=9))
    selected, rows = packing.select(chosen)
    parts = torch.arange(packing.num_tokens).split(sizes)
    assert selected == Packing([sizes[sequence] for sequence in chosen])
    assert torch.equal(rows, torch.cat([parts[sequence] for sequence in chosen]))


def test_what_a_batch_keeps_goes_with_it() -> None:
    """A cache that outlives its batch pins tensors on the device."""
    packing = Packing([3, 5, 4])
    rows = torch.randn(12, 2, 8, requires_grad=True)
    attention(rows, rows, rows, packing, packing)
    layout = weakref.ref(block_layout(packing, packing, 2))
    assert block_layout(packing, packing, 2) is layout()
    assert layout() is not None
    del packing
    assert layout() is None


def test_an_empty_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Packing([3, 0])
