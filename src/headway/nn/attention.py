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

from headway.nn.buckets import Buckets, Run, bucket
from headway.nn.dropout import dropout, keep_mask, survivor_scale
from headway.nn.linear import Linear
from headway.nn.packing import Packing

__all__ = ["SelfAttention", "attention", "dense_attention", "formula"]


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
    dropout_probability: float = 0.0,
) -> Tensor:
    """Each sequence's queries attend to the keys of the same sequence, all of them.

    *Shape:* query (query tokens, heads, head_dim), key and value (key tokens, heads, head_dim) → as query

    Args:
        query: What is looked for, one row a query token.
        key: What it is compared with, one row a key token.
        value: What is taken, one row a key token.
        queries: Where the sequences start in `query`.
        keys: Where they start in `key` and `value`; as many sequences as `queries`.
        dropout_probability: Share of attention weights set to zero; 0 outside training.
    """
    if query.device.type == "cpu" and query.dtype == torch.float32:
        gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value))
        if gradient or dropout_probability:
            return _BlockAttention.apply(query, key, value, bucket(queries, keys), dropout_probability)
        return _inference_attention(query, key, value, bucket(queries, keys, exact=True))
    half = query.dtype in (torch.float16, torch.bfloat16)
    if query.device.type == "cuda" and half and dropout_probability == 0:
        return _varlen_attention(query, key, value, queries, keys)
    dense = dense_attention(
        queries.unpack(query), keys.unpack(key), keys.unpack(value), keys.mask, dropout_probability=dropout_probability
    )
    return queries.pack(dense)


def dense_attention(
    query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor, dropout_probability: float = 0.0
) -> Tensor:
    """The padded form, for devices without a packed kernel and for export.

    *Shape:* query (batch, query_len, heads, head_dim), key and value (batch, key_len, heads, head_dim), key_mask
    (batch, key_len) with True = attend → as query
    """
    attended = functional.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=key_mask[:, None, None, :],
        dropout_p=dropout_probability,
    )
    return attended.transpose(1, 2)


