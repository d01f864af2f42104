"""Sequences of nearly equal length as dense blocks, for kernels that take nothing else.

Attention is the one place that needs this, and only on a processor: a call for each sequence costs more than the work
in it when sequences are short. Neighbours of a packed batch are put into one block as long as that adds little work;
where their lengths differ, the shorter are filled up inside the block and masked. Nothing outside attention sees it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from headway.nn.packing import Packing

__all__ = ["Buckets", "Run", "bucket"]

MOST_PADDED_WORK = 1.3
"""A block may have this many times the scores of its sequences (measured: 1.15 to 1.5 are about as fast)."""

MOST_SCORES = 2**18
"""Scores a head and block at most, so that a block's weights stay in the cache."""


class Run(NamedTuple):
    """A block: neighbouring sequences, all with `query_length` query rows and `key_length` key rows."""

    num_sequences: int
    query_row: int
    query_length: int
    key_row: int
    key_length: int

    def query_block(self, rows: Tensor) -> Tensor:
        """Its query rows, sharing memory. *Shape:* (rows, heads, …) → (num_sequences, heads, query_length, …)."""
        block = rows[self.query_row : self.query_row + self.num_sequences * self.query_length]
        return block.unflatten(0, (self.num_sequences, self.query_length)).transpose(1, 2)

    def key_block(self, rows: Tensor) -> Tensor:
        """Its key rows, sharing memory. *Shape:* (rows, heads, …) → (num_sequences, heads, key_length, …)."""
        block = rows[self.key_row : self.key_row + self.num_sequences * self.key_length]
        return block.unflatten(0, (self.num_sequences, self.key_length)).transpose(1, 2)


class Filling:
    """How the rows of a packed tensor stand in blocks of equal lengths, and come back out of them."""

    def __init__(self, lengths: tuple[int, ...], filled: list[int]) -> None:
        self.is_identity = list(lengths) == filled
        if self.is_identity:
            return
        spans = list(zip(lengths, filled, Packing(lengths).offsets.tolist(), strict=False))
        self._sources = torch.cat([torch.arange(full).clamp_(max=length - 1) + row for length, full, row in spans])
        starts = Packing(filled).offsets.tolist()
        self._places = torch.cat([torch.arange(n) + start for n, start in zip(lengths, starts, strict=False)])

    def fill(self, packed: Tensor) -> Tensor:
        """Into the blocks; places that are left over repeat a sequence's last row. *Shape:* (tokens, …) → (rows, …)."""
        return packed if self.is_identity else packed.index_select(0, self._sources)

    def fill_zeros(self, packed: Tensor) -> Tensor:
        """Into the blocks; places that are left over are zero. *Shape:* (tokens, …) → (rows, …)."""
        if self.is_identity:
            return packed
        return packed.new_zeros(len(self._sources), *packed.shape[1:]).index_copy_(0, self._places, packed)

    def take(self, rows: Tensor) -> Tensor:
        """Out of the blocks again. *Shape:* (rows, …) → (tokens, …)."""
        return rows if self.is_identity else rows.index_select(0, self._places)


@dataclass(frozen=True)
class Buckets:
    """A packed batch as blocks."""

    runs: list[Run]
    masks: list[Tensor | None]
    """What is added to each block's scores: −∞ where there is no key, 0 elsewhere; none where all lengths are equal.

    *Shape:* (num_sequences, 1, 1, key_length)."""
    queries: Filling
    keys: Filling


@lru_cache(maxsize=16)  # the blocks of a model share one
def bucket(queries: Packing, keys: Packing, *, exact: bool = False) -> Buckets:
    """Put neighbouring sequences into blocks.

    Args:
        queries: The sequences' query rows.
        keys: Their key rows.
        exact: Only sequences of the same lengths share a block: nothing is filled up.
    """
    lengths = list(zip(queries.lengths, keys.lengths, strict=True))
    runs: list[Run] = []
    masks: list[Tensor | None] = []
    filled_queries: list[int] = []
    filled_keys: list[int] = []
    start = 0
    while start < len(lengths):
        end = _end_of_block(lengths, start, exact)
        block = lengths[start:end]
        query_length, key_length = max(q for q, _ in block), max(k for _, k in block)
        runs.append(Run(end - start, sum(filled_queries), query_length, sum(filled_keys), key_length))
        masks.append(_mask([k for _, k in block], key_length))
        filled_queries += [query_length] * (end - start)
        filled_keys += [key_length] * (end - start)
        start = end
    return Buckets(runs, masks, Filling(queries.lengths, filled_queries), Filling(keys.lengths, filled_keys))


def _end_of_block(lengths: list[tuple[int, int]], start: int, exact: bool) -> int:
    """One past the last sequence that joins the block which begins at `start`."""
    query_length = key_length = scores = 0
    for position in range(start, len(lengths)):
        query, key = lengths[position]
        query_length, key_length = max(query_length, query), max(key_length, key)
        scores += query * key
        filled = (position + 1 - start) * query_length * key_length
        alike = lengths[position] == lengths[start] if exact else filled <= MOST_PADDED_WORK * scores
        if position > start and (not alike or filled > MOST_SCORES):
            return position
    return len(lengths)


def _mask(lengths: list[int], full: int) -> Tensor | None:
    if min(lengths) == full:
        return None
    there = torch.arange(full) < torch.tensor(lengths)[:, None]
    return torch.zeros(there.shape).masked_fill_(~there, -torch.inf)[:, None, None, :]
