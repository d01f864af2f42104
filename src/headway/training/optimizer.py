"""Adam with decoupled weight decay (Loshchilov & Hutter 2019), bias-corrected and fused."""

import re
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from headway.settings import Settings
from headway.training.schedule import learning_rate_factor

__all__ = ["build_optimizer", "clip_gradients", "freeze", "set_learning_rate", "warmup_steps"]


def depth_of(name: str, num_blocks: int) -> int:
    """How high a weight lies: 0 for the embeddings, 1 … num_blocks for the blocks, one more for what is above."""
    block = re.search(r"\bblocks\.(\d+)\.", name)
    if block:
        return int(block[1]) + 1
    return 0 if "embeddings." in name else num_blocks + 1


def count_blocks(model: nn.Module) -> int:
    """Blocks of the model's stack."""
    return 1 + max((depth_of(name, 0) - 1 for name, _ in model.named_parameters()), default=0)


def freeze(model: nn.Module, num_blocks: int) -> None:
    """Keep the embeddings and the lowest `num_blocks` blocks as they are; nothing when it is 0."""
    top = count_blocks(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(num_blocks == 0 or depth_of(name, top) > num_blocks)


def build_optimizer(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW over the trainable weights, grouped by depth (layer decay) and by whether they decay (matrices do)."""
    top = count_blocks(model)
    groups: dict[tuple[int, bool], list[Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[depth_of(name, top), parameter.ndim > 1].append(parameter)
    parameter_groups: list[dict[str, Any]] = [
        {
            "params": parameters,
            "peak": settings.learning_rate * settings.layer_decay ** (top + 1 - depth),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (depth, decays), parameters in sorted(groups.items())
    ]
    betas = (settings.adam_beta1, settings.adam_beta2)
    return torch.optim.AdamW(
        parameter_groups, lr=settings.learning_rate, betas=betas, eps=settings.adam_eps, fused=True
    )


def warmup_steps(total_steps: int, settings: Settings) -> int:
    """Steps in which the learning rate rises."""
    return round(total_steps * settings.warmup_share)


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, total_steps: int, settings: Settings) -> float:
    """Set every group's learning rate for step `step` and return the highest."""
    factor = learning_rate_factor(step, total_steps, warmup_steps(total_steps, settings), settings.schedule)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return float(max(group["lr"] for group in optimizer.param_groups))


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float | None) -> float:
    """Shorten the gradient to `max_norm` if it is longer, and return the length that it had (Pascanu et al. 2013).

    A non-finite gradient is left alone: its length tells the caller not to use it.
    """
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients))
    if max_norm is not None and max_norm < norm < float("inf"):
        torch._foreach_mul_(gradients, max_norm / norm)
    return norm
