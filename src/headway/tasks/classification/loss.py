"""What a classifier is trained to make small."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headway.training.loss import LossSum

__all__ = ["Loss", "balanced_weights"]


@dataclass(frozen=True)
class Loss:
    """Cross-entropy over the labels, or for multi-label one binary cross-entropy a label; as sums, with their divisor.

    Dividing once by the sum of the divisors of all micro-batches of a step gives the step's exact mean.
    """

    multi: bool
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    """Weight of each label; for multi-label, of its positive rows. *Shape:* (labels,)."""

    def sum(self, logits: Tensor, labels: Tensor) -> LossSum:
        """What training minimises, beside the plain loss. *Shape:* as in `total`."""
        objective = self.total(logits, labels)
        plain = objective.detach()
        if self.label_smoothing or self.class_weights is not None:
            plain = Loss(self.multi).total(logits.detach(), labels)
        return LossSum(objective, plain, self.divisor(labels))

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Sum over the rows. *Shape:* logits (rows, num_labels), labels (rows,) or (rows, num_labels) → ()."""
        if not self.multi:
            return functional.cross_entropy(
                logits, labels, self.class_weights, reduction="sum", label_smoothing=self.label_smoothing
            )
        smoothed = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
        return functional.binary_cross_entropy_with_logits(
            logits, smoothed, pos_weight=self.class_weights, reduction="sum"
        )

    def divisor(self, labels: Tensor) -> Tensor | float:
        """What the sum is divided by: the rows, weighted as their labels are; for multi-label every row × label."""
        if self.multi:
            return float(labels.numel())
        return float(len(labels)) if self.class_weights is None else self.class_weights[labels].sum()


def balanced_weights(targets: NDArray[np.generic], num_labels: int, multi: bool) -> Tensor:
    """Weights that make every label count the same: rows / (labels · rows of the label), as in scikit-learn.

    For multi-label: negatives / positives of each label.
    """
    if multi:
        positives = np.maximum(targets.astype(np.float64).sum(0), 1)
        return torch.tensor((len(targets) - positives).clip(min=1) / positives, dtype=torch.float32)
    counts = np.maximum(np.bincount(targets.astype(np.int64), minlength=num_labels), 1)
    return torch.tensor(len(targets) / (num_labels * counts), dtype=torch.float32)
