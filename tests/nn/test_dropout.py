"""Dropout drops the share that it is told, leaves the mean, and its gradient passes where its values did."""

import pytest
import torch

from headway.nn.dropout import Dropout, dropout, keep_mask, survivor_scale


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
def test_the_dropped_share_is_the_probability(probability: float) -> None:
    torch.manual_seed(0)
    count = 1_000_000
    dropped = 1 - keep_mask((count,), probability).float().mean().item()
    assert dropped == pytest.approx(probability, abs=5 * (probability * (1 - probability) / count) ** 0.5 + 1 / 65536)


def test_survivors_are_scaled_so_that_the_mean_is_kept() -> None:
    torch.manual_seed(1)
    output = dropout(torch.ones(1_000_000), 0.1)
    assert output.unique().tolist() == pytest.approx([0.0, 1 / 0.9], rel=1e-4)
    assert output.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert survivor_scale(0.5) == 2.0


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(2)
    keep = keep_mask((1_000_000,), 0.5).float() - 0.5
    for distance in (1, 2, 3, 4, 8):
        assert (keep[:-distance] * keep[distance:]).mean().abs().item() < 1.5e-3


def test_the_gradient_passes_where_the_values_did() -> None:
    torch.manual_seed(3)
    input = torch.randn(37, 5, requires_grad=True)
    output = dropout(input, 0.4)
    weight = torch.randn(37, 5)
    (output * weight).sum().backward()
    passed = torch.where(output == 0, 0, survivor_scale(0.4))
    torch.testing.assert_close(output, input * passed)
    torch.testing.assert_close(input.grad, weight * passed)


def test_the_same_seed_drops_the_same() -> None:
    masks = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        masks.append(keep_mask((3, 7, 11), 0.3))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_nothing_is_dropped_in_evaluation_or_at_zero() -> None:
    input = torch.randn(8)
    assert Dropout(0.5).eval()(input) is input
    assert Dropout(0.0).train()(input) is input
    assert not torch.equal(Dropout(0.5).train()(torch.ones(64)), torch.ones(64))
    assert repr(Dropout(0.25)) == "Dropout(0.25)"
