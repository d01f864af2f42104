"""What the steps so far have come to, kept on the device until somebody asks: a training step waits for nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["StepFigures", "StepLog"]


@dataclass(frozen=True)
class StepFigures:
    """One step, as read on the host."""

    step: int
    """Its number, counting from 1."""
    epoch: float
    """Passes over the data after it."""
    loss: float
    """Mean objective."""
    divisor: float
    """What the loss was divided by: its weight in a mean over several steps."""
    gradient_norm: float
    """Length of the gradient, before clipping."""
    applied: bool
    """False for a step that was refused because its loss or gradient is not finite."""


class StepLog:
    """Figures of the steps since they were last read."""

    def __init__(self) -> None:
        self._positions: list[tuple[int, float]] = []
        self._figures: list[Tensor] = []

    def add(
        self, step: int, epoch: float, *, loss: Tensor, divisor: Tensor, gradient_norm: Tensor, applied: Tensor
    ) -> None:
        """Note down a step without reading its figures. *Shape:* every tensor ()."""
        self._positions.append((step, epoch))
        self._figures.append(torch.stack([figure.float() for figure in (loss, divisor, gradient_norm, applied)]))

    def read(self) -> list[StepFigures]:
        """The steps since the last reading, in order; waits once for the device."""
        if not self._figures:
            return []
        rows = torch.stack(self._figures).tolist()
        read = [
            StepFigures(step, epoch, loss, divisor, norm, bool(applied))
            for (step, epoch), (loss, divisor, norm, applied) in zip(self._positions, rows, strict=True)
        ]
        self._positions.clear()
        self._figures.clear()
        return read
