"""Keys and values of the tokens generated so far: each new token costs only itself."""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from headway.nn.attention import AttentionBias, AttentionPattern, fused_kernels
from headway.nn.packing import Packing
from headway.nn.rows import Rows

__all__ = ["Cache", "LayerCache", "LayerStep", "Step"]

_FIRST_ROOM = 32

KeysAndValues = tuple[Tensor, Tensor]


class Step:
    """Positions of the new tokens of one call; computed once for all layers."""

    def __init__(self, before: tuple[int, ...], packing: Packing, memory_packing: Packing | None) -> None:
        """Place the new tokens after the cached ones.

        Args:
            before: Cached tokens of each sequence.
            packing: Its new ones.
            memory_packing: Where the sources start that cross-attention reads, if any.
        """
        self.before, self.packing, self.memory_packing = before, packing, memory_packing
        self.lengths = tuple(old + new for old, new in zip(before, packing.lengths, strict=True))
        """Tokens of each sequence, old and new."""
        self.longest = max(self.lengths)
        counts, total = packing.offsets.diff(), packing.num_tokens
        self._starts = torch.tensor(before, device=packing.device)
        self.sequences = torch.arange(len(packing), device=packing.device).repeat_interleave(counts, output_size=total)
        """Which sequence each new token belongs to. *Shape:* (tokens,)"""
        self.positions = packing.positions + self._starts.repeat_interleave(counts, output_size=total)
        """Position of each new token in its sequence. *Shape:* (tokens,)"""
        self._masks: dict[tuple[AttentionPattern, Rows | None], Tensor | None] = {}

    @cached_property
    def keys(self) -> Tensor:
        """Positions of all keys. *Shape:* (1, longest)."""
        return torch.arange(self.longest, device=self.packing.device)[None]

    def query_positions(self, rows: Rows | None) -> Tensor:
        """Positions of the queries: of all new tokens, or of chosen ones. *Shape:* (sequences or 1, queries)."""
        places = torch.arange(self.packing.max_length, device=self.packing.device)[None]
        positions = self._starts[:, None] + (places if rows is None else rows.places[:, None])
        return positions[:1] if self._alike(rows) else positions

    def mask(self, pattern: AttentionPattern, rows: Rows | None) -> Tensor | None:
        """Which keys each query sees; none: all of them.

        *Shape:* (sequences or 1, 1, queries, longest), bool, True = attend
        """
        if (pattern, rows) not in self._masks:
            self._masks[pattern, rows] = self._mask(pattern, rows)
        return self._masks[pattern, rows]

    def _mask(self, pattern: AttentionPattern, rows: Rows | None) -> Tensor | None:
        if self._alike(rows):
            first, last = self.before[0], self.longest - 1
            if rows is not None:
                first = last = first + rows.positions[0]
            if pattern.span(first, self.longest)[1] == self.longest and pattern.span(last, self.longest)[0] == 0:
                return None
        visible = pattern.visible(self.keys[:, None] - self.query_positions(rows)[..., None])
        if not self._alike(rows):
            lengths = torch.tensor(self.lengths, device=self.packing.device)
            visible = visible & (self.keys < lengths[:, None])[:, None]
        return visible[:, None]

    def _alike(self, rows: Rows | None) -> bool:
        """Whether the queries of all sequences have the same positions and as many keys."""
        places = () if rows is None else rows.positions
        return len(set(self.before)) == 1 and len(set(self.packing.lengths)) == 1 and len(set(places)) <= 1


