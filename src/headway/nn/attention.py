"""Attention over packed sequences: the formula, and the kernels that are held against it.

    attention(Q, K, V) = softmax(Q·Kᵀ / √d_k)·V          (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1)

The division by √d_k is what keeps the softmax alive: a score is a sum of d_k products, so with queries and keys of unit
variance its variance is d_k; undivided (or worse, multiplied), one weight nears 1, the others 0, and the gradient dies.

`attention` is the one entrance. It picks the kernel:

==============================  ===================================================================================
processor, inference            `scaled_dot_product_attention` over blocks of sequences of equal length
processor, training             the formula with its gradient written out, over blocks of nearly equal length (with
                                attention dropout, PyTorch's fast kernel is not available on a processor)
CUDA, half precision            `torch.nn.attention.varlen`, where neither attention dropout nor a bias is asked for
everything else                 the dense masked form, which is also what export uses
==============================  ===================================================================================
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.nn.buckets import Buckets, Run, bucket, equal_runs
from headway.nn.cache import LayerCache
from headway.nn.dropout import dropout, keep_mask, survivor_scale
from headway.nn.linear import Linear
from headway.nn.packing import Packing
from headway.nn.positions import Rotation, rotate
from headway.nn.sight import EVERYWHERE, Sight

__all__ = ["CrossAttention", "SelfAttention", "attention", "dense_attention", "formula"]

SHORT = 4
"""Up to so many head widths of keys a sequence is short: its weights take less memory than its other activations."""


def formula(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout_probability: float = 0.0
) -> Tensor:
    """The formula, written to be read: softmax(Q·Kᵀ / √d_k)·V.

    *Shape:* query (…, query_len, head_dim), key and value (…, key_len, head_dim), mask (…, query_len, key_len) with
    True = attend → (…, query_len, head_dim)
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = dropout(scores.softmax(-1), dropout_probability)
    return weights @ value


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Packing,
    keys: Packing,
    *,
    sight: Sight = EVERYWHERE,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout_probability: float = 0.0,
) -> Tensor:
    """Each sequence's queries attend to the keys of the same sequence.

    *Shape:* query (query tokens, heads, head_dim), key and value (key tokens, heads, head_dim) → as query

    Args:
        query: What is looked for, one row a query token.
        key: What it is compared with, one row a key token.
        value: What is taken, one row a key token.
        queries: Where the sequences start in `query`.
        keys: Where they start in `key` and `value`; as many sequences as `queries`.
        sight: Which keys each query sees. If not all, `queries` equals `keys`.
        bias: Added to every sequence's scores. *Shape:* (heads, longest query, longest key)
        scale: What Q·Kᵀ is multiplied by; 1/√d_k when none.
        dropout_probability: Share of attention weights set to zero; 0 outside training.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if sight.sees_all(queries.max_length, keys.max_length):
        sight = EVERYWHERE
    if query.device.type == "cpu" and query.dtype == torch.float32:
        inputs = (query, key, value) if bias is None else (query, key, value, bias)
        if dropout_probability or (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)):
            buckets = bucket(queries, keys, query.shape[1], sight)
            return _BlockAttention.apply(query, key, value, bias, buckets, scale, dropout_probability)
        return _inference_attention(query, key, value, equal_runs(queries, keys), sight, bias, scale)
    half = query.dtype in (torch.float16, torch.bfloat16)
    if query.device.type == "cuda" and half and dropout_probability == 0 and bias is None:
        return _varlen_attention(query, key, value, queries, keys, sight, scale)
    mask = keys.mask[:, None]
    if sight is not EVERYWHERE:
        mask = mask & sight.mask(queries.max_length, keys.max_length, keys.device)
    padded = (queries.unpack(query), keys.unpack(key), keys.unpack(value))
    return queries.pack(dense_attention(*padded, mask, bias, scale=scale, dropout_probability=dropout_probability))


def dense_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    bias: Tensor | None = None,
    *,
    scale: float | None = None,
    dropout_probability: float = 0.0,
) -> Tensor:
    """The padded form, for devices without a packed kernel and for export.

    *Shape:* query (batch, query_len, heads, head_dim), key and value (batch, key_len, heads, head_dim), mask
    (batch, query_len or 1, key_len) with True = attend, bias (heads, query_len, key_len) → as query
    """
    mask = mask[:, None]
    if bias is not None:
        mask = torch.where(mask, bias.to(query.dtype), torch.finfo(query.dtype).min)
    attended = functional.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=mask,
        dropout_p=dropout_probability,
        scale=scale,
    )
    return attended.transpose(1, 2)


def _varlen_attention(
    query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing, sight: Sight, scale: float
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    window = -1 if sight.window is None else sight.window
    attended = varlen_attn(
        query,
        key,
        value,
        queries.offsets,
        keys.offsets,
        queries.max_length,
        keys.max_length,
        scale=scale,
        window_size=(window, 0 if sight.causal else window),
    )
    assert isinstance(attended, Tensor)
    return attended


def _inference_attention(
    query: Tensor, key: Tensor, value: Tensor, runs: list[Run], sight: Sight, bias: Tensor | None, scale: float
) -> Tensor:
    query_rows = query.split([run.num_sequences * run.query_length for run in runs])
    key_rows, value_rows = (rows.split([run.num_sequences * run.key_length for run in runs]) for rows in (key, value))
    attended = []
    for run, *blocks in zip(runs, query_rows, key_rows, value_rows, strict=True):
        q, k, v = (block.unflatten(0, (run.num_sequences, -1)).transpose(1, 2) for block in blocks)
        if sight.sees_all(run.query_length, run.key_length) and bias is None:
            block = functional.scaled_dot_product_attention(q, k, v, scale=scale)
        else:
            block = _in_sight(q, k, v, sight, bias, scale)
        attended.append(block.transpose(1, 2).reshape(-1, *query.shape[1:]))
    return torch.cat(attended)


def _in_sight(query: Tensor, key: Tensor, value: Tensor, sight: Sight, bias: Tensor | None, scale: float) -> Tensor:
    """Attention where a rule or a bias applies, some rows at a time: no row is multiplied with keys out of its window.

    *Shape:* three of (sequences, heads, length, head_dim) → the same
    """
    length, num_keys = query.shape[2], key.shape[2]
    reach = num_keys if sight.window is None else sight.window
    step = max(2 * reach, 64)
    attended = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(0, start - reach), min(num_keys, stop if sight.causal else stop + reach)
        mask = None
        if sight is not EVERYWHERE:
            mask = sight.mask(stop - start, last - first, query.device, offset=start - first)
        if bias is not None:
            part = bias[:, start:stop, first:last]
            mask = part if mask is None else part.masked_fill(~mask, -math.inf)
        rows = (query[:, :, start:stop], key[:, :, first:last], value[:, :, first:last])
        attended.append(functional.scaled_dot_product_attention(*rows, attn_mask=mask, scale=scale))
    return torch.cat(attended, 2)


class _BlockAttention(torch.autograd.Function):
    """The formula and its gradient on a processor, block by block, in few and in-place steps.

    With s the scale, S = s·Q·Kᵀ + B the scores, P the softmax's weights, M the dropout mask and c its survivors' scale,
    O = c·(P∘M)·V. Given dO:

        dV = (P∘M)ᵀ·c·dO,   dP = M∘(c·dO·Vᵀ),   dS = P∘(dP − rowsum(dP∘P)),   dQ = s·dS·K,   dK = s·dSᵀ·Q

    and dB is the sum of dS over all sequences.

    Short sequences keep P for the backward pass, long ones compute it again: memory stays linear in the length but for
    the mask, which takes one byte a weight.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        buckets: Buckets,
        scale: float,
        dropout_probability: float,
    ) -> Tensor:
        queries, keys = buckets.queries, buckets.keys
        query, key, value = queries.fill(query), keys.fill(key), keys.fill(value)
        output = queries.empty(query.shape[-1])
        keeps = _keep_masks(buckets, dropout_probability)
        blocks = (queries.split(query), keys.split(key), keys.split(value), queries.split(output))
        all_weights = list[Tensor | None]()
        for q, k, v, out, mask, keep in zip(*blocks, buckets.masks, keeps, strict=True):
            weights = _weights(q, k, mask, bias, scale, queries.num_heads)
            all_weights.append(weights if k.shape[1] <= SHORT * k.shape[2] else None)
            torch.bmm(weights if keep is None else weights * keep, v, out=out)
        ctx.save_for_backward(query, key, value, bias, *all_weights)
        ctx.buckets, ctx.keeps, ctx.scale, ctx.survivor_scale = (
            buckets,
            keeps,
            scale,
            survivor_scale(dropout_probability),
        )
        output = queries.take(output)
        return output.mul_(ctx.survivor_scale) if dropout_probability else output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        buckets: Buckets = ctx.buckets
        queries, keys = buckets.queries, buckets.keys
        query, key, value, bias, *all_weights = ctx.saved_tensors
        head_dim = query.shape[-1]
        grad_query, grad_key, grad_value = queries.empty(head_dim), keys.empty(head_dim), keys.empty(head_dim)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        # Every gradient is linear in c·dO, and Q·Kᵀ enters scaled: both are applied once, to whole tensors.
        grad_output = queries.fill_zeros(grads[0] * ctx.survivor_scale)
        by_query = [queries.split(tensor) for tensor in (query, grad_output, grad_query)]
        by_key = [keys.split(tensor) for tensor in (key, value, grad_key, grad_value)]
        blocks = zip(*by_query, *by_key, buckets.masks, ctx.keeps, all_weights, strict=True)
        for q, d_out, d_query, k, v, d_key, d_value, mask, keep, weights in blocks:
            if weights is None:
                weights = _weights(q, k, mask, bias, ctx.scale, queries.num_heads)
            d_weights = torch.bmm(d_out, v.transpose(1, 2))
            kept = weights
            if keep is not None:
                d_weights.mul_(keep)
                kept = weights * keep
            torch.bmm(kept.transpose(1, 2), d_out, out=d_value)
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            torch.bmm(d_scores, k, out=d_query)
            torch.bmm(d_scores.transpose(1, 2), q, out=d_key)
            if grad_bias is not None:
                by_head = d_scores.unflatten(0, (-1, queries.num_heads))
                grad_bias[:, : q.shape[1], : k.shape[1]] += by_head.sum(0)
        return (
            queries.take(grad_query).mul_(ctx.scale),
            keys.take(grad_key).mul_(ctx.scale),
            keys.take(grad_value),
            grad_bias,
            None,
            None,
            None,
        )


