"""A bias on attention's scores, which all layers of a stack add."""

import torch
from torch import Tensor

from headway.nn.attention.blocks import BlockLayout, masks_in

__all__ = ["AttentionBias"]


class AttentionBias:
    """Numbers that are added to every sequence's scores, and what the blocks of one batch have made of them."""

    def __init__(self, scores: Tensor) -> None:
        """Take the numbers. *Shape:* (heads, longest query, longest key)."""
        self.scores = scores
        self._by_block: dict[tuple[BlockLayout, torch.dtype], list[Tensor]] = {}

    def by_block(self, layout: BlockLayout, dtype: torch.dtype) -> list[Tensor]:
        """Each block's part, with its mask: made once, for all layers that ask and for all their gradients.

        *Shape:* (num_sequences or 1, heads, query_length, key_length) a block
        """
        if (layout, dtype) not in self._by_block:
            scores, blocks = self.scores.to(dtype)[None], list[Tensor]()
            for run, mask in zip(layout.runs, masks_in(layout, dtype), strict=True):
                block = scores[..., : run.query_length, : run.key_length]
                blocks.append(block if mask is None else block + mask)
            self._by_block[layout, dtype] = blocks
        return self._by_block[layout, dtype]
