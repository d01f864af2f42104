"""Keys and values of the tokens that are written already: each new token costs only itself."""

import torch
from torch import Tensor
from torch.nn import functional

from headway.nn.attention import fused_kernels
from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.pattern import AttentionPattern
from headway.nn.packing import Packing

__all__ = ["Cache", "LayerCache"]

_FIRST_ROOM = 32


class LayerCache:
    """One layer's keys and values, a row of each a token.

    They lie in one block, (sequences, heads, room, head_dim), whose room doubles when it is full.
    """

    def __init__(self, num_sequences: int) -> None:
        self.lengths = (0,) * num_sequences
        """Tokens of each sequence so far."""
        self.memory: tuple[Tensor, Tensor] | None = None
        """The cross-attention's keys and values, which no new token changes."""
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        packing: Packing,
        pattern: AttentionPattern,
        bias: AttentionBias | None,
        scale: float | None,
    ) -> Tensor:
        """Add the new tokens, and let their queries attend to all tokens of their sequences so far.

        *Shape:* three of (tokens, heads, head_dim) → the same

        Args:
            query: Of the new tokens.
            key: Of the new tokens.
            value: Of the new tokens.
            packing: How many new tokens each sequence has.
            pattern: Which keys each query sees.
            bias: Added to the scores of the new tokens with all; then all sequences are equally long.
            scale: As in `attention`.
        """
        before = self.lengths
        keys, values = self._extend(key, value, packing)
        block = packing.unpack(query).transpose(1, 2)
        if len(set(before)) == 1 and len(set(packing.lengths)) == 1:
            mask = None
            if not pattern.sees_all(block.shape[2], keys.shape[2]):
                mask = pattern.mask(block.shape[2], keys.shape[2], query.device, offset=before[0])
        else:
            masks = [pattern.mask(block.shape[2], keys.shape[2], query.device, offset=start) for start in before]
            there = (
                torch.arange(keys.shape[2], device=query.device)
                < torch.tensor(self.lengths, device=query.device)[:, None]
            )
            mask = (torch.stack(masks) & there[:, None])[:, None]
        if bias is not None:
            scores = bias.scores
            mask = scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        with fused_kernels(query.device):
            attended = functional.scaled_dot_product_attention(block, keys, values, attn_mask=mask, scale=scale)
        return packing.pack(attended.transpose(1, 2))

    def select(self, rows: Tensor) -> None:
        """Keep these sequences, in this order; one may be kept more than once. *Shape:* rows (kept,)."""
        self.lengths = tuple(self.lengths[row] for row in rows.tolist())
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys.index_select(0, rows), self._values.index_select(0, rows)

    def _extend(self, key: Tensor, value: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        before = torch.tensor(self.lengths, device=key.device)
        self.lengths = tuple(old + new for old, new in zip(self.lengths, packing.lengths, strict=True))
        longest = max(self.lengths)
        self._keys, self._values = (
            self._with_room(self._keys, key, longest),
            self._with_room(self._values, value, longest),
        )
        counts = torch.tensor(packing.lengths, device=key.device)
        sequences = torch.arange(len(packing), device=key.device).repeat_interleave(counts)
        places = packing.positions + before.repeat_interleave(counts)
        self._keys[sequences, :, places] = key
        self._values[sequences, :, places] = value
        return self._keys[:, :, :longest], self._values[:, :, :longest]

    def _with_room(self, block: Tensor | None, rows: Tensor, wanted: int) -> Tensor:
        if block is not None and block.shape[2] >= wanted:
            return block
        room = max(_FIRST_ROOM, wanted if block is None else max(wanted, 2 * block.shape[2]))
        larger = rows.new_zeros(len(self.lengths), rows.shape[1], room, rows.shape[2])
        if block is not None:
            larger[:, :, : block.shape[2]] = block
        return larger


class Cache:
    """A decoder's cache: one `LayerCache` a layer."""

    def __init__(self, num_layers: int, num_sequences: int) -> None:
        self.layers = [LayerCache(num_sequences) for _ in range(num_layers)]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sequence so far."""
        return self.layers[0].lengths

    def select(self, rows: Tensor) -> None:
        """Keep these sequences, in this order, in every layer: beams that are followed, sentences that go on."""
        for layer in self.layers:
            layer.select(rows)