def _weights(
    query: Tensor, key: Tensor, mask: Tensor | None, bias: Tensor | None, scale: float, num_heads: int
) -> Tensor:
    """softmax(scale·Q·Kᵀ + bias), over the keys that the mask leaves.

    *Shape:* query (matrices, query_len, head_dim), key (matrices, key_len, head_dim) → (matrices, query_len, key_len)
    """
    scores = torch.baddbmm(query.new_empty(()), query, key.transpose(1, 2), beta=0, alpha=scale)
    by_head = scores.unflatten(0, (-1, num_heads))
    if bias is not None:
        by_head.add_(bias[:, : query.shape[1], : key.shape[1]])
    if mask is not None:
        by_head.add_(mask)
    return scores.softmax(-1)


def _keep_masks(buckets: Buckets, dropout_probability: float) -> list[Tensor] | list[None]:
    """A dropout mask for the weights of each block, drawn all at once; none without dropout."""
    if dropout_probability == 0:
        return [None] * len(buckets.runs)
    num_heads = buckets.keys.num_heads
    shapes = [(run.num_sequences * num_heads, run.query_length, run.key_length) for run in buckets.runs]
    sizes = [math.prod(shape) for shape in shapes]
    masks = keep_mask((sum(sizes),), dropout_probability).split(sizes)
    return [mask.view(shape) for mask, shape in zip(masks, shapes, strict=True)]


