"""Attention over packed sequences: the formula, and the kernels that are held against it.

    attention(Q, K, V) = softmax(Q·Kᵀ / √d_k)·V          (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1)

The division by √d_k is what keeps the softmax alive: a score is a sum of d_k products, so with queries and keys of unit
variance its variance is d_k; undivided (or worse, multiplied), one weight nears 1, the others 0, and the gradient dies.

`attention` is the one entrance. It picks the kernel:

==============================  ===================================================================================
processor, inference            `scaled_dot_product_attention` over blocks of sequences of equal length
processor, training, float32    the formula with its gradient written out, over blocks of nearly equal length (with
                                attention dropout, PyTorch's fast kernel is not available on a CPU)
CUDA, half precision            `torch.nn.attention.varlen`, where neither attention dropout nor a bias is asked for,
                                on GPUs since 2020 (compute capability 8) and for head widths of 8, 16 … 256
everything else                 `scaled_dot_product_attention` over blocks of nearly equal length
==============================  ===================================================================================
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from headway.nn.attention_bias import AttentionBias
from headway.nn.attention_pattern import EVERYWHERE, AttentionPattern
from headway.nn.block_layout import BlockLayout, EqualRun, HeadBlocks, bucket, equal_runs, masks_in
from headway.nn.dropout import dropout, keep_mask, survivor_scale
from headway.nn.packing import Packing

__all__ = ["attention", "formula", "fused_kernels", "varlen_takes"]

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
    sight: AttentionPattern = EVERYWHERE,
    bias: AttentionBias | None = None,
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
        bias: Added to every sequence's scores.
        scale: What Q·Kᵀ is multiplied by; 1/√d_k when none.
        dropout_probability: Share of attention weights set to zero; 0 outside training.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if sight.sees_all(queries.max_length, keys.max_length):
        sight = EVERYWHERE
    scores = None if bias is None else bias.scores
    inputs = (query, key, value) if scores is None else (query, key, value, scores)
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    if query.device.type == "cpu" and not training and not dropout_probability:
        return _inference_attention(query, key, value, equal_runs(queries, keys), sight, scores, scale)
    if dropout_probability == 0 and bias is None and varlen_takes(query.device, query.dtype, query.shape[-1]):
        return _varlen_attention(query, key, value, queries, keys, sight, scale)
    if query.device.type == "cpu" and query.dtype == torch.float32:
        buckets = bucket(queries, keys, query.shape[1], sight)
        return _BlockAttention.apply(query, key, value, scores, buckets, scale, dropout_probability)
    return _fused_attention(query, key, value, queries, keys, sight, bias, scale, dropout_probability)


def varlen_takes(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether the variable-length kernel, FlashAttention 2 (Dao 2023), takes heads of this width and precision."""
    return (
        device.type == "cuda"
        and dtype in (torch.float16, torch.bfloat16)
        and head_dim % 8 == 0
        and head_dim <= 256
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def _varlen_attention(
    query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing, sight: AttentionPattern, scale: float
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
    query: Tensor,
    key: Tensor,
    value: Tensor,
    runs: list[EqualRun],
    sight: AttentionPattern,
    bias: Tensor | None,
    scale: float,
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


def _in_sight(
    query: Tensor, key: Tensor, value: Tensor, sight: AttentionPattern, bias: Tensor | None, scale: float
) -> Tensor:
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


def _fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Packing,
    keys: Packing,
    sight: AttentionPattern,
    bias: AttentionBias | None,
    scale: float,
    dropout_probability: float,
) -> Tensor:
    """PyTorch's kernels, one call a block: with a bias, a window or dropout, in any precision, on any device.

    Few tokens are filled up, where a batch padded to its longest sequence may be half padding; and blocks that need
    neither bias nor mask take the fastest kernel.
    """
    # Those kernels read a token's heads side by side, as the projections wrote them: a token moves as one vector.
    buckets = bucket(queries, keys, 1, sight)
    sides = zip((query, key, value), (buckets.queries, buckets.keys, buckets.keys), strict=True)
    blocks = [matrices.split(_Fill.apply(rows.flatten(1)[:, None], matrices)) for rows, matrices in sides]
    added = masks_in(buckets, query.dtype) if bias is None else bias.by_block(buckets, query.dtype)
    attended = []
    with fused_kernels(query.device):
        for *block, mask in zip(*blocks, added, strict=True):
            q, k, v = (rows.unflatten(2, query.shape[1:]).transpose(1, 2) for rows in block)
            is_causal = mask is not None and bias is None and sight == AttentionPattern(causal=True)
            output = functional.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=None if is_causal else mask,
                dropout_p=dropout_probability,
                is_causal=is_causal,
                scale=scale,
            )
            attended.append(output.transpose(1, 2).flatten(0, 1).flatten(1))
    taken: Tensor = _Take.apply(torch.cat(attended), buckets.queries)
    return taken.view(query.shape)


def fused_kernels(device: torch.device) -> AbstractContextManager[None]:
    """Which kernels `scaled_dot_product_attention` chooses from.

    Not cuDNN's, the first choice on GPUs since 2022: it plans anew for every shape, of which each batch has new ones,
    and its gradient under a mask can be NaN (https://github.com/pytorch/pytorch/issues/196678).
    """
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


class _Fill(torch.autograd.Function):
    """`HeadBlocks.fill`, whose gradient is `take`: what is filled in is unseen, or seen by nobody who is read."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, matrices: HeadBlocks) -> Tensor:
        ctx.matrices = matrices
        return matrices.fill(packed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.matrices.take(grads[0]), None


class _Take(torch.autograd.Function):
    """`HeadBlocks.take`, whose gradient is `fill_zeros`."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, matrices: HeadBlocks) -> Tensor:
        ctx.matrices = matrices
        return matrices.take(vectors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.matrices.fill_zeros(grads[0]), None


class _BlockAttention(torch.autograd.Function):
    """The formula and its gradient on a CPU, block by block, in few and in-place steps.

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
        buckets: BlockLayout,
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
        buckets: BlockLayout = ctx.buckets
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


def _keep_masks(buckets: BlockLayout, dropout_probability: float) -> list[Tensor] | list[None]:
    """A dropout mask for the weights of each block, drawn all at once; none without dropout."""
    if dropout_probability == 0:
        return [None] * len(buckets.runs)
    num_heads = buckets.keys.num_heads
    shapes = [(run.num_sequences * num_heads, run.query_length, run.key_length) for run in buckets.runs]
    sizes = [math.prod(shape) for shape in shapes]
    masks = keep_mask((sum(sizes),), dropout_probability).split(sizes)
    return [mask.view(shape) for mask, shape in zip(masks, shapes, strict=True)]