class LayerCache:
    """One layer's keys and values, a row of each per token.

    They are stored in one block, (sequences, heads, capacity, head_dim), whose capacity doubles when it is full.
    """

    def __init__(self) -> None:
        self.memory: KeysAndValues | None = None
        """The cross-attention's keys and values, which no new token changes."""
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        step: Step,
        pattern: AttentionPattern,
        *,
        rows: Rows | None = None,
        bias: AttentionBias | None = None,
        scale: float | None = None,
    ) -> Tensor:
        """Add the new tokens, and let their queries attend to all tokens of their sequences so far.

        *Shape:* key and value (tokens, heads, head_dim), query the same or, with `rows`, (sequences, heads, head_dim) →
        as query

        Args:
            query: Of the new tokens, or of chosen ones.
            key: Of the new tokens.
            value: Of the new tokens.
            step: Positions of the new tokens.
            pattern: Which keys each query sees.
            rows: The new token of each sequence that has a query; all have when none.
            bias: Added to the scores, for the queries at `Step.query_positions` and all keys.
            scale: As in `attention`.
        """
        keys, values = self._extend(key, value, step)
        queries = step.packing if rows is None else rows.own
        block = queries.unpack(query).transpose(1, 2)
        mask = step.mask(pattern, rows)
        if bias is not None:
            scores = bias.scores
            mask = scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        with fused_kernels(query.device):
            attended = functional.scaled_dot_product_attention(block, keys, values, attn_mask=mask, scale=scale)
        return queries.pack(attended.transpose(1, 2))

    def select(self, rows: Tensor) -> None:
        """Keep these sequences, in this order; one may be kept more than once. *Shape:* rows (kept,)."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys.index_select(0, rows), self._values.index_select(0, rows)

    def select_memory(self, rows: Tensor) -> None:
        """Keep these rows of the memory's keys and values. *Shape:* rows (kept memory tokens,)."""
        if self.memory is not None:
            keys, values = self.memory
            self.memory = (keys.index_select(0, rows), values.index_select(0, rows))

    def _extend(self, key: Tensor, value: Tensor, step: Step) -> KeysAndValues:
        self._keys = self._with_room(self._keys, key, step)
        self._values = self._with_room(self._values, value, step)
        self._keys[step.sequences, :, step.positions] = key
        self._values[step.sequences, :, step.positions] = value
        return self._keys[:, :, : step.longest], self._values[:, :, : step.longest]

    @staticmethod
    def _with_room(block: Tensor | None, rows: Tensor, step: Step) -> Tensor:
        if block is not None and block.shape[2] >= step.longest:
            return block
        room = max(_FIRST_ROOM, step.longest if block is None else max(step.longest, 2 * block.shape[2]))
        larger = rows.new_zeros(len(step.lengths), rows.shape[1], room, rows.shape[2])
        if block is not None:
            larger[:, :, : block.shape[2]] = block
        return larger


LayerStep = tuple[LayerCache, Step]
"""What one layer needs of the cache in one call."""


class Cache:
    """A decoder's cache: one `LayerCache` per layer, and where the memory's sources start.

    The memory is read at the first step and kept. Several sequences in a row may share a source, as beams do: their
    number is then a multiple of the sources'.
    """

    def __init__(self, num_layers: int, num_sequences: int) -> None:
        self.layers = [LayerCache() for _ in range(num_layers)]
        self.lengths = (0,) * num_sequences
        """Tokens of each sequence so far."""
        self.memory_packing: Packing | None = None
        """Where the sources start in each layer's memory; none before the first step, or without a memory."""

    def begin(self, packing: Packing, memory_packing: Packing | None) -> Step:
        """Register the new tokens, which every layer then adds.

        Args:
            packing: The new tokens of each sequence.
            memory_packing: Where the sources start; ignored once the cache has a memory.
        """
        self.memory_packing = self.memory_packing or memory_packing
        step = Step(self.lengths, packing, self.memory_packing)
        self.lengths = step.lengths
        return step

    def select(self, rows: Tensor) -> None:
        """Keep these sequences, in this order, in every layer: beams that are followed, sequences that continue.

        Their sources follow. As long as the sequences of a source stay together and whole, it is kept once.

        *Shape:* rows (kept,), int64
        """
        order = rows.tolist()
        for layer in self.layers:
            layer.select(rows)
        if self.memory_packing is not None:
            self._select_memory(self.memory_packing, order)
        self.lengths = tuple(self.lengths[row] for row in order)

    def _select_memory(self, packing: Packing, order: list[int]) -> None:
        size = len(self.lengths) // len(packing)
        sources = [row // size for row in order]
        together = len(order) % size == 0 and all(
            source == sources[place - place % size] for place, source in enumerate(sources)
        )
        kept = sources[::size] if together else sources
        if kept == list(range(len(packing))):
            return
        self.memory_packing, rows = packing.select(kept)
        for layer in self.layers:
            layer.select_memory(rows)
