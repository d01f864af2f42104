"""The losses by their formulas."""

import numpy as np
import pytest
import torch
from headway.tasks.classification.loss import Loss, balanced_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -0.2]])


def test_cross_entropy_is_the_sum_of_negative_log_probabilities():
    labels = torch.tensor([0, 2])
    probabilities = LOGITS.exp() / LOGITS.exp().sum(-1, keepdim=True)
    expected = -(probabilities[0, 0].log() + probabilities[1, 2].log())
    loss = Loss(multi=False)
    assert float(loss.total(LOGITS, labels)) == pytest.approx(float(expected))
    assert loss.divisor(labels) == 2


def test_class_weights_count_rows_and_divisor_alike():
    labels = torch.tensor([0, 2])
    weights = torch.tensor([1.0, 1.0, 3.0])
    loss = Loss(multi=False, class_weights=weights)
    mean = torch.nn.functional.cross_entropy(LOGITS, labels, weights)
    assert float(loss.total(LOGITS, labels) / loss.divisor(labels)) == pytest.approx(float(mean))


def test_multi_label_is_one_binary_cross_entropy_a_label():
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    p = LOGITS.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum()
    loss = Loss(multi=True)
    assert float(loss.total(LOGITS, labels)) == pytest.approx(float(expected))
    assert loss.divisor(labels) == 6


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    targets = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    assert balanced_weights(targets, 3, multi=False).tolist() == pytest.approx(expected.tolist())
    several = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], dtype=np.float32)
    assert balanced_weights(several, 2, multi=True).tolist() == pytest.approx([1 / 3, 3.0])
