"""The formula that every kernel is tested against, written to be read."""

import math

from torch import Tensor

from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.dropout import dropout
from headway.nn.packing import Packing

__all__ = ["attention_weights", "formula"]


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


def attention_weights(
    query: Tensor,
    key: Tensor,
    queries: Packing,
    keys: Packing,
    *,
    pattern: AttentionPattern = EVERYWHERE,
    bias: AttentionBias | None = None,
    scale: float | None = None,
) -> list[Tensor]:
    """The attention weights, for inspection: the kernels do not keep them.

    *Shape:* as in `attention` → (heads, query_len, key_len) per sequence

    Args:
        query: One row per query token.
        key: One row per key token.
        queries: Where the sequences start in `query`.
        keys: Where they start in `key`.
        pattern: Which keys each query sees.
        bias: Added to the scores.
        scale: Factor of Q·Kᵀ; 1/√d_k when none.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    weights = []
    for index, (q, k) in enumerate(zip(query.split(queries.lengths), key.split(keys.lengths), strict=True)):
        scores = q.transpose(0, 1) @ k.permute(1, 2, 0) * scale
        if bias is not None:
            scores = scores + bias.scores[index if len(bias.scores) > 1 else 0, :, : len(q), : len(k)]
        if not pattern.sees_all(len(q), len(k)):
            scores = scores.masked_fill(~pattern.mask(len(q), len(k), q.device), -math.inf)
        weights.append(scores.softmax(-1))
    return weights
