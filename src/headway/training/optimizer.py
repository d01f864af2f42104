"""Adam with decoupled weight decay (Loshchilov & Hutter 2019), bias-corrected and fused."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headway.errors import SettingsError
from headway.settings import TrainingSettings
from headway.training.schedule import learning_rate_factor

__all__ = ["Optimizer", "freeze", "warmup_steps"]


def depths(model: nn.Module) -> dict[str, int]:
    """How high each weight lies: 0 for the embeddings, from 1 on for the blocks, one more for what is above them.

    An encoder's blocks lie below those of the decoder that reads it, which are counted on from them: what follows the
    encoder's last block, as a norm does, lies as high as the decoder's first.
    """
    names = [name for name, _ in model.named_parameters()]
    counts: dict[str, int] = {}
    for name in names:
        if block := _BLOCK.match(name):
            counts[block["stack"]] = max(counts.get(block["stack"], 0), int(block["number"]) + 1)
    below, total = {}, 0
    for stack, count in counts.items():
        below[stack] = total
        total += count

    def depth(name: str) -> int:
        if block := _BLOCK.match(name):
            return below[block["stack"]] + int(block["number"]) + 1
        if _BOTTOM.search(name):
            return 0
        stack = next((stack for stack in counts if name.startswith(stack)), None)
        return total + 1 if stack is None else below[stack] + counts[stack] + 1

    return {name: depth(name) for name in names}


_BLOCK = re.compile(r"(?P<stack>(?:.*\.)?)blocks\.(?P<number>\d+)\.")
# A bias on scores is shared by all blocks of a stack: its gradient must go through all of them, frozen or not.
_BOTTOM = re.compile(r"\b(?:embeddings|relative_bias)\.")


def freeze(model: nn.Module, num_blocks: int) -> None:
    """Keep the embeddings and the lowest `num_blocks` blocks as they are; nothing when it is 0.

    Weights that are frozen already, as those below an adapter are, stay frozen.

    Raises:
        SettingsError: The model has fewer blocks.
    """
    depth = depths(model)
    blocks = max(depth.values(), default=1) - 1
    if num_blocks > blocks:
        raise SettingsError(f"freeze_layers = {num_blocks}: this model has {blocks} blocks.")
    for name, parameter in model.named_parameters():
        if num_blocks > 0 and depth[name] <= num_blocks:
            parameter.requires_grad_(False)


class Optimizer:
    """AdamW over a model's trainable weights, each step in as few passes over them as can be.

    Clipping is folded into the fused update. The gradient of a large embedding comes as the rows that were looked up
    (see `nn.layers.TokenEmbedding`); they are laid into a tensor of zeros that is kept from step to step.
    """

    def __init__(self, model: nn.Module, settings: TrainingSettings) -> None:
        self.settings = settings
        self.adamw = _FusedAdamW(
            _parameter_groups(model, settings),
            lr=float(settings.learning_rate),
            betas=(settings.adam_beta1, settings.adam_beta2),
            eps=settings.adam_eps,
            fused=True,
        )
        self._looked_up: dict[Tensor, _LookedUp] = {}

    def set_learning_rate(self, step: int, total_steps: int) -> float:
        """Set every group's learning rate for step `step` and return the highest."""
        warmup = warmup_steps(total_steps, self.settings)
        factor = learning_rate_factor(step, total_steps, warmup, self.settings.schedule)
        for group in self.adamw.param_groups:
            group["lr"] = group["peak"] * factor
        return float(max(group["lr"] for group in self.adamw.param_groups))

    def gradient_norm(self) -> Tensor:
        """Length of the whole gradient, before clipping; stays on the device. *Shape:* ()."""
        gradients = []
        for parameter in self._parameters():
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:
                gradients.append(self._lay_out(parameter))
            else:
                gradients.append(parameter.grad)
        return torch.nn.utils.get_total_norm(gradients)

    def step(self, norm: Tensor, *, apply: Tensor, divisor: Tensor | float = 1.0) -> None:
        """Update the weights; a gradient longer than `max_grad_norm` is shortened to it (Pascanu et al. 2013).

        The host waits for none of this: whether the step is applied is decided on the device.

        Args:
            norm: Length of the divided gradient. *Shape:* ()
            apply: If False, weights, moments and the number of steps stay as they are, bit for bit. *Shape:* (), bool
            divisor: What the gradient is still to be divided by. *Shape:* ()
        """
        longest = self.settings.max_grad_norm
        excess = torch.ones_like(norm) if longest is None else (norm / longest).clamp(min=1)
        self.adamw.grad_scale = (excess * divisor).float()
        self.adamw.found_inf = (~apply).float()
        self.adamw.step()

    def clear(self) -> None:
        """Forget the gradient."""
        for parameter, looked_up in self._looked_up.items():
            if parameter.grad is looked_up.gradient:
                looked_up.gradient.index_fill_(0, looked_up.rows, 0.0)
        self.adamw.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on: the moments and the number of steps of each weight."""
        return self.adamw.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put a saved state back."""
        self.adamw.load_state_dict(state)

    def _parameters(self) -> Iterator[Tensor]:
        return (parameter for group in self.adamw.param_groups for parameter in group["params"])

    def _lay_out(self, parameter: Tensor) -> Tensor:
        """Make a sparse gradient dense, and return the rows of it that are not zero."""
        assert parameter.grad is not None
        rows = parameter.grad.coalesce()
        looked_up = self._looked_up.get(parameter)
        if looked_up is None:
            looked_up = self._looked_up[parameter] = _LookedUp(torch.zeros_like(parameter), rows.indices()[0])
        looked_up.rows = rows.indices()[0]
        parameter.grad = looked_up.gradient.index_copy_(0, looked_up.rows, rows.values())
        return rows.values()


class _FusedAdamW(torch.optim.AdamW):
    """PyTorch's, with names for two numbers that its fused kernel reads on the device."""

    grad_scale: Tensor | None = None
    """Every gradient is divided by it."""
    found_inf: Tensor | None = None
    """The kernel does nothing where this is 1."""


@dataclass
class _LookedUp:
    """The gradient of an embedding of which only some rows were looked up."""

    gradient: Tensor
    rows: Tensor
    """Those that are not zero."""


def _parameter_groups(model: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """The trainable weights by depth (layer decay) and by whether they decay (matrices do)."""
    depth = depths(model)
    top = max(depth.values(), default=1)
    groups: dict[tuple[int, bool], list[Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[depth[name], parameter.ndim > 1].append(parameter)
    return [
        {
            "params": parameters,
            "peak": float(settings.learning_rate) * settings.layer_decay ** (top - place),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (place, decays), parameters in sorted(groups.items())
    ]


def warmup_steps(total_steps: int, settings: TrainingSettings) -> int:
    """Steps in which the learning rate rises."""
    return round(total_steps * settings.warmup_ratio)
