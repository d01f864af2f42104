"""What a classifier is trained to minimise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headway.training.loss import LossSum

__all__ = ["LabelLoss"]


@dataclass(frozen=True)
class LabelLoss:
    """Cross-entropy over the labels, or for multi-label one binary cross-entropy per label; as sums.

    Dividing once by the sum of the divisors over all micro-batches of a step gives the step's exact mean.
    """

    multi: bool
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    """Weight of each label; for multi-label, of its positive rows. *Shape:* (labels,)."""

    def of(self, logits: Tensor, labels: Tensor) -> LossSum:
        """The loss of a batch.

        Args:
            logits: *Shape:* (rows, num_labels).
            labels: Class indices, *shape:* (rows,); shares of each label, *shape:* (rows, num_labels), for multi-label
                and for mixed images.
        """
        if self.multi:
            return self._binary(logits, labels)
        objective = functional.cross_entropy(
            logits, labels, self.class_weights, reduction="sum", label_smoothing=self.label_smoothing
        )
        plain = functional.cross_entropy(logits.detach(), labels, reduction="sum")
        count = float(len(labels))
        divisor: Tensor | float = count
        if self.class_weights is not None:
            weights = self.class_weights
            divisor = weights[labels].sum() if labels.ndim == 1 else (labels @ weights).sum()
        return LossSum(objective, plain, divisor, count=count, outputs=logits.detach())

    def _binary(self, logits: Tensor, labels: Tensor) -> LossSum:
        smoothed = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
        objective = functional.binary_cross_entropy_with_logits(
            logits, smoothed, pos_weight=self.class_weights, reduction="sum"
        )
        plain = functional.binary_cross_entropy_with_logits(logits.detach(), labels, reduction="sum")
        count = float(labels.numel())
        return LossSum(objective, plain, count, count=count, outputs=logits.detach())

    @staticmethod
    def balanced_weights(targets: NDArray[Any], num_labels: int, multi: bool) -> Tensor:
        """Weights that make every label count the same: rows / (labels · rows of the label), as in scikit-learn.

        For multi-label: negatives / positives of each label.
        """
        if multi:
            positives = np.maximum(targets.astype(np.float64).sum(0), 1)
            return torch.tensor((len(targets) - positives).clip(min=1) / positives, dtype=torch.float32)
        counts = np.maximum(np.bincount(targets.astype(np.int64), minlength=num_labels), 1)
        return torch.tensor(len(targets) / (num_labels * counts), dtype=torch.float32)
