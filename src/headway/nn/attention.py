"""Attention over packed sequences: the formula, and the kernels that are held against it.

    attention(Q, K, V) = softmax(Q·Kᵀ / √d_k)·V          (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1)

The division by √d_k is what keeps the softmax alive: a score is a sum of d_k products, so with queries and keys of unit
variance its variance is d_k; undivided (or worse, multiplied), one weight nears 1, the others 0, and the gradient dies.

`attention` is the one entrance. It picks the kernel:

==============================  ===================================================================================
processor, inference            `scaled_dot_product_attention` over runs of sequences of equal length
processor, training             the formula with its gradient written out, over the same runs (with attention dropout,
                                PyTorch's fast kernel is not available on a processor)
CUDA, half precision            `torch.nn.attention.varlen`, where no attention dropout is asked for
everything else                 the dense masked form, which is also what export uses
==============================  ===================================================================================
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.nn.dropout import dropout, keep_mask, survivor_scale
from headway.nn.linear import Linear
from headway.nn.packing import Packing, Run

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
            return _RunAttention.apply(query, key, value, queries.runs(keys), dropout_probability)
        return _inference_attention(query, key, value, queries.runs(keys))
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


def _inference_attention(query: Tensor, key: Tensor, value: Tensor, runs: list[Run]) -> Tensor:
    attended = []
    for run in runs:
        block = functional.scaled_dot_product_attention(
            run.query_block(query), run.key_block(key), run.key_block(value)
        )
        attended.append(block.transpose(1, 2).reshape(-1, *query.shape[1:]))
    return torch.cat(attended)


class _RunAttention(torch.autograd.Function):
    """The formula and its gradient on a processor, run by run, in few and in-place steps.

    With P the softmax's weights, M the dropout mask and c its survivors' scale, O = c·(P∘M)·V. Given dO:

        dV = (P∘M)ᵀ·c·dO,   dP = M∘(c·dO·Vᵀ),   dS = P∘(dP − rowsum(dO∘O)),   dQ = dS·K/√d_k,   dK = dSᵀ·Q/√d_k

    where rowsum(dO∘O) = rowsum(dP∘P) (Dao et al. 2022, https://arxiv.org/abs/2205.14135, appendix B.2). P is computed
    again from its logarithmic normaliser instead of being kept: memory stays linear in the length but for the mask,
    which takes one byte a weight.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, runs: list[Run], dropout_probability: float
    ) -> Tensor:
        output = torch.empty(query.shape)
        normalisers: list[Tensor] = []
        masks: list[Tensor | None] = []
        scale = survivor_scale(dropout_probability)
        for run in runs:
            q, k, v = _matrices(run, query, key, value)
            scores = _scores(q, k)
            normaliser = scores.logsumexp(-1, keepdim=True)
            weights = scores.sub_(normaliser).exp_()
            mask = keep_mask(weights.shape, dropout_probability) if dropout_probability else None
            if mask is not None:
                weights.mul_(mask)
            normalisers.append(normaliser)
            masks.append(mask)
            run.query_block(output).copy_(torch.bmm(weights, v).unflatten(0, (run.num_sequences, -1)))
        if dropout_probability:
            output.mul_(scale)
        ctx.save_for_backward(query, key, value, output)
        ctx.runs, ctx.normalisers, ctx.masks, ctx.scale = runs, normalisers, masks, scale
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, output = ctx.saved_tensors
        grad_query, grad_key, grad_value = (torch.empty(tensor.shape) for tensor in (query, key, value))
        delta = (grads[0] * output).sum(-1, keepdim=True)
        # Every gradient is linear in c·dO, and Q·Kᵀ enters divided by √d_k: both are applied once, to whole tensors.
        grad_output = grads[0] * ctx.scale
        inverse_root = query.shape[-1] ** -0.5
        for run, normaliser, mask in zip(ctx.runs, ctx.normalisers, ctx.masks, strict=True):
            q, k, v = _matrices(run, query, key, value)
            d_out, d_row = (run.query_block(rows).flatten(0, 1) for rows in (grad_output, delta))
            weights = _scores(q, k).sub_(normaliser).exp_()
            d_scores = torch.bmm(d_out, v.transpose(1, 2))
            kept = weights
            if mask is not None:
                d_scores.mul_(mask)
                kept = weights * mask
            heads = (run.num_sequences, -1)
            run.key_block(grad_value).copy_(torch.bmm(kept.transpose(1, 2), d_out).unflatten(0, heads))
            d_scores.sub_(d_row).mul_(weights)
            run.query_block(grad_query).copy_(torch.bmm(d_scores, k).unflatten(0, heads))
            run.key_block(grad_key).copy_(torch.bmm(d_scores.transpose(1, 2), q).unflatten(0, heads))
        return grad_query.mul_(inverse_root), grad_key.mul_(inverse_root), grad_value, None, None


def _scores(query: Tensor, key: Tensor) -> Tensor:
    """Q·Kᵀ / √d_k. *Shape:* (n, query_len, head_dim), (n, key_len, head_dim) → (n, query_len, key_len)."""
    empty = query.new_empty(())
    return torch.baddbmm(empty, query, key.transpose(1, 2), beta=0, alpha=query.shape[-1] ** -0.5)


def _matrices(run: Run, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One matrix a sequence and head. *Shape:* three of (tokens, heads, head_dim) → (matrices, length, head_dim)."""
    blocks = (run.query_block(query), run.key_block(key), run.key_block(value))
    query_block, key_block, value_block = (block.flatten(0, 1) for block in blocks)
    return query_block, key_block, value_block


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
