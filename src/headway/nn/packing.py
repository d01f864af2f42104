"""Sequences of different lengths as one tensor, without padding."""

from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["Packing", "outliving"]

Kept = TypeVar("Kept")


def outliving() -> AbstractContextManager[None]:
    """For tensors that are kept: made during inference, they can still be used in training."""
    return torch.inference_mode(False)


class Packing:
    """Where each sequence of a packed tensor starts.

    A batch of `n` sequences is one tensor of shape `(tokens, …)`, the sequences concatenated: sequence `i` is the
    rows `offsets[i]` to `offsets[i + 1]`. There is no padding, so there is no padding mask and no work on either.

    The lengths live on the host, so that asking for them never waits for a device.
    """

    def __init__(self, lengths: Iterable[int], device: torch.device | str = "cpu") -> None:
        self.lengths: tuple[int, ...] = tuple(lengths)
        self.device = torch.device(device)
        self._kept: dict[Hashable, Any] = {}
        if any(length < 1 for length in self.lengths):
            raise ValueError(f"every sequence needs at least one token, got lengths {self.lengths}")

    def __len__(self) -> int:
        return len(self.lengths)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packing) and self.lengths == other.lengths

    def __hash__(self) -> int:
        return hash(self.lengths)

    def __repr__(self) -> str:
        return f"Packing({list(self.lengths)}, device={str(self.device)!r})"

    def keep(self, made_for: Hashable, make: Callable[[], Kept]) -> Kept:
        """The result of `make`, computed once: for tensors that all layers share and that live as long as the batch."""
        if made_for not in self._kept:
            self._kept[made_for] = make()
        kept: Kept = self._kept[made_for]
        return kept

    @property
    def num_tokens(self) -> int:
        """Rows of the packed tensor."""
        return sum(self.lengths)

    @property
    def max_length(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths)

    @property
    def is_even(self) -> bool:
        """Whether all sequences are equally long."""
        return len(set(self.lengths)) == 1

    @cached_property
    def offsets(self) -> Tensor:
        """First row of each sequence, and the number of rows at the end.

        *Shape:* (sequences + 1,), int32, as the variable-length kernels want it.
        """
        with outliving():
            lengths = torch.tensor((0, *self.lengths), dtype=torch.int32)
            return lengths.cumsum(0, dtype=torch.int32).to(self.device, non_blocking=True)

    @cached_property
    def positions(self) -> Tensor:
        """Position of each token in its own sequence, from 0.

        *Shape:* (tokens,), int64.
        """
        with outliving():
            positions = torch.cat([torch.arange(length) for length in self.lengths])
            return positions.to(self.device, non_blocking=True)

    @cached_property
    def mask(self) -> Tensor:
        """Which places of the dense form hold a token.

        *Shape:* (sequences, max_length), bool, True = a token is there.
        """
        with outliving():
            return torch.arange(self.max_length, device=self.device) < self.offsets.diff()[:, None]

    @property
    def firsts(self) -> "Packing":
        """The packing of one row per sequence: what is left when only the first tokens are kept."""
        return Packing((1,) * len(self), self.device)

    def lasts(self, marked: Tensor | None = None) -> Tensor:
        """Which row is each sequence's last, or the last of its marked ones where it has any.

        *Shape:* marked (tokens,), bool → (sequences,), int64
        """
        ends = self.offsets[1:].long() - 1
        if marked is None:
            return ends
        rows = torch.arange(len(marked), device=marked.device)
        # The latest marked row so far, at each sequence's end: it may belong to a sequence before.
        latest = torch.where(marked, rows, -1).cummax(0).values.index_select(0, ends)
        return torch.where(latest < self.offsets[:-1], ends, latest)

    def means(self, packed: Tensor) -> Tensor:
        """The mean over each sequence's rows.

        *Shape:* (tokens, …) → (sequences, …)
        """
        lengths = self.offsets.diff()
        sequences = torch.arange(len(self), device=self.device).repeat_interleave(lengths, output_size=self.num_tokens)
        sums = packed.new_zeros(len(self), *packed.shape[1:]).index_add(0, sequences, packed)
        return sums / lengths.view(-1, *[1] * (packed.dim() - 1))

    def select(self, sequences: list[int]) -> tuple["Packing", Tensor]:
        """Some sequences in any order, one perhaps more than once: their packing, and their rows in this one's tensor.

        *Shape:* rows (selected tokens,), int64
        """
        selected = Packing((self.lengths[sequence] for sequence in sequences), self.device)
        firsts = self.offsets[:-1].long()[torch.tensor(sequences).to(self.device, non_blocking=True)]
        counts = selected.offsets.diff()
        return selected, selected.positions + firsts.repeat_interleave(counts, output_size=selected.num_tokens)

    def grouped(self, groups: int) -> "Packing":
        """Neighbouring sequences merged into one, the same number in each group.

        Raises:
            ValueError: The sequences do not divide into so many groups.
        """
        if groups == len(self):
            return self
        size, rest = divmod(len(self), groups)
        if rest:
            raise ValueError(f"{len(self)} sequences do not share {groups} memories evenly")
        sizes = (sum(self.lengths[start : start + size]) for start in range(0, len(self), size))
        return Packing(sizes, self.device)

    def to(self, device: torch.device | str) -> "Packing":
        """The same packing for tensors on `device`."""
        return self if torch.device(device) == self.device else Packing(self.lengths, device)

    def pack(self, dense: Tensor) -> Tensor:
        """Drop the padding.

        *Shape:* (sequences, max_length, …) → (tokens, …)
        """
        if self.is_even:
            return dense.flatten(0, 1)
        return dense[self.mask]

    def unpack(self, packed: Tensor) -> Tensor:
        """Pad with zeros.

        *Shape:* (tokens, …) → (sequences, max_length, …)
        """
        if self.is_even:
            return packed.unflatten(0, (len(self), self.max_length))
        dense = packed.new_zeros(len(self), self.max_length, *packed.shape[1:])
        dense[self.mask] = packed
        return dense
