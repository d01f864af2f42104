"""One block of the transformer: attention, then the feed-forward layer, each with its residual and norm."""

from collections.abc import Callable

from torch import Tensor, nn

from headway.nn.attention.bias import AttentionBias
from headway.nn.cache import LayerStep
from headway.nn.dropout import Dropout
from headway.nn.layers import FeedForward
from headway.nn.multi_head import CrossAttention, SelfAttention
from headway.nn.packing import Packing
from headway.nn.positions import Rotation
from headway.nn.rows import Rows

__all__ = ["Block", "Memory"]

Memory = tuple[Tensor, Packing]
"""What cross-attention reads: the encoder's vectors, one row per token, and where the sequences start in them."""


class Block(nn.Module):
    """Two sublayers, or three with cross-attention, each added to its input.

    Post-norm: norm(x + sublayer(x)) (Vaswani et al. 2017, §3.1). Pre-norm: x + sublayer(norm(x)) (Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745); then the stack needs a norm at its end.
    """

    def __init__(
        self,
        self_attention: SelfAttention,
        cross_attention: CrossAttention | None,
        feed_forward: FeedForward,
        make_norm: Callable[[], nn.Module],
        *,
        pre_norm: bool,
        first_norm: bool,
        attention_dropout: float,
        feed_forward_dropout: float,
    ) -> None:
        """Assemble the sublayers.

        Args:
            self_attention: The first sublayer.
            cross_attention: The second, in a decoder that reads a memory.
            feed_forward: The last.
            make_norm: Makes a norm; each sublayer has one.
            pre_norm: Whether norms come before the sublayers.
            first_norm: Whether self-attention has one at all.
            attention_dropout: Dropout of the attentions' outputs.
            feed_forward_dropout: Dropout of the feed-forward layer's output.
        """
        super().__init__()
        self.pre_norm = pre_norm
        self.self_attention = self_attention
        self.self_attention_norm = make_norm() if first_norm else nn.Identity()
        self.cross_attention = cross_attention
        self.cross_attention_norm = None if cross_attention is None else make_norm()
        self.feed_forward = feed_forward
        self.feed_forward_norm = make_norm()
        self.attention_dropout = Dropout(attention_dropout)
        self.feed_forward_dropout = Dropout(feed_forward_dropout)

    def forward(
        self,
        input: Tensor,
        packing: Packing,
        *,
        rotation: Rotation | None = None,
        bias: AttentionBias | None = None,
        memory: Memory | None = None,
        cache: LayerStep | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model), or (sequences, d_model) with `rows`.

        Args:
            input: One row per token.
            packing: Where the sequences start.
            rotation: Angles by which queries and keys are rotated.
            bias: Added to the scores of self-attention.
            memory: What cross-attention reads; not needed where the cache has it.
            cache: Keys and values of the tokens before these.
            rows: The one row of each sequence that is wanted; of the others only keys and values are computed.
        """
        normed = self._before(self.self_attention_norm, input)
        attended = self.self_attention(normed, packing, rotation=rotation, bias=bias, cache=cache, rows=rows)
        if rows is not None:
            input, packing = rows.take(input), rows.own
        hidden = self._add(self.self_attention_norm, input, self.attention_dropout(attended))
        if self.cross_attention is not None and self.cross_attention_norm is not None:
            normed = self._before(self.cross_attention_norm, hidden)
            attended = self.cross_attention(normed, packing, *self._memory(self.cross_attention, memory, cache))
            hidden = self._add(self.cross_attention_norm, hidden, self.attention_dropout(attended))
        fed = self.feed_forward(self._before(self.feed_forward_norm, hidden))
        return self._add(self.feed_forward_norm, hidden, self.feed_forward_dropout(fed))

    @staticmethod
    def _memory(
        attention: CrossAttention, memory: Memory | None, cache: LayerStep | None
    ) -> tuple[tuple[Tensor, Tensor], Packing]:
        """The memory's keys and values, from the cache where it has them, and where its sequences start."""
        if cache is not None and cache[0].memory is not None and cache[1].memory_packing is not None:
            return cache[0].memory, cache[1].memory_packing
        assert memory is not None, "this block reads a memory"
        vectors, packing = memory
        key_value = attention.keys_and_values(vectors)
        if cache is not None:
            cache[0].memory = key_value
        return key_value, packing

    def _before(self, norm: nn.Module, input: Tensor) -> Tensor:
        return norm(input) if self.pre_norm else input

    def _add(self, norm: nn.Module, residual: Tensor, output: Tensor) -> Tensor:
        return residual + output if self.pre_norm else norm(residual + output)
