"""Linear layers: in float, and in eight bits for faster inference on a CPU."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.nn.layers import FeedForward

__all__ = ["Int8Linear", "Linear", "num_parameters", "quantize"]


class Linear(nn.Linear):
    """y = x·Wᵀ + b, which can also compute only some of its outputs."""

    def forward_slice(self, input: Tensor, start: int, stop: int) -> Tensor:
        """Outputs `start` to `stop` only. *Shape:* (tokens, in_features) → (tokens, stop − start)."""
        bias = None if self.bias is None else self.bias[start:stop]
        return functional.linear(input, self.weight[start:stop], bias)


class Int8Linear(nn.Module):
    """The same product in eight bits: weights with one scale per output channel, inputs with one scale per token.

    Weights are symmetric, w ≈ s_channel · q with q in −127 … 127. A token is divided by its largest number (by 1 at
    least where `lowest` is known), and one grid of 256 steps fits them all ("vector-wise", Dettmers et al. 2022,
    https://arxiv.org/abs/2208.07339): outliers in one token do not coarsen the others, and no output depends on
    other tokens, except where the CPU's kernel finds its grid by itself (other than x86). For inference on a CPU.
    """

    def __init__(self, linear: nn.Linear, lowest: float | None = None) -> None:
        """Take the weights of a layer.

        Args:
            linear: The layer.
            lowest: Lower bound of the inputs, in −1 … 0, where known: the grid is then finer.
        """
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.lowest = lowest
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._packed = {(0, self.out_features): _pack(*_quantized(linear.weight.detach().float()))}

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens, in_features) → (tokens, out_features)."""
        return self.forward_slice(input, 0, self.out_features)

    @torch.no_grad()
    def forward_slice(self, input: Tensor, start: int, stop: int) -> Tensor:
        """Outputs `start` to `stop` only. *Shape:* (tokens, in_features) → (tokens, stop − start)."""
        if (start, stop) not in self._packed:
            weight, scales = _unpack(self._packed[0, self.out_features])
            self._packed[start, stop] = _pack(weight[start:stop], scales[start:stop])
        peaks = self._peaks(input)
        output = self._multiply(input * peaks.reciprocal(), self._packed[start, stop])
        if self._bias is None:
            return output.mul_(peaks)
        return torch.addcmul(self._bias[start:stop], output, peaks, out=output)

    @property
    def num_parameters(self) -> int:
        """Number of weights and biases of the layer that this one replaces."""
        return self.in_features * self.out_features + (0 if self._bias is None else self.out_features)

    def _peaks(self, input: Tensor) -> Tensor:
        """Divisor of each token, so that it fits the grid. *Shape:* (tokens, in_features) → (tokens, 1)."""
        highest = input.amax(-1, keepdim=True)
        if self.lowest is not None:
            return highest.clamp_min_(1)
        return torch.maximum(highest, input.amin(-1, keepdim=True).neg_()).clamp_min_(1e-30)

    def _multiply(self, input: Tensor, packed: object) -> Tensor:
        """The product with inputs in `lowest` … 1. *Shape:* (tokens, in_features) → (tokens, outputs)."""
        if torch.backends.quantized.engine not in ("x86", "fbgemm"):  # other engines have no kernel that takes the grid
            return torch.ops.quantized.linear_dynamic(input, packed)
        lowest = -1 if self.lowest is None else self.lowest
        step = (1 - lowest) / 255
        zero_point = round(-lowest / step)
        return torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(input, step, zero_point, packed)


@contextmanager
def _quantized_tensors() -> Iterator[None]:
    """PyTorch warns that it will move its quantized tensors elsewhere.

    The kernel takes nothing else, and is the fastest on a CPU without matrix instructions (measured against
    onednn.qlinear_pointwise).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*quantized tensor creation functions.*")
        yield


def _quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix in eight bits, and the scale of each output.

    *Shape:* (outputs, in_features) → (outputs, in_features), int8, and (outputs,), float64
    """
    scales = (_largest_pairs(weight).clamp_min(torch.finfo(torch.float32).tiny) / 127).double()
    with _quantized_tensors():
        return torch.quantize_per_channel(weight, scales, _zeros(weight), 0, torch.qint8).int_repr(), scales


def _pack(weight: Tensor, scales: Tensor) -> object:
    """The kernel's packed form. *Shape:* weight (outputs, in_features), int8, and scales (outputs,), float64."""
    with _quantized_tensors():
        quantized = torch._make_per_channel_quantized_tensor(weight, scales, _zeros(weight), 0)
        return torch.ops.quantized.linear_prepack(quantized, None)


def _zeros(weight: Tensor) -> Tensor:
    """The zero point of each output: weights are symmetric."""
    return torch.zeros(len(weight), dtype=torch.int64)


def _unpack(packed: object) -> tuple[Tensor, Tensor]:
    """What `_pack` was given."""
    quantized, _ = torch.ops.quantized.linear_unpack(packed)
    return quantized.int_repr(), quantized.q_per_channel_scales()


def _largest_pairs(weight: Tensor) -> Tensor:
    """The largest weight of each output, or sum of two neighbours: what 127 represents.

    AVX2 adds two neighbouring products in sixteen bits (`vpmaddubsw`) and silently saturates: with
    inputs up to 255, two weights of the same sign may sum to 128 at most.

    *Shape:* (outputs, in_features) → (outputs,)
    """
    pairs = functional.pad(weight, (0, weight.shape[1] % 2)).unflatten(1, (-1, 2))
    return torch.maximum(weight.abs().amax(1), pairs.sum(2).abs().amax(1))


def quantize(model: nn.Module) -> nn.Module:
    """Replace every linear layer of `model` except the last small ones by its eight-bit form, in place.

    Their float weights are freed: about a quarter of the memory is left.

    Layers with fewer than 64 outputs stay in float: they cost little, and every answer depends on them.
    """
    for name, child in model.named_children():
        if isinstance(child, nn.Linear):
            if child.out_features >= 64:
                lowest = model.lowest if isinstance(model, FeedForward) and child is model.down else None
                setattr(model, name, Int8Linear(child, lowest))
        else:
            quantize(child)
    return model


def num_parameters(module: nn.Module) -> int:
    """Number of a module's parameters, those of eight-bit layers included; shared ones count once."""
    quantized = sum(part.num_parameters for part in module.modules() if isinstance(part, Int8Linear))
    return quantized + sum(parameter.numel() for parameter in module.parameters())
