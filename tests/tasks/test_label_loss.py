"""The losses by their formulas."""

import numpy as np
import pytest
import torch

from headway.tasks.label_loss import LabelLoss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -0.2]])


def test_cross_entropy_is_the_sum_of_negative_log_probabilities():
    labels = torch.tensor([0, 2])
    probabilities = LOGITS.exp() / LOGITS.exp().sum(-1, keepdim=True)
    expected = -(probabilities[0, 0].log() + probabilities[1, 2].log())
    loss = LabelLoss(multi=False).of(LOGITS, labels)
    assert float(loss.objective) == pytest.approx(float(expected))
    assert float(loss.nll) == pytest.approx(float(expected))
    assert (loss.divisor, loss.count) == (2, 2)


def test_class_weights_count_rows_and_divisor_alike():
    labels = torch.tensor([0, 2])
    weights = torch.tensor([1.0, 1.0, 3.0])
    loss = LabelLoss(multi=False, class_weights=weights).of(LOGITS, labels)
    mean = torch.nn.functional.cross_entropy(LOGITS, labels, weights)
    assert float(loss.objective / loss.divisor) == pytest.approx(float(mean))
    plain = torch.nn.functional.cross_entropy(LOGITS, labels, reduction="sum")
    assert float(loss.nll) == pytest.approx(float(plain))  # what validation watches knows no weights
    assert loss.count == 2


def test_class_weights_of_mixed_labels_are_those_of_their_shares():
    """Half of one image and half of another: the divisor is the mean of both weights."""
    weights = torch.tensor([1.0, 1.0, 3.0])
    labels = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    loss = LabelLoss(multi=False, class_weights=weights).of(LOGITS, labels)
    expected = -(labels * weights * LOGITS.log_softmax(-1)).sum()
    assert float(loss.objective) == pytest.approx(float(expected))
    assert float(loss.divisor) == pytest.approx(2 + 1)


def test_smoothing_changes_the_objective_and_not_the_plain_loss():
    labels = torch.tensor([0, 2])
    plain, smoothed = (LabelLoss(multi=False, label_smoothing=amount).of(LOGITS, labels) for amount in (0.0, 0.2))
    assert float(smoothed.nll) == float(plain.nll)
    spread = 0.8 * torch.eye(3)[labels] + 0.2 / 3
    assert float(smoothed.objective) == pytest.approx(float(-(spread * LOGITS.log_softmax(-1)).sum()))


def test_multi_label_is_one_binary_cross_entropy_per_label():
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    p = LOGITS.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum()
    loss = LabelLoss(multi=True).of(LOGITS, labels)
    assert float(loss.objective) == pytest.approx(float(expected))
    assert (loss.divisor, loss.count) == (6, 6)


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    targets = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    assert LabelLoss.balanced_weights(targets, 3, multi=False).tolist() == pytest.approx(expected.tolist())
    several = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], dtype=np.float32)
    assert LabelLoss.balanced_weights(several, 2, multi=True).tolist() == pytest.approx([1 / 3, 3.0])
