"""Why attention divides by √d_k: what scores, weights and gradients are like with it, without it, and the other way.

    python -m benchmarks.score_scale

Queries and keys are drawn with mean 0 and variance 1. For each width the table says the variance of a score, the mean
of the largest of 32 weights, and how much of the gradient gets through the softmax: the length of its derivative
P∘(g − ΣP∘g) for a random g of length 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

__all__ = ["Measured", "main", "measure"]

WIDTHS = (8, 64, 512)
NUM_KEYS = 32
NUM_QUERIES = 4_096

SCALES: dict[str, Callable[[int], float]] = {
    "divided by √d_k": lambda width: 1 / math.sqrt(width),
    "as they are": lambda width: 1.0,
    "multiplied by √d_k": math.sqrt,
}


@dataclass(frozen=True)
class Measured:
    """What one scale makes of random queries and keys of one width."""

    scale: str
    width: int
    variance: float
    largest_weight: float
    gradient: float


def measure(width: int, scale: str, seed: int = 0) -> Measured:
    """Draw queries and keys, and look at scores, weights and gradient."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(NUM_QUERIES, 1, width, generator=generator, dtype=torch.float64)
    key = torch.randn(NUM_QUERIES, NUM_KEYS, width, generator=generator, dtype=torch.float64)
    direction = torch.randn(NUM_QUERIES, NUM_KEYS, generator=generator, dtype=torch.float64)
    direction /= direction.norm(dim=-1, keepdim=True)
    scores = (query * key).sum(-1) * SCALES[scale](width)
    weights = scores.softmax(-1)
    gradient = weights * (direction - (weights * direction).sum(-1, keepdim=True))
    return Measured(
        scale, width, float(scores.var()), float(weights.amax(-1).mean()), float(gradient.norm(dim=-1).mean())
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    print("| scores | d_k | variance of a score | largest of 32 weights | length of the gradient |")
    print("|---|---|---|---|---|")
    for scale in SCALES:
        for width in WIDTHS:
            m = measure(width, scale)
            print(f"| {scale} | {width} | {m.variance:,.2f} | {m.largest_weight:.3f} | {m.gradient:.2e} |")


if __name__ == "__main__":
    main()
