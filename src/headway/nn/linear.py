"""Linear layers: in float, and in eight bits for faster answers on a processor."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Int8Linear", "Linear", "quantize"]


class Linear(nn.Linear):
    """y = x·Wᵀ + b, which can also compute only some of its outputs."""

    def forward_slice(self, input: Tensor, start: int, stop: int) -> Tensor:
        """Outputs `start` to `stop` only. *Shape:* (tokens, in_features) → (tokens, stop − start)."""
        bias = None if self.bias is None else self.bias[start:stop]
        return functional.linear(input, self.weight[start:stop], bias)


class Int8Linear(nn.Module):
    """The same product with eight-bit weights, one scale an output channel, inputs quantized as they come.

    Weights are symmetric, w ≈ s_channel · q with q in −127 … 127; inputs are asymmetric, with one scale and zero point
    a batch (Jacob et al. 2018, https://arxiv.org/abs/1712.05877). For inference on a processor only.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._source = (linear.weight.detach(), None if linear.bias is None else linear.bias.detach())
        self._packed: dict[tuple[int, int], object] = {}

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens, in_features) → (tokens, out_features)."""
        return self.forward_slice(input, 0, self.out_features)

    def forward_slice(self, input: Tensor, start: int, stop: int) -> Tensor:
        """Outputs `start` to `stop` only. *Shape:* (tokens, in_features) → (tokens, stop − start)."""
        if (start, stop) not in self._packed:
            self._packed[start, stop] = self._pack(start, stop)
        return torch.ops.quantized.linear_dynamic(input, self._packed[start, stop], reduce_range=False)

    def _pack(self, start: int, stop: int) -> object:
        weight, bias = self._source
        weight = weight[start:stop].float()
        scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        zero_points = torch.zeros(stop - start, dtype=torch.int64)
        with warnings.catch_warnings():
            # PyTorch means to move its quantized tensors elsewhere; the kernel below takes nothing else, and is the
            # fastest on a processor without matrix instructions (measured against onednn.qlinear_pointwise).
            warnings.filterwarnings("ignore", message=".*quantized tensor creation functions.*")
            quantized = torch.quantize_per_channel(weight, scales.double(), zero_points, 0, torch.qint8)
        return torch.ops.quantized.linear_prepack(quantized, None if bias is None else bias[start:stop].float())


def quantize(model: nn.Module) -> nn.Module:
    """Replace every linear layer of `model` but the last small ones by its eight-bit form, in place.

    Layers with fewer than 64 outputs stay in float: they cost nothing, and every answer hangs on them.
    """
    for name, child in model.named_children():
        if isinstance(child, nn.Linear):
            if child.out_features >= 64:
                setattr(model, name, Int8Linear(child))
        else:
            quantize(child)
    return model
