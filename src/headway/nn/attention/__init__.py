"""Attention over packed sequences: one entrance to the kernels, which are checked against the formula (`formula.py`).

    attention(Q, K, V) = softmax(Q·Kᵀ / √d_k)·V          (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1)

The division by √d_k keeps the softmax from saturating: a score is a sum of d_k products, so with queries and keys of
unit variance its variance is d_k; undivided (or worse, multiplied), one weight nears 1, the others 0, and the gradient
vanishes.

`attention` is the one entrance. It picks the kernel:

==============================  ===================================================================================
CPU, inference                  `scaled_dot_product_attention` over blocks of sequences of equal length
CPU, training, float32          the formula with its gradient written out, over blocks of nearly equal length (with
                                attention dropout, PyTorch's fast kernel is not available on a CPU)
CUDA, half precision            `torch.nn.attention.varlen`, where neither attention dropout nor a bias is asked for,
                                on GPUs since 2020 (compute capability 8) and for head widths of 8, 16 … 256
everything else                 `scaled_dot_product_attention` over blocks of nearly equal length
==============================  ===================================================================================
"""

import torch
from torch import Tensor

from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.blocks import block_layout, equal_runs
from headway.nn.attention.cpu import block_attention, inference_attention
from headway.nn.attention.cuda import fused_attention, fused_kernels, varlen_attention, varlen_takes
from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.packing import Packing

__all__ = ["EVERYWHERE", "AttentionBias", "AttentionPattern", "attention", "fused_kernels", "varlen_takes"]


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Packing,
    keys: Packing,
    *,
    pattern: AttentionPattern = EVERYWHERE,
    bias: AttentionBias | None = None,
    scale: float | None = None,
    dropout_probability: float = 0.0,
) -> Tensor:
    """Each sequence's queries attend to the keys of the same sequence.

    *Shape:* query (query tokens, heads, head_dim), key and value (key tokens, heads, head_dim) → as query

    Args:
        query: One row per query token.
        key: One row per key token.
        value: One row per key token.
        queries: Where the sequences start in `query`.
        keys: Where they start in `key` and `value`; as many sequences as `queries`.
        pattern: Which keys each query sees. If not all, `queries` equals `keys`.
        bias: Added to every sequence's scores.
        scale: Factor of Q·Kᵀ; 1/√d_k when none.
        dropout_probability: Share of attention weights set to zero; 0 outside training.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if pattern.sees_all(queries.max_length, keys.max_length):
        pattern = EVERYWHERE
    scores = None if bias is None else bias.scores
    inputs = (query, key, value) if scores is None else (query, key, value, scores)
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    if query.device.type == "cpu" and not training and not dropout_probability:
        return inference_attention(query, key, value, equal_runs(queries, keys), pattern, scores, scale)
    if dropout_probability == 0 and bias is None and varlen_takes(query.device, query.dtype, query.shape[-1]):
        return varlen_attention(query, key, value, queries, keys, pattern, scale)
    if query.device.type == "cpu" and query.dtype == torch.float32:
        layout = block_layout(queries, keys, query.shape[1], pattern)
        return block_attention(query, key, value, scores, layout, scale, dropout_probability)
    return fused_attention(query, key, value, queries, keys, pattern, bias, scale, dropout_probability)
