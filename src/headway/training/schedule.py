"""How the learning rate goes: up in the warm-up, then down."""

import math
from typing import Literal

__all__ = ["Schedule", "learning_rate_factor"]

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int, schedule: Schedule) -> float:
    """The share of the peak learning rate that step `step` is taken with, counting from 0.

    The warm-up rises in a line to 1. After it the rate falls to 0 at the end in a line, or as half a cosine
    (Loshchilov & Hutter 2017), or not at all.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    if schedule == "linear":
        return 1 - progress
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0