def _varlen_attention(query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    attended = varlen_attn(query, key, value, queries.offsets, keys.offsets, queries.max_length, keys.max_length)
    assert isinstance(attended, Tensor)
    return attended


def _inference_attention(query: Tensor, key: Tensor, value: Tensor, buckets: Buckets) -> Tensor:
    attended = []
    for run in buckets.runs:
        block = functional.scaled_dot_product_attention(
            run.query_block(query), run.key_block(key), run.key_block(value)
        )
        attended.append(block.transpose(1, 2).reshape(-1, *query.shape[1:]))
    return torch.cat(attended)


class _BlockAttention(torch.autograd.Function):
    """The formula and its gradient on a processor, block by block, in few and in-place steps.

    With P the softmax's weights, M the dropout mask and c its survivors' scale, O = c·(P∘M)·V. Given dO:

        dV = (P∘M)ᵀ·c·dO,   dP = M∘(c·dO·Vᵀ),   dS = P∘(dP − rowsum(dP∘P)),   dQ = dS·K/√d_k,   dK = dSᵀ·Q/√d_k

    P is computed again in the backward pass instead of being kept: memory stays linear in the length but for the mask,
    which takes one byte a weight.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, buckets: Buckets, dropout_probability: float
    ) -> Tensor:
        query, key, value = buckets.queries.fill(query), buckets.keys.fill(key), buckets.keys.fill(value)
        output = torch.empty(query.shape)
        keeps = _keep_masks(buckets, query.shape[1], dropout_probability)
        for run, mask, keep in zip(buckets.runs, buckets.masks, keeps, strict=True):
            q, k, v = _matrices(run, query, key, value)
            weights = _weights(q, k, mask)
            if keep is not None:
                weights.mul_(keep)
            run.query_block(output).copy_(torch.bmm(weights, v).unflatten(0, (run.num_sequences, -1)))
        ctx.save_for_backward(query, key, value)
        ctx.buckets, ctx.keeps, ctx.scale = buckets, keeps, survivor_scale(dropout_probability)
        output = buckets.queries.take(output)
        return output.mul_(ctx.scale) if dropout_probability else output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value = ctx.saved_tensors
        buckets: Buckets = ctx.buckets
        grad_query, grad_key, grad_value = (torch.empty(tensor.shape) for tensor in (query, key, value))
        # Every gradient is linear in c·dO, and Q·Kᵀ enters divided by √d_k: both are applied once, to whole tensors.
        grad_output = buckets.queries.fill_zeros(grads[0] * ctx.scale)
        inverse_root = query.shape[-1] ** -0.5
        for run, mask, keep in zip(buckets.runs, buckets.masks, ctx.keeps, strict=True):
            q, k, v = _matrices(run, query, key, value)
            d_out = run.query_block(grad_output).flatten(0, 1)
            weights = _weights(q, k, mask)
            d_weights = torch.bmm(d_out, v.transpose(1, 2))
            kept = weights
            if keep is not None:
                d_weights.mul_(keep)
                kept = weights * keep
            heads = (run.num_sequences, -1)
            run.key_block(grad_value).copy_(torch.bmm(kept.transpose(1, 2), d_out).unflatten(0, heads))
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            run.query_block(grad_query).copy_(torch.bmm(d_scores, k).unflatten(0, heads))
            run.key_block(grad_key).copy_(torch.bmm(d_scores.transpose(1, 2), q).unflatten(0, heads))
        return (
            buckets.queries.take(grad_query).mul_(inverse_root),
            buckets.keys.take(grad_key).mul_(inverse_root),
            buckets.keys.take(grad_value),
            None,
            None,
        )


def _matrices(run: Run, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One matrix a sequence and head. *Shape:* three of (rows, heads, head_dim) → (matrices, length, head_dim)."""
    blocks = (run.query_block(query), run.key_block(key), run.key_block(value))
    query_block, key_block, value_block = (block.flatten(0, 1) for block in blocks)
    return query_block, key_block, value_block


def _weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(Q·Kᵀ / √d_k).

    *Shape:* query (matrices, query_len, head_dim), key (matrices, key_len, head_dim) → (matrices, query_len, key_len)
    """
    empty = query.new_empty(())
    scores = torch.baddbmm(empty, query, key.transpose(1, 2), beta=0, alpha=query.shape[-1] ** -0.5)
    if mask is not None:
        scores.unflatten(0, (len(mask), -1)).add_(mask)
    return scores.softmax(-1)


def _keep_masks(buckets: Buckets, num_heads: int, dropout_probability: float) -> list[Tensor] | list[None]:
    """A dropout mask for the weights of each block, drawn all at once; none without dropout."""
    if dropout_probability == 0:
        return [None] * len(buckets.runs)
    shapes = [(run.num_sequences * num_heads, run.query_length, run.key_length) for run in buckets.runs]
    sizes = [math.prod(shape) for shape in shapes]
    masks = keep_mask((sum(sizes),), dropout_probability).split(sizes)
    return [mask.view(shape) for mask, shape in zip(masks, shapes, strict=True)]


class SelfAttention(nn.Module):
    """Multi-head self-attention: every token of a sequence looks at every other.

    Query, key and value projections are one matrix, so that the tokens are read once.
    """

    def __init__(self, d_model: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model {d_model} does not divide into {num_heads} heads")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query_key_value = Linear(d_model, 3 * d_model)
        self.output = Linear(d_model, d_model)

    def forward(self, input: Tensor, packing: Packing) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        query, key, value = self.query_key_value(input).unflatten(-1, (3, self.num_heads, -1)).unbind(1)
        return self._attend(query, key, value, packing, packing)

    def forward_firsts(self, input: Tensor, packing: Packing) -> Tensor:
        """The rows of `forward` that belong to first tokens, without computing the others' queries and outputs.

        *Shape:* (tokens, d_model) → (sequences, d_model)
        """
        d_model = input.shape[-1]
        heads = (self.num_heads, -1)
        query = self.query_key_value.forward_slice(packing.first_rows(input), 0, d_model).unflatten(-1, heads)
        key_value = self.query_key_value.forward_slice(input, d_model, 3 * d_model)
        key, value = key_value.unflatten(-1, (2, *heads)).unbind(1)
        return self._attend(query, key, value, packing.firsts, packing)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing) -> Tensor:
        probability = self.dropout if self.training else 0.0
        return self.output(attention(query, key, value, queries, keys, probability).flatten(1))
