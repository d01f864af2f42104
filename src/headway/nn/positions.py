"""Positions: vectors that are added, rotations of queries and keys, biases on scores."""

import math

import torch
from torch import Tensor, nn

__all__ = ["RelativeBias", "Rotation", "rotate", "rotation", "sinusoids"]

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of each token's angles. *Shape:* two of (tokens, 1, head_dim)."""


def sinusoids(positions: Tensor, width: int, *, inclusive: bool = False) -> Tensor:
    """Sines of all frequencies, then their cosines (Vaswani et al. 2017, §3.5).

    The paper alternates the two; the checkpoints put one half after the other, which is the same up to a permutation.

    *Shape:* (tokens,) → (tokens, width)

    Args:
        positions: Of the tokens.
        width: Of the vectors.
        inclusive: Whether the last frequency is 1/10,000 itself, as in tensor2tensor, or the one before it would be.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float64, device=positions.device)
    frequencies = 10000.0 ** (-steps / (half - 1 if inclusive else half))
    angles = positions[:, None].double() * frequencies
    return torch.cat((angles.sin(), angles.cos()), 1).float()


def rotation(positions: Tensor, head_dim: int, theta: float) -> Rotation:
    """The angles of rotary positions: p·θ^(−2i/d) for position p and pair i (Su et al. 2021, eq. 15).

    *Shape:* positions (tokens,)
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    angles = positions[:, None].float() * (1.0 / theta**exponents)
    angles = torch.cat((angles, angles), -1)[:, None]
    return angles.cos(), angles.sin()


def rotate(vectors: Tensor, rotation: Rotation) -> Tensor:
    """Rotate each pair (i, i + head_dim/2) of a query or key by its token's angle.

    *Shape:* (tokens, heads, head_dim) → the same
    """
    cosine, sine = rotation
    first, second = vectors.float().chunk(2, -1)
    turned = torch.cat((-second, first), -1)
    return (vectors.float() * cosine + turned * sine).to(vectors.dtype)


class RelativeBias(nn.Module):
    """A learned number for each head and distance, added to the scores (Raffel et al. 2020, §2.1).

    Near distances have a bucket each, far ones share buckets that widen logarithmically. An encoder has one half of the
    buckets for keys before the query and the other for keys after it; a decoder only sees the former.
    """

    def __init__(self, num_heads: int, num_buckets: int, max_distance: int, *, causal: bool) -> None:
        super().__init__()
        self.num_buckets, self.max_distance, self.causal = num_buckets, max_distance, causal
        self.table = nn.Embedding(num_buckets, num_heads)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """*Shape:* positions of queries (…, num_queries) and keys (…, num_keys) → (…, heads, num_queries, num_keys)."""
        bias: Tensor = self.table(self.buckets(keys[..., None, :] - queries[..., None]))
        return bias.movedim(-1, -3).contiguous()

    def buckets(self, distances: Tensor) -> Tensor:
        """The bucket of each distance key − query. *Shape:* any → the same."""
        num_buckets, first = self.num_buckets, torch.zeros_like(distances)
        if self.causal:
            distances = (-distances).clamp(min=0)
        else:
            num_buckets //= 2
            first = (distances > 0) * num_buckets
            distances = distances.abs()
        exact = num_buckets // 2
        far = torch.log(distances.float().clamp(min=1) / exact) / math.log(self.max_distance / exact)
        wide = exact + (far * (num_buckets - exact)).long()
        return first + torch.where(distances < exact, distances, wide.clamp(max=num_buckets - 1))
