"""Attention on a CPU: for inference, and for training in float32 with an explicit gradient."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headway.nn.attention.bias import bias_part
from headway.nn.attention.blocks import BlockLayout, EqualRun
from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.dropout import keep_mask, survivor_scale

__all__ = ["block_attention", "inference_attention"]

SHORT = 4
"""A sequence with at most this many head widths of keys is short: its weights take less memory than its other
activations."""


def inference_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    runs: list[EqualRun],
    pattern: AttentionPattern,
    bias: Tensor | None,
    scale: float,
) -> Tensor:
    """PyTorch's kernel over runs of sequences of equal length.

    *Shape:* query (query tokens, heads, head_dim), key and value (key tokens, heads, head_dim) → as query
    """
    query_rows = query.split([run.num_sequences * run.query_length for run in runs])
    key_rows, value_rows = (rows.split([run.num_sequences * run.key_length for run in runs]) for rows in (key, value))
    attended, sequence = [], 0
    for run, *blocks in zip(runs, query_rows, key_rows, value_rows, strict=True):
        own = list(range(sequence, sequence := sequence + run.num_sequences))
        q, k, v = (block.unflatten(0, (run.num_sequences, -1)).transpose(1, 2) for block in blocks)
        if pattern.sees_all(run.query_length, run.key_length) and bias is None:
            block = functional.scaled_dot_product_attention(q, k, v, scale=scale)
        else:
            block = _by_rows(q, k, v, pattern, None if bias is None else bias_part(bias, own, run), scale)
        attended.append(block.transpose(1, 2).reshape(-1, *query.shape[1:]))
    return torch.cat(attended)


def _by_rows(
    query: Tensor, key: Tensor, value: Tensor, pattern: AttentionPattern, bias: Tensor | None, scale: float
) -> Tensor:
    """Attention where a rule or a bias applies, some rows at a time: no row is multiplied with keys outside its window.

    *Shape:* three of (sequences, heads, length, head_dim) → the same
    """
    length, num_keys = query.shape[2], key.shape[2]
    reach = num_keys if pattern.window is None else pattern.window
    step = max(2 * reach, 64)
    attended = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(0, start - reach), min(num_keys, stop if pattern.causal else stop + reach)
        mask = None
        if pattern is not EVERYWHERE:
            mask = pattern.mask(stop - start, last - first, query.device, offset=start - first)
        if bias is not None:
            part = bias[..., start:stop, first:last]
            mask = part if mask is None else part.masked_fill(~mask, -math.inf)
        rows = (query[:, :, start:stop], key[:, :, first:last], value[:, :, first:last])
        attended.append(functional.scaled_dot_product_attention(*rows, attn_mask=mask, scale=scale))
    return torch.cat(attended, 2)


def block_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    layout: BlockLayout,
    scale: float,
    dropout_probability: float,
) -> Tensor:
    """The formula over blocks of sequences of nearly equal length, with its own gradient.

    *Shape:* query (query tokens, heads, head_dim), key and value (key tokens, heads, head_dim) → as query
    """
    attended: Tensor = _BlockAttention.apply(query, key, value, bias, layout, scale, dropout_probability)
    return attended


class _BlockAttention(torch.autograd.Function):
    """The formula and its gradient on a CPU, block by block, in few and in-place steps.

    With s the scale, S = s·Q·Kᵀ + B the scores, P the softmax's weights, M the dropout mask and c its survivors' scale,
    O = c·(P∘M)·V. Given dO:

        dV = (P∘M)ᵀ·c·dO,   dP = M∘(c·dO·Vᵀ),   dS = P∘(dP − rowsum(dP∘P)),   dQ = s·dS·K,   dK = s·dSᵀ·Q

    and dB is the sum of dS over all sequences.

    Short sequences keep P for the backward pass, long ones compute it again: memory stays linear in the length except
    for the mask, which takes one byte per weight.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        layout: BlockLayout,
        scale: float,
        dropout_probability: float,
    ) -> Tensor:
        queries, keys = layout.queries, layout.keys
        query, key, value = queries.fill(query), keys.fill(key), keys.fill(value)
        output = queries.empty(query.shape[-1])
        keeps = _keep_masks(layout, dropout_probability)
        blocks = (queries.split(query), keys.split(key), keys.split(value), queries.split(output))
        all_weights = list[Tensor | None]()
        biases = _bias_parts(bias, layout)
        for q, k, v, out, mask, added, keep in zip(*blocks, layout.masks, biases, keeps, strict=True):
            weights = _weights(q, k, mask, added, scale, queries.num_heads)
            all_weights.append(weights if k.shape[1] <= SHORT * k.shape[2] else None)
            torch.bmm(weights if keep is None else weights * keep, v, out=out)
        ctx.save_for_backward(query, key, value, bias, *all_weights)
        ctx.layout, ctx.keeps, ctx.scale, ctx.survivor_scale = (
            layout,
            keeps,
            scale,
            survivor_scale(dropout_probability),
        )
        output = queries.take(output)
        return output.mul_(ctx.survivor_scale) if dropout_probability else output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layout: BlockLayout = ctx.layout
        queries, keys = layout.queries, layout.keys
        query, key, value, bias, *all_weights = ctx.saved_tensors
        head_dim = query.shape[-1]
        grad_query, grad_key, grad_value = queries.empty(head_dim), keys.empty(head_dim), keys.empty(head_dim)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        # Every gradient is linear in c·dO, and Q·Kᵀ enters scaled: both are applied once, to whole tensors.
        grad_output = queries.fill_zeros(grads[0] * ctx.survivor_scale)
        by_query = [queries.split(tensor) for tensor in (query, grad_output, grad_query)]
        by_key = [keys.split(tensor) for tensor in (key, value, grad_key, grad_value)]
        added = _bias_parts(bias, layout)
        blocks = zip(*by_query, *by_key, layout.masks, ctx.keeps, all_weights, added, layout.members, strict=True)
        for q, d_out, d_query, k, v, d_key, d_value, mask, keep, weights, part, own in blocks:
            if weights is None:
                weights = _weights(q, k, mask, part, ctx.scale, queries.num_heads)
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
                d_bias = d_scores.unflatten(0, (-1, queries.num_heads))
                shared = len(grad_bias) == 1
                grad_bias[[0] if shared else own, :, : q.shape[1], : k.shape[1]] += d_bias.sum(0) if shared else d_bias
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

    *Shape:* query (matrices, query_len, head_dim), key (matrices, key_len, head_dim),
    bias (sequences or 1, heads, query_len, key_len) → (matrices, query_len, key_len)
    """
    scores = torch.baddbmm(query.new_empty(()), query, key.transpose(1, 2), beta=0, alpha=scale)
    by_head = scores.unflatten(0, (-1, num_heads))
    if bias is not None:
        by_head.add_(bias)
    if mask is not None:
        by_head.add_(mask)
    return scores.softmax(-1)


def _bias_parts(bias: Tensor | None, layout: BlockLayout) -> list[Tensor] | list[None]:
    """What is added to the scores of each block."""
    if bias is None:
        return [None] * len(layout.runs)
    return [bias_part(bias, own, run) for own, run in zip(layout.members, layout.runs, strict=True)]


def _keep_masks(layout: BlockLayout, dropout_probability: float) -> list[Tensor] | list[None]:
    """A dropout mask for the weights of each block, drawn all at once; none without dropout."""
    if dropout_probability == 0:
        return [None] * len(layout.runs)
    num_heads = layout.keys.num_heads
    shapes = [(run.num_sequences * num_heads, run.query_length, run.key_length) for run in layout.runs]
    sizes = [math.prod(shape) for shape in shapes]
    masks = keep_mask((sum(sizes),), dropout_probability).split(sizes)
    return [mask.view(shape) for mask, shape in zip(masks, shapes, strict=True)]
