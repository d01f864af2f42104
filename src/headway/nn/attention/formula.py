"""The formula that every kernel is tested against, written to be read."""

import math

from torch import Tensor

from headway.nn.dropout import dropout

__all__ = ["formula"]


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
