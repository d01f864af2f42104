"""Rows go into the blocks and come out again as they were."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from headway.nn.attention.blocks import MOST_PADDED_WORK, MOST_SCORES, block_layout, equal_runs
from headway.nn.packing import Packing

pairs_of_lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20)


def packings(pairs: list[tuple[int, int]]) -> tuple[Packing, Packing]:
    queries, keys = (Packing(lengths) for lengths in zip(*pairs, strict=True))
    return queries, keys


@given(pairs_of_lengths, st.integers(1, 3))
def test_what_is_filled_in_comes_out_again(pairs: list[tuple[int, int]], num_heads: int) -> None:
    queries, keys = packings(pairs)
    layout = block_layout(queries, keys, num_heads)
    for packing, blocks in ((queries, layout.queries), (keys, layout.keys)):
        packed = torch.arange(1.0, packing.num_tokens * num_heads + 1).view(-1, num_heads, 1)
        assert torch.equal(blocks.take(blocks.fill(packed)), packed)
        assert torch.equal(blocks.take(blocks.fill_zeros(packed)), packed)
        assert float(blocks.fill_zeros(packed).sum()) == float(packed.sum())


@given(pairs_of_lengths)
def test_parts_of_one_tensor_are_filled_in_as_if_they_were_their_own(pairs: list[tuple[int, int]]) -> None:
    _, keys = packings(pairs)
    blocks = block_layout(keys, keys, 2).keys
    parts = torch.randn(keys.num_tokens, 3, 2, 4).unbind(1)
    for part in (*parts, parts[0].transpose(1, 2).contiguous().transpose(1, 2)):
        assert torch.equal(blocks.fill(part), blocks.fill(part.contiguous()))


@given(pairs_of_lengths)
def test_each_matrix_holds_its_sequence_and_head_and_masks_the_rest(pairs: list[tuple[int, int]]) -> None:
    queries, keys = packings(pairs)
    layout = block_layout(queries, keys, 2)
    owners = torch.repeat_interleave(torch.arange(len(pairs)), torch.tensor(keys.lengths))
    owners_and_heads = torch.stack([2 * owners, 2 * owners + 1], 1)[:, :, None]
    order = iter(layout.order)
    blocks = layout.keys.split(layout.keys.fill(owners_and_heads))
    for run, mask, block in zip(layout.runs, layout.masks, blocks, strict=True):
        assert block.shape == (2 * run.num_sequences, run.key_length, 1)
        for member, sequence in zip(range(run.num_sequences), order, strict=False):
            assert block[2 * member].eq(2 * sequence).all()
            assert block[2 * member + 1].eq(2 * sequence + 1).all()
            there = run.key_length if mask is None else int((mask[member] == 0).sum())
            assert there == keys.lengths[sequence]
    assert sorted(layout.order) == list(range(len(pairs)))
    assert not list(order)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=64))
def test_blocks_add_little_work_and_stay_small(lengths: list[int]) -> None:
    packing = Packing(lengths)
    lengths, start = sorted(lengths), 0
    for run in block_layout(packing, packing, 1).runs:
        scores = sum(length**2 for length in lengths[start : start + run.num_sequences])
        filled = run.num_sequences * run.query_length * run.key_length
        assert run.num_sequences == 1 or (filled <= MOST_PADDED_WORK * scores and filled <= MOST_SCORES)
        start += run.num_sequences


@given(pairs_of_lengths)
def test_equal_runs_hold_equal_lengths(pairs: list[tuple[int, int]]) -> None:
    queries, keys = packings(pairs)
    runs = equal_runs(queries, keys)
    spread = [(run.query_length, run.key_length) for run in runs for _ in range(run.num_sequences)]
    assert spread == pairs
    assert all(a[1:] != b[1:] for a, b in itertools.pairwise(runs))


def test_a_device_has_few_blocks_of_its_own() -> None:
    lengths = [*range(512, 0, -16), *range(1, 512, 16)]
    on_cpu, on_device = Packing(lengths), Packing(lengths, "meta")  # meta: a device that every machine has
    of_cpu, layout = block_layout(on_cpu, on_cpu, 2), block_layout(on_device, on_device, 2)
    assert len(layout.runs) < min(10, len(of_cpu.runs) / 2)
    filled = sum(run.num_sequences * run.query_length * run.key_length for run in layout.runs)
    assert filled < 1.5 * sum(length**2 for length in lengths)
    assert layout.keys.fill(torch.empty(on_device.num_tokens, 2, 4, device="meta")).device.type == "meta"
    assert all(mask is None or mask.device.type == "meta" for mask in layout.masks)
