"""How a token knows where it stands: vectors that are added, or rotations of queries and keys."""

from functools import lru_cache

import torch
from torch import Tensor

from headway.nn.packing import Packing

__all__ = ["Rotation", "rotate", "rotation"]

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of each token's angles. *Shape:* two of (tokens, 1, head_dim)."""


@lru_cache(maxsize=8)  # the layers of a model share one or two
def rotation(packing: Packing, head_dim: int, theta: float) -> Rotation:
    """The angles of rotary positions: p·θ^(−2i/d) for position p and pair i (Su et al. 2021, eq. 15)."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=packing.device) / head_dim
    angles = packing.positions[:, None].float() * (1.0 / theta**exponents)
    angles = torch.cat((angles, angles), -1)[:, None]
    return angles.cos(), angles.sin()


def rotate(vectors: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair (i, i + head_dim/2) of a query or key by its token's angle.

    *Shape:* (tokens, heads, head_dim) → the same
    """
    cosine, sine = rotation
    first, second = vectors.float().chunk(2, -1)
    turned = torch.cat((-second, first), -1)
    return (vectors.float() * cosine + turned * sine).to(vectors.dtype)
