"""The rows that a head reads: the last block of a stack computes nothing for the others."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from headway.nn.attention.pattern import AttentionPattern
from headway.nn.packing import Packing, outliving

__all__ = ["Rows", "VisibleKeys"]


@dataclass(frozen=True)
class VisibleKeys:
    """The keys that one query per sequence sees: a contiguous range of its sequence."""

    packing: Packing
    """How many keys each sequence keeps."""
    starts: tuple[int, ...]
    """Position of each sequence's first kept key."""
    index: Tensor | None
    """The kept rows of the packed tensor; none: all of them. *Shape:* (kept keys,), int64"""

    def take(self, packed: Tensor) -> Tensor:
        """The kept rows. *Shape:* (tokens, …) → (kept keys, …)."""
        return packed if self.index is None else packed.index_select(0, self.index)


class Rows:
    """One row of each sequence, and its position there.

    A selected row no longer shows its position, on which causal attention, windows, rotations and relative biases
    depend. One query's pattern is a contiguous range of keys: the others are removed, and no mask is needed.
    """

    def __init__(self, packing: Packing, positions: Iterable[int]) -> None:
        """Choose rows.

        Args:
            packing: Where the sequences start.
            positions: The wanted row of each, from 0.

        Raises:
            ValueError: Not one position per sequence, or one outside its sequence.
        """
        self.packing = packing
        self.positions = tuple(positions)
        self.own = packing.firsts
        """The packing of the chosen rows: one per sequence."""
        pairs = zip(self.positions, packing.lengths, strict=True)
        if any(not 0 <= position < length for position, length in pairs):
            raise ValueError(f"rows at {self.positions} of sequences of lengths {packing.lengths}")
        with outliving():
            self.places = torch.tensor(self.positions).to(packing.device, non_blocking=True)
            """The positions on the device. *Shape:* (sequences,)"""
            self.index = packing.offsets[:-1].long() + self.places
            """The chosen rows of the packed tensor. *Shape:* (sequences,)"""
        self._keys: dict[AttentionPattern, VisibleKeys] = {}

    @classmethod
    def first(cls, packing: Packing) -> "Rows":
        """Each sequence's first row."""
        return cls(packing, (0 for _ in packing.lengths))

    @classmethod
    def last(cls, packing: Packing, marked: Tensor | None = None) -> "Rows":
        """Each sequence's last row, or its last marked one where it has any; marks are fetched from the device.

        *Shape:* marked (tokens,), bool
        """
        if marked is None:
            return cls(packing, (length - 1 for length in packing.lengths))
        return cls(packing, (packing.lasts(marked) - packing.offsets[:-1]).tolist())

    def take(self, packed: Tensor) -> Tensor:
        """The chosen rows. *Shape:* (tokens, …) → (sequences, …)."""
        return packed.index_select(0, self.index)

    def keys(self, pattern: AttentionPattern) -> VisibleKeys:
        """The keys that the chosen rows see in their sequences."""
        if pattern not in self._keys:
            self._keys[pattern] = self._visible(pattern)
        return self._keys[pattern]

    def _visible(self, pattern: AttentionPattern) -> VisibleKeys:
        pairs = zip(self.positions, self.packing.lengths, strict=True)
        spans = [pattern.span(position, length) for position, length in pairs]
        starts, lengths = tuple(start for start, _ in spans), tuple(stop - start for start, stop in spans)
        if lengths == self.packing.lengths:
            return VisibleKeys(self.packing, starts, None)
        with outliving():
            kept = Packing(lengths, self.packing.device)
            firsts = (self.packing.offsets[:-1] + torch.tensor(starts).to(kept.device, non_blocking=True)).long()
            shifts = (firsts - kept.offsets[:-1]).repeat_interleave(kept.offsets.diff(), output_size=kept.num_tokens)
            return VisibleKeys(kept, starts, torch.arange(kept.num_tokens, device=kept.device) + shifts)