class SelfAttention(nn.Module):
    """Multi-head self-attention: every token of a sequence looks at the others, all or those in its sight.

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
        sight: Sight = EVERYWHERE,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        width = num_heads * _head_dim(d_model, num_heads, head_dim)
        self.num_heads = num_heads
        self.sight = sight
        self.scale = scale
        self.dropout = dropout
        self.query_key_value = Linear(d_model, 3 * width, bias)
        self.output = Linear(width, d_model, bias if output_bias is None else output_bias)

    def forward(
        self,
        input: Tensor,
        packing: Packing,
        *,
        rotation: Rotation | None = None,
        bias: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model).

        Args:
            input: One row a token.
            packing: Where the sequences start.
            rotation: Angles that queries and keys are turned by.
            bias: Added to the scores. *Shape:* (heads, longest sequence, longest sequence)
            cache: Keys and values of the tokens before these; those of these are added to it.
        """
        query, key, value = self.query_key_value(input).unflatten(-1, (3, self.num_heads, -1)).unbind(1)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        if cache is not None:
            attended = cache.attend(query, key, value, packing, self.sight, bias, self.scale)
            return self.output(attended.flatten(1))
        return self._attend(query, key, value, packing, packing, bias)

    def forward_firsts(self, input: Tensor, packing: Packing, *, rotation: Rotation | None = None) -> Tensor:
        """The rows of `forward` that belong to first tokens, without computing the others' queries and outputs.

        *Shape:* (tokens, d_model) → (sequences, d_model)
        """
        if self.sight is not EVERYWHERE:
            # Rows that are cut out no longer show how far they stood from the others.
            return packing.first_rows(self(input, packing, rotation=rotation))
        width = self.output.in_features
        heads = (self.num_heads, -1)
        query = self.query_key_value.forward_slice(packing.first_rows(input), 0, width).unflatten(-1, heads)
        key_value = self.query_key_value.forward_slice(input, width, 3 * width)
        key, value = key_value.unflatten(-1, (2, *heads)).unbind(1)
        if rotation is not None:
            key = rotate(key, rotation)  # the first token stands at 0: its query is not turned
        return self._attend(query, key, value, packing.firsts, packing, None)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing, bias: Tensor | None
    ) -> Tensor:
        probability = self.dropout if self.training else 0.0
        attended = attention(
            query,
            key,
            value,
            queries,
            keys,
            sight=self.sight,
            bias=bias,
            scale=self.scale,
            dropout_probability=probability,
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
        self.query = Linear(d_model, width, bias)
        self.key_value = Linear(memory_width, 2 * width, bias)
        self.output = Linear(width, d_model, bias if output_bias is None else output_bias)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """What queries meet: computed once, however many tokens are written.

        *Shape:* (memory tokens, memory_width) → two of (memory tokens, heads, head_dim)
        """
        key, value = self.key_value(memory).unflatten(-1, (2, self.num_heads, -1)).unbind(1)
        return key, value

    def forward(
        self, input: Tensor, packing: Packing, key_value: tuple[Tensor, Tensor], memory_packing: Packing
    ) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model); key_value as `keys_and_values` gives them."""
        query = self.query(input).unflatten(-1, (self.num_heads, -1))
        probability = self.dropout if self.training else 0.0
        key, value = key_value
        attended = attention(
            query, key, value, packing, memory_packing, scale=self.scale, dropout_probability=probability
        )
        return self.output(attended.flatten(1))


def _head_dim(d_model: int, num_heads: int, head_dim: int | None) -> int:
    if head_dim is not None:
        return head_dim
    if d_model % num_heads:
        raise ValueError(f"d_model {d_model} does not divide into {num_heads} heads")
    return d_model // num_heads
