"""A bias on attention's scores, which all layers of a stack add."""

import torch
from torch import Tensor

from headway.nn.attention.blocks import BlockLayout, EqualRun

__all__ = ["AttentionBias", "bias_part"]


class AttentionBias:
    """A bias added to every sequence's scores, and its parts for the blocks of one batch."""

    def __init__(self, scores: Tensor) -> None:
        """Wrap the values.

        *Shape:* (heads, longest query, longest key), or with sequences before the heads where each has its own.
        """
        self.scores = scores if scores.dim() == 4 else scores[None]
        """*Shape:* (sequences or 1, heads, longest query, longest key)"""
        self._by_block: dict[tuple[BlockLayout, torch.dtype], list[Tensor]] = {}

    def by_block(self, layout: BlockLayout, dtype: torch.dtype) -> list[Tensor]:
        """Each block's part, with its mask: made once, for all layers and their gradients.

        *Shape:* (num_sequences or 1, heads, query_length, key_length) per block
        """
        if (layout, dtype) not in self._by_block:
            scores, blocks = self.scores.to(dtype), list[Tensor]()
            for run, own, mask in zip(layout.runs, layout.members, layout.masks_in(dtype), strict=True):
                block = bias_part(scores, own, run)
                blocks.append(block if mask is None else block + mask)
            self._by_block[layout, dtype] = blocks
        return self._by_block[layout, dtype]


def bias_part(scores: Tensor, sequences: list[int], run: EqualRun) -> Tensor:
    """What is added to the scores of some sequences that share a block.

    *Shape:* scores (all sequences or 1, heads, longest query, longest key) → (sequences or 1, heads, queries, keys)
    """
    part = scores[..., : run.query_length, : run.key_length]
    return part if len(scores) == 1 else part[sequences]
