"""Dropout (Srivastava et al. 2014) that costs little on a CPU.

PyTorch draws one double-precision number per element on the CPU, one after the other: 10 to 20 ns per element, more
than the matrix product beside it at short lengths. Sixteen random bits decide just as well: the share dropped is a
multiple of 1/65536 (0.1 becomes 0.100006), and the survivors are scaled by exactly that share, so the expectation is
kept.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Dropout", "dropout", "keep_mask", "survivor_scale"]

_WORDS = 2**16


def _dropped_words(probability: float) -> int:
    """How many of the 65,536 words of sixteen bits mean "drop"; never all of them."""
    return min(round(probability * _WORDS), _WORDS - 1)


def survivor_scale(probability: float) -> float:
    """Factor of the kept elements, so that the expected value stays the same."""
    return _WORDS / (_WORDS - _dropped_words(probability))


def keep_mask(shape: torch.Size | tuple[int, ...], probability: float) -> Tensor:
    """Random mask on the CPU from torch's default generator, 1 = keep.

    *Shape:* `shape`, int8: multiplying by it is several times faster than by a bool.
    """
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    keep = torch.empty(count, dtype=torch.bool)
    torch.ge(words, _dropped_words(probability) - _WORDS // 2, out=keep)
    return keep.view(torch.int8).view(shape)


class _CpuDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, probability: float) -> Tensor:
        keep = keep_mask(input.shape, probability)
        ctx.save_for_backward(keep)
        ctx.scale = survivor_scale(probability)
        return (input * keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return (grads[0] * keep).mul_(ctx.scale), None


def dropout(input: Tensor, probability: float, training: bool = True) -> Tensor:
    """Zero each element with `probability` and scale the others so that the mean is kept; nothing when not training.

    *Shape:* any → the same
    """
    if not training or _dropped_words(probability) == 0:
        return input
    if input.device.type != "cpu":
        return functional.dropout(input, probability)
    return _CpuDropout.apply(input, probability)


class Dropout(nn.Module):
    """`dropout` as a module: it stops when the model is set to `eval()`."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* any → the same."""
        return dropout(input, self.probability, self.training)

    def extra_repr(self) -> str:
        """The probability, for printing the model."""
        return f"{self.probability:g}"
