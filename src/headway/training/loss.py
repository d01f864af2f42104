"""What a batch's loss is made of: sums and their divisor, so that a step's mean is exact however it is divided."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["LossSum"]


@dataclass(frozen=True)
class LossSum:
    """The loss of one micro-batch, summed; nothing in it needs to be read on the host."""

    objective: Tensor
    """Sum of what is minimised, with smoothing and weights. *Shape:* (), on the device, with a graph."""

    nll: Tensor
    """Sum of the plain negative log-likelihood, without smoothing and weights, detached. *Shape:* ()."""

    divisor: Tensor | float
    """What both sums are divided by after they are added up over all micro-batches of a step: rows, targets or their
    weights. *Shape:* () if a tensor."""

    count: float = 0.0
    """What the plain sum is divided by in validation: rows or targets, without weights."""

    outputs: Tensor | None = None
    """What the network gave, where the answers can be read off it: logits, detached."""

    def divisor_tensor(self) -> Tensor:
        """The divisor beside the objective: same device and dtype. *Shape:* ()."""
        if isinstance(self.divisor, Tensor):
            return self.divisor.to(self.objective)
        # Filled in on the device: copying a number there would wait for it.
        return self.objective.new_full((), self.divisor)
