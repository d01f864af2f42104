"""Attention over packed sequences: the formula, and the kernels that are held against it.

    attention(Q, K, V) = softmax(Q·Kᵀ / √d_k)·V          (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1)

The division by √d_k is what keeps the softmax alive: a score is a sum of d_k products, so with queries and keys of unit
variance its variance is d_k; undivided (or worse, multiplied), one weight nears 1, the others 0, and the gradient dies.

`attention` is the one entrance. It picks the kernel:

==============================  ===================================================================================
processor, inference            `scaled_dot_product_attention` over blocks of sequences of equal length
processor, training             the formula with its gradient written out, over blocks of nearly equal length (with
                                attention dropout, PyTorch's fast kernel is not available on a processor)
CUDA, half precision            `torch.nn.attention.varlen`, where no attention dropout is asked for
everything else                 the dense masked form, which is also what export uses
==============================  ===================================================================================
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.nn.buckets import Buckets, Run, bucket, equal_runs, in_sight
from headway.nn.dropout import dropout, keep_mask, survivor_scale
from headway.nn.linear import Linear
from headway.nn.packing import Packing
from headway.nn.positions import Rotation, rotate

__all__ = ["SelfAttention", "attention", "dense_attention", "formula"]

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
    window: int | None = None,
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
        window: How far a query sees to either side; everywhere when none. With a window, `queries` equals `keys`.
        dropout_probability: Share of attention weights set to zero; 0 outside training.
    """
    if window is not None and window >= keys.max_length - 1:
        window = None  # nothing is out of sight
    if query.device.type == "cpu" and query.dtype == torch.float32:
        gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value))
        if gradient or dropout_probability:
            return _BlockAttention.apply(
                query, key, value, bucket(queries, keys, query.shape[1], window), dropout_probability
            )
        return _inference_attention(query, key, value, equal_runs(queries, keys), window)
    half = query.dtype in (torch.float16, torch.bfloat16)
    if query.device.type == "cuda" and half and dropout_probability == 0:
        return _varlen_attention(query, key, value, queries, keys, window)
    mask = keys.mask[:, None]
    if window is not None:
        mask = mask & in_sight(keys.max_length, keys.max_length, window, keys.device)
    dense = dense_attention(
        queries.unpack(query), keys.unpack(key), keys.unpack(value), mask, dropout_probability=dropout_probability
    )
    return queries.pack(dense)


def dense_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout_probability: float = 0.0
) -> Tensor:
    """The padded form, for devices without a packed kernel and for export.

    *Shape:* query (batch, query_len, heads, head_dim), key and value (batch, key_len, heads, head_dim), mask
    (batch, query_len or 1, key_len) with True = attend → as query
    """
    attended = functional.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=mask[:, None],
        dropout_p=dropout_probability,
    )
    return attended.transpose(1, 2)


