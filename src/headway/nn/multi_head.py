"""Multi-head attention: the projections around the formula, for a sequence's own tokens and for another's."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from headway.nn.attention import attention
from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.formula import attention_weights
from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.cache import LayerStep
from headway.nn.linear import Linear
from headway.nn.packing import Packing
from headway.nn.positions import Rotation, rotate
from headway.nn.rows import Rows

__all__ = ["CrossAttention", "SelfAttention", "record_weights"]


class SelfAttention(nn.Module):
    """Multi-head self-attention: every token of a sequence attends to the others, all or those that its pattern allows.

    Query, key and value projections are one matrix, so that the tokens are read once.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        head_dim: int | None = None,
        bias: bool = True,
        output_bias: bool | None = None,
        pattern: AttentionPattern = EVERYWHERE,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = num_heads * _head_dim(d_model, num_heads, head_dim)
        self.num_heads = num_heads
        self.pattern = pattern
        self.scale = scale
        self.dropout = dropout
        self.recorder: list[list[Tensor]] | None = None
        """Where `record_weights` collects the weights."""
        self.query_key_value = Linear(d_model, 3 * width, bias)
        self.output = Linear(width, d_model, bias if output_bias is None else output_bias)

    def forward(
        self,
        input: Tensor,
        packing: Packing,
        *,
        rotation: Rotation | None = None,
        bias: AttentionBias | None = None,
        cache: LayerStep | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model), or (sequences, d_model) with `rows`.

        Args:
            input: One row per token.
            packing: Where the sequences start.
            rotation: Angles that queries and keys are turned by.
            bias: Added to the scores; with `rows`, to those of the chosen queries with the keys that they see.
            cache: Keys and values of the tokens before these; those of these are added to it.
            rows: The one row of each sequence that is wanted: the others get no query and no output.
        """
        if rows is not None:
            return self._forward_rows(input, rows, rotation, bias, cache)
        query, key, value = self.query_key_value(input).unflatten(-1, (3, self.num_heads, -1)).unbind(1)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        if cache is None:
            return self._attend(query, key, value, packing, packing, self.pattern, bias)
        layer, step = cache
        attended = layer.attend(query, key, value, step, self.pattern, bias=bias, scale=self.scale)
        return self.output(attended.flatten(1))

    def _forward_rows(
        self,
        input: Tensor,
        rows: Rows,
        rotation: Rotation | None,
        bias: AttentionBias | None,
        cache: LayerStep | None,
    ) -> Tensor:
        # A cache keeps all keys, for later queries.
        seen = rows.keys(self.pattern if cache is None else EVERYWHERE)
        width, heads = self.output.in_features, (self.num_heads, -1)
        query = self.query_key_value.forward_slice(rows.take(input), 0, width).unflatten(-1, heads)
        key_value = self.query_key_value.forward_slice(seen.take(input), width, 3 * width)
        key, value = key_value.unflatten(-1, (2, *heads)).unbind(1)
        if rotation is not None:
            cosine, sine = rotation
            query = rotate(query, (rows.take(cosine), rows.take(sine)))
            key = rotate(key, (seen.take(cosine), seen.take(sine)))
        if cache is None:
            return self._attend(query, key, value, rows.own, seen.packing, EVERYWHERE, bias)
        layer, step = cache
        attended = layer.attend(query, key, value, step, self.pattern, rows=rows, bias=bias, scale=self.scale)
        return self.output(attended.flatten(1))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        queries: Packing,
        keys: Packing,
        pattern: AttentionPattern,
        bias: AttentionBias | None,
    ) -> Tensor:
        if self.recorder is not None:
            weights = attention_weights(query, key, queries, keys, pattern=pattern, bias=bias, scale=self.scale)
            self.recorder.append(weights)
        attended = attention(
            query,
            key,
            value,
            queries,
            keys,
            pattern=pattern,
            bias=bias,
            scale=self.scale,
            dropout_probability=self.dropout if self.training else 0.0,
        )
        return self.output(attended.flatten(1))


class CrossAttention(nn.Module):
    """Multi-head attention of one sequence's tokens to those of another: the encoder's, which are called the memory."""

    def __init__(
        self,
        d_model: int,
        memory_width: int,
        num_heads: int,
        *,
        head_dim: int | None = None,
        bias: bool = True,
        output_bias: bool | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = num_heads * _head_dim(d_model, num_heads, head_dim)
        self.num_heads = num_heads
        self.scale = scale
        self.dropout = dropout
        self.recorder: list[list[Tensor]] | None = None
        """Where `record_weights` collects the weights."""
        self.query = Linear(d_model, width, bias)
        self.key_value = Linear(memory_width, 2 * width, bias)
        self.output = Linear(width, d_model, bias if output_bias is None else output_bias)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The memory's keys and values: computed once, however many tokens are generated.

        *Shape:* (memory tokens, memory_width) → two of (memory tokens, heads, head_dim)
        """
        key, value = self.key_value(memory).unflatten(-1, (2, self.num_heads, -1)).unbind(1)
        return key, value

    def forward(
        self, input: Tensor, packing: Packing, key_value: tuple[Tensor, Tensor], memory_packing: Packing
    ) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model).

        Args:
            input: One row per token.
            packing: Where the sequences start. They may be several times as many as the memory's: neighbours share one.
            key_value: The memory's, as `keys_and_values` gives them.
            memory_packing: Where the memory's sequences start.
        """
        query = self.query(input).unflatten(-1, (self.num_heads, -1))
        probability = self.dropout if self.training else 0.0
        key, value = key_value
        queries = packing.grouped(len(memory_packing))
        if self.recorder is not None:
            weights = attention_weights(query, key, queries, memory_packing, scale=self.scale)
            self.recorder.append(weights)
        attended = attention(
            query, key, value, queries, memory_packing, scale=self.scale, dropout_probability=probability
        )
        return self.output(attended.flatten(1))


@contextmanager
def record_weights(layer: SelfAttention | CrossAttention) -> Iterator[list[list[Tensor]]]:
    """Record a layer's attention weights: for each of its calls, (heads, query_len, key_len) per sequence.

    The formula computes them again, without dropout. Self-attention with a cache is not recorded. The last block of
    a model that reads one row has only that row's weights, over the keys that it sees.
    """
    layer.recorder = []
    try:
        yield layer.recorder
    finally:
        layer.recorder = None


def _head_dim(d_model: int, num_heads: int, head_dim: int | None) -> int:
    if head_dim is not None:
        return head_dim
    if d_model % num_heads:
        raise ValueError(f"d_model {d_model} is not divisible by {num_heads} heads")
    return d_model // num_heads
