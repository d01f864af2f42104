"""Sequences of nearly equal length as dense blocks, for kernels that take nothing else.

Attention is the one place that needs this: a call for each sequence costs more than the work in it when sequences are
short. Sequences next to each other in length are put into one block as long as that adds little work; where their
lengths differ, the shorter are filled up inside the block and masked. Nothing outside attention sees it.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.packing import Packing, outliving

__all__ = ["BlockLayout", "EqualRun", "HeadBlocks", "block_layout", "equal_runs"]

MOST_PADDED_WORK = 1.3
"""A block may have this many times the scores of its sequences (measured: 1.15 to 1.5 are about as fast)."""

MOST_SCORES = 2**18
"""Maximum scores per head and block on a CPU, so that a block's weights stay in the cache."""

SCORES_OF_A_LAUNCH = 2**17
"""Scores per head that a device computes in the time of launching another block (estimated, not measured: some
microseconds at a few hundred TFLOP/s and a dozen heads of width 64)."""

_UNSEEN = -1e30


class EqualRun(NamedTuple):
    """Sequences that share a block: the longest of them has `query_length` queries, `key_length` keys."""

    num_sequences: int
    query_length: int
    key_length: int


class HeadBlocks:
    """Between a packed tensor and one matrix per sequence and head, those of a block contiguous and filled up.

    One lookup moves a whole tensor in either direction. Its units are the vectors of single heads.
    """

    def __init__(self, packing: Packing, order: list[int], blocks: Iterable[tuple[int, int]], num_heads: int) -> None:
        """Lay out the sequences in their `order` into `blocks`, each a number of sequences and their common length."""
        self.num_heads = num_heads
        self._device = packing.device
        self._blocks = [(num_sequences * num_heads, length) for num_sequences, length in blocks]
        # For every vector in the matrices the token that it comes from, and for every token where its vectors are.
        tokens, heads, left_over = list[Tensor](), list[Tensor](), list[Tensor]()
        places = torch.empty(packing.num_tokens, num_heads, dtype=torch.int64)
        all_lengths = torch.tensor(packing.lengths)
        starts = (all_lengths.cumsum(0) - all_lengths)[order, None]
        lengths = all_lengths[order, None]
        sequence = place = 0
        for num_matrices, length in self._blocks:
            own = slice(sequence, sequence + num_matrices // num_heads)
            columns = torch.arange(length)
            here = columns < lengths[own]
            token = starts[own] + torch.minimum(columns, lengths[own] - 1)
            by_head = (-1, num_heads, length)
            own_places = torch.arange(place, place + num_matrices * length).view(by_head).transpose(1, 2)
            places[token[here]] = own_places[here]
            left_over.append(own_places[~here].flatten())
            tokens.append(token[:, None].expand(by_head).flatten())
            heads.append(torch.arange(num_heads)[:, None].expand(*token[:, None].expand(by_head).shape).flatten())
            sequence, place = own.stop, place + num_matrices * length
        indices = (torch.cat(tokens), torch.cat(heads), torch.cat(left_over), places.flatten())
        self._tokens, self._heads, self._left_over, self._places = (
            index.to(self._device, non_blocking=True) for index in indices
        )
        self._sources: dict[int, Tensor] = {}

    def fill(self, packed: Tensor) -> Tensor:
        """Into the matrices; unused places repeat a sequence's last token.

        *Shape:* (tokens, heads, head_dim) → (vectors, head_dim)
        """
        head_dim = packed.shape[-1]
        if packed.stride()[1:] != (head_dim, 1) or packed.stride(0) % head_dim:
            packed = packed.contiguous()
        # Query, key and value are parts of one tensor: the heads of one token are contiguous, the tokens are not.
        stride = packed.stride(0) // head_dim
        if stride not in self._sources:
            self._sources[stride] = self._tokens * stride + self._heads
        vectors = packed.as_strided(((len(packed) - 1) * stride + self.num_heads, head_dim), (head_dim, 1))
        return vectors.index_select(0, self._sources[stride])

    def fill_zeros(self, packed: Tensor) -> Tensor:
        """Into the matrices; unused places are zero. *Shape:* as `fill`."""
        return self.fill(packed).index_fill_(0, self._left_over, 0.0)

    def empty(self, head_dim: int) -> Tensor:
        """Memory for the matrices. *Shape:* (vectors, head_dim)."""
        return torch.empty(len(self._tokens), head_dim, device=self._device)

    def split(self, vectors: Tensor) -> list[Tensor]:
        """The blocks, sharing memory. *Shape:* (vectors, head_dim) → (matrices, length, head_dim) per block."""
        sizes = [num_matrices * length for num_matrices, length in self._blocks]
        parts = zip(vectors.split(sizes), self._blocks, strict=True)
        return [part.view(*block, -1) for part, block in parts]

    def take(self, vectors: Tensor) -> Tensor:
        """Out of the matrices again. *Shape:* (vectors, head_dim) → (tokens, heads, head_dim)."""
        return vectors.index_select(0, self._places).view(-1, self.num_heads, vectors.shape[-1])


@dataclass(frozen=True, eq=False)  # compared by identity: caches use it as a key
class BlockLayout:
    """A packed batch as blocks."""

    order: list[int]
    """The sequences in the order of the blocks."""
    runs: list[EqualRun]
    masks: list[Tensor | None]
    """What is added to each block's scores: 0 where a query may attend, and elsewhere so low that the weight is 0.

    None where every query sees every key. *Shape:* (num_sequences or 1, 1, query_length or 1, key_length)."""
    queries: HeadBlocks
    keys: HeadBlocks

    _masks: dict[torch.dtype, list[Tensor | None]] = field(default_factory=dict, init=False)

    def masks_in(self, dtype: torch.dtype) -> list[Tensor | None]:
        """The masks in another precision: in half precision, what is hidden gets the lowest finite number."""
        if dtype not in self._masks:
            with outliving():
                lowest = torch.finfo(dtype).min / 2
                self._masks[dtype] = [None if mask is None else mask.to(dtype).clamp_min(lowest) for mask in self.masks]
        return self._masks[dtype]

    @property
    def members(self) -> list[list[int]]:
        """The sequences of each block."""
        rest = iter(self.order)
        return [list(itertools.islice(rest, run.num_sequences)) for run in self.runs]


def block_layout(
    queries: Packing, keys: Packing, num_heads: int, pattern: AttentionPattern = EVERYWHERE
) -> BlockLayout:
    """Put sequences of nearly equal lengths into blocks.

    Args:
        queries: The sequences' query rows.
        keys: Their key rows; its device is where the blocks are.
        num_heads: Heads of each row.
        pattern: Which keys each query sees.
    """
    # The layers of a model share one, as long as the batch lives.
    made_for = ("block layout", queries.lengths, num_heads, pattern)
    return keys.keep(made_for, lambda: _block_layout(queries, keys, num_heads, pattern, keys.device))


def _block_layout(
    queries: Packing, keys: Packing, num_heads: int, pattern: AttentionPattern, device: torch.device
) -> BlockLayout:
    pairs = list(zip(queries.lengths, keys.lengths, strict=True))
    order = sorted(range(len(pairs)), key=lambda sequence: pairs[sequence][::-1])
    most_filled = _most_on_a_cpu if device.type == "cpu" else _most_on_a_device
    runs = _runs((pairs[sequence] for sequence in order), most_filled)
    with outliving():
        key_blocks = HeadBlocks(keys, order, [(run.num_sequences, run.key_length) for run in runs], num_heads)
        query_blocks = key_blocks
        if queries != keys:
            blocks = [(run.num_sequences, run.query_length) for run in runs]
            query_blocks = HeadBlocks(queries, order, blocks, num_heads)
        masks, lengths = list[Tensor | None](), [keys.lengths[sequence] for sequence in order]
        for run in runs:
            masks.append(_mask(run, lengths[: run.num_sequences], pattern, device))
            del lengths[: run.num_sequences]
    return BlockLayout(order, runs, masks, query_blocks, key_blocks)


def equal_runs(queries: Packing, keys: Packing) -> list[EqualRun]:
    """Put neighbouring sequences of the same lengths into blocks: nothing is filled up, and nothing is moved."""
    pairs = zip(queries.lengths, keys.lengths, strict=True)
    made_for = ("equal runs", queries.lengths)
    return keys.keep(made_for, lambda: _runs(pairs, lambda scores: min(scores, MOST_SCORES)))


def _most_on_a_cpu(scores: int) -> float:
    return min(MOST_PADDED_WORK * scores, MOST_SCORES)


def _most_on_a_device(scores: int) -> float:
    return max(MOST_PADDED_WORK * scores, SCORES_OF_A_LAUNCH)


def _runs(pairs: Iterable[tuple[int, int]], most_filled: Callable[[int], float]) -> list[EqualRun]:
    """Put neighbours into blocks.

    Args:
        pairs: How many queries and keys each sequence has.
        most_filled: How many scores a block may have when it is filled up, given how many its sequences have; a
            sequence that has more is a block of its own.
    """
    runs = [EqualRun(0, 0, 0)]
    scores = 0
    for query, key in pairs:
        run = EqualRun(runs[-1].num_sequences + 1, max(runs[-1].query_length, query), max(runs[-1].key_length, key))
        scores += query * key
        filled = run.num_sequences * run.query_length * run.key_length
        if filled <= most_filled(scores) or run.num_sequences == 1:
            runs[-1] = run
        else:
            runs.append(EqualRun(1, query, key))
            scores = query * key
    return runs


def _mask(run: EqualRun, lengths: list[int], pattern: AttentionPattern, device: torch.device) -> Tensor | None:
    visible = []
    # Under causal attention no query sees a later key, and filled places come last: they are hidden anyway.
    if min(lengths) < run.key_length and not pattern.causal:
        visible.append((torch.arange(run.key_length) < torch.tensor(lengths)[:, None])[:, None, None, :])
    if not pattern.sees_all(run.query_length, run.key_length):
        visible.append(pattern.mask(run.query_length, run.key_length)[None, None])
    if not visible:
        return None
    there = visible[0] if len(visible) == 1 else visible[0] & visible[1]
    # Not −∞: an unused row may see nothing at all, and no weight may become NaN there.
    return torch.zeros(there.shape).masked_fill_(~there, _UNSEEN).to(device, non_blocking=True)