def _varlen_attention(
    query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    attended = varlen_attn(
        query,
        key,
        value,
        queries.offsets,
        keys.offsets,
        queries.max_length,
        keys.max_length,
        window_size=(-1, -1) if window is None else (window, window),
    )
    assert isinstance(attended, Tensor)
    return attended


def _inference_attention(query: Tensor, key: Tensor, value: Tensor, runs: list[Run], window: int | None) -> Tensor:
    query_rows = query.split([run.num_sequences * run.query_length for run in runs])
    key_rows, value_rows = (rows.split([run.num_sequences * run.key_length for run in runs]) for rows in (key, value))
    attended = []
    for run, *blocks in zip(runs, query_rows, key_rows, value_rows, strict=True):
        q, k, v = (block.unflatten(0, (run.num_sequences, -1)).transpose(1, 2) for block in blocks)
        block = functional.scaled_dot_product_attention(q, k, v) if window is None else _windowed(q, k, v, window)
        attended.append(block.transpose(1, 2).reshape(-1, *query.shape[1:]))
    return torch.cat(attended)


def _windowed(query: Tensor, key: Tensor, value: Tensor, window: int) -> Tensor:
    """Attention within a window, some rows at a time: the work grows with the length, not with its square.

    *Shape:* three of (sequences, heads, length, head_dim) → the same
    """
    length = query.shape[2]
    step = max(2 * window, 64)
    attended = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(0, start - window), min(length, stop + window)
        mask = in_sight(stop - start, last - first, window, query.device, offset=start - first)
        rows = (query[:, :, start:stop], key[:, :, first:last], value[:, :, first:last])
        attended.append(functional.scaled_dot_product_attention(*rows, attn_mask=mask))
    return torch.cat(attended, 2)


class _BlockAttention(torch.autograd.Function):
    """The formula and its gradient on a processor, block by block, in few and in-place steps.

    With P the softmax's weights, M the dropout mask and c its survivors' scale, O = c·(P∘M)·V. Given dO:

        dV = (P∘M)ᵀ·c·dO,   dP = M∘(c·dO·Vᵀ),   dS = P∘(dP − rowsum(dP∘P)),   dQ = dS·K/√d_k,   dK = dSᵀ·Q/√d_k

    Short sequences keep P for the backward pass, long ones compute it again: memory stays linear in the length but for
    the mask, which takes one byte a weight.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, buckets: Buckets, dropout_probability: float
    ) -> Tensor:
        queries, keys = buckets.queries, buckets.keys
        query, key, value = queries.fill(query), keys.fill(key), keys.fill(value)
        output = queries.empty(query.shape[-1])
        keeps = _keep_masks(buckets, dropout_probability)
        blocks = (queries.split(query), keys.split(key), keys.split(value), queries.split(output))
        all_weights = list[Tensor | None]()
        for q, k, v, out, mask, keep in zip(*blocks, buckets.masks, keeps, strict=True):
            weights = _weights(q, k, mask, queries.num_heads)
            all_weights.append(weights if k.shape[1] <= SHORT * k.shape[2] else None)
            torch.bmm(weights if keep is None else weights * keep, v, out=out)
        ctx.save_for_backward(query, key, value, *all_weights)
        ctx.buckets, ctx.keeps, ctx.scale = buckets, keeps, survivor_scale(dropout_probability)
        output = queries.take(output)
        return output.mul_(ctx.scale) if dropout_probability else output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        buckets: Buckets = ctx.buckets
        queries, keys = buckets.queries, buckets.keys
        query, key, value, *all_weights = ctx.saved_tensors
        head_dim = query.shape[-1]
        grad_query, grad_key, grad_value = queries.empty(head_dim), keys.empty(head_dim), keys.empty(head_dim)
        # Every gradient is linear in c·dO, and Q·Kᵀ enters divided by √d_k: both are applied once, to whole tensors.
        grad_output = queries.fill_zeros(grads[0] * ctx.scale)
        by_query = [queries.split(tensor) for tensor in (query, grad_output, grad_query)]
        by_key = [keys.split(tensor) for tensor in (key, value, grad_key, grad_value)]
        blocks = zip(*by_query, *by_key, buckets.masks, ctx.keeps, all_weights, strict=True)
        for q, d_out, d_query, k, v, d_key, d_value, mask, keep, weights in blocks:
            if weights is None:
                weights = _weights(q, k, mask, queries.num_heads)
            d_weights = torch.bmm(d_out, v.transpose(1, 2))
            kept = weights
            if keep is not None:
                d_weights.mul_(keep)
                kept = weights * keep
            torch.bmm(kept.transpose(1, 2), d_out, out=d_value)
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            torch.bmm(d_scores, k, out=d_query)
            torch.bmm(d_scores.transpose(1, 2), q, out=d_key)
        inverse_root = head_dim**-0.5
        return (
            queries.take(grad_query).mul_(inverse_root),
            keys.take(grad_key).mul_(inverse_root),
            keys.take(grad_value),
            None,
            None,
        )


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, num_heads: int) -> Tensor:
    """softmax(Q·Kᵀ / √d_k).

    *Shape:* query (matrices, query_len, head_dim), key (matrices, key_len, head_dim) → (matrices, query_len, key_len)
    """
    empty = query.new_empty(())
    scores = torch.baddbmm(empty, query, key.transpose(1, 2), beta=0, alpha=query.shape[-1] ** -0.5)
    if mask is not None:
        scores.unflatten(0, (-1, num_heads)).add_(mask)
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
    """Multi-head self-attention: every token of a sequence looks at the others, all or those in its window.

    Query, key and value projections are one matrix, so that the tokens are read once.
    """

    def __init__(
        self, d_model: int, num_heads: int, *, bias: bool = True, window: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model {d_model} does not divide into {num_heads} heads")
        self.num_heads = num_heads
        self.window = window
        self.dropout = dropout
        self.query_key_value = Linear(d_model, 3 * d_model, bias)
        self.output = Linear(d_model, d_model, bias)

    def forward(self, input: Tensor, packing: Packing, rotation: Rotation | None = None) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        query, key, value = self.query_key_value(input).unflatten(-1, (3, self.num_heads, -1)).unbind(1)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        return self._attend(query, key, value, packing, packing)

    def forward_firsts(self, input: Tensor, packing: Packing, rotation: Rotation | None = None) -> Tensor:
        """The rows of `forward` that belong to first tokens, without computing the others' queries and outputs.

        *Shape:* (tokens, d_model) → (sequences, d_model)
        """
        if self.window is not None:
            # Rows that are cut out no longer show how far they stood from the others.
            return packing.first_rows(self(input, packing, rotation))
        d_model = input.shape[-1]
        heads = (self.num_heads, -1)
        query = self.query_key_value.forward_slice(packing.first_rows(input), 0, d_model).unflatten(-1, heads)
        key_value = self.query_key_value.forward_slice(input, d_model, 3 * d_model)
        key, value = key_value.unflatten(-1, (2, *heads)).unbind(1)
        if rotation is not None:
            key = rotate(key, rotation)  # the first token stands at 0: its query is not turned
        return self._attend(query, key, value, packing.firsts, packing)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing) -> Tensor:
        probability = self.dropout if self.training else 0.0
        attended = attention(query, key, value, queries, keys, window=self.window, dropout_probability=probability)
        return self.output(attended.flatten(1))
