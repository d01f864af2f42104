"""Eight bits: as near to float as their steps are fine, whatever the tokens beside and however large the weights."""

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from headway.nn.layers import ACTIVATIONS, IN_PLACE, LOWEST, FeedForward
from headway.nn.linear import Int8Linear, Linear, num_parameters, quantize


def error(linear: nn.Linear, input: Tensor, lowest: float | None = None) -> float:
    """How far eight bits are off, in standard deviations of the exact output."""
    with torch.inference_mode():
        exact = linear(input)
        return float((Int8Linear(linear, lowest)(input) - exact).std() / exact.std())


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_eight_bits_are_within_a_hundredth() -> None:
    torch.manual_seed(0)
    for bias in (True, False):
        assert error(nn.Linear(96, 64, bias), normal(50, 96)) < 0.015


def test_a_token_with_outliers_makes_the_others_no_coarser() -> None:
    torch.manual_seed(0)
    linear, input = nn.Linear(96, 64), normal(50, 96)
    input[7, 3] = 300
    quantized = Int8Linear(linear)
    with torch.inference_mode():
        together = quantized(input)
        assert torch.equal(quantized(input[:7]), together[:7])
        assert (together - linear(input))[:7].std() < 0.01
        assert (together - linear(input))[7].std() < 0.03 * linear(input)[7].std()


def test_tokens_of_any_size_are_read() -> None:
    torch.manual_seed(0)
    linear, sizes = nn.Linear(96, 64, bias=False), torch.tensor([[1e-20], [1.0], [1e20]])
    with torch.inference_mode():
        output = Int8Linear(linear)(normal(1, 96) * sizes)
        assert torch.allclose(output / sizes, output[1].expand(3, -1), rtol=1e-4)
        assert Int8Linear(linear)(torch.zeros(2, 96)).eq(0).all()


@pytest.mark.parametrize("in_features", [96, 97])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_large_products_are_not_cut_off(in_features: int, sign: int) -> None:
    # All weights and inputs are the largest: sixteen bits hold 255·127, but not twice as much.
    linear = nn.Linear(in_features, 64)
    nn.init.constant_(linear.weight, sign)
    with torch.inference_mode():
        input = torch.ones(3, in_features)
        assert torch.allclose(Int8Linear(linear)(input), linear(input), rtol=0.01)


def test_a_slice_is_a_slice_of_the_whole() -> None:
    torch.manual_seed(0)
    linear, input = Linear(96, 192), normal(20, 96)
    alone = nn.Linear(96, 64)
    alone.weight.data, alone.bias.data = linear.weight[64:128].clone(), linear.bias[64:128].clone()
    with torch.inference_mode():
        whole, part = Int8Linear(linear)(input), Int8Linear(linear).forward_slice(input, 64, 128)
        assert torch.allclose(part, whole[:, 64:128], atol=1e-6)
        assert torch.equal(part, Int8Linear(alone)(input))


def test_float_weights_are_freed_and_still_counted() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 96), Linear(96, 192), Linear(192, 64, bias=False), nn.Linear(64, 3))
    before = num_parameters(model)
    weights = [weakref.ref(layer.weight) for layer in list(model)[1:3]]
    quantize(model)
    with torch.inference_mode():
        model[1].forward_slice(normal(5, 96), 0, 64)
    gc.collect()
    assert [weight() for weight in weights] == [None, None]
    floats = [kept for layer in list(model)[1:3] for kept in vars(layer).values() if isinstance(kept, Tensor)]
    assert sum(kept.numel() for kept in floats) == 192  # a bias
    assert num_parameters(model) == before == sum(p.numel() for p in model.parameters()) + 96 * 192 + 192 + 192 * 64


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_activations_never_give_less_than_makes_the_grid_finer(name) -> None:
    torch.manual_seed(0)
    activated = ACTIVATIONS[name](4 * normal(400, 96))
    assert LOWEST[name] <= activated.min() < LOWEST[name] + 0.01
    assert torch.equal(IN_PLACE[name](4 * normal(400, 96)), activated)
    linear = nn.Linear(96, 64)
    assert error(linear, activated, LOWEST[name]) < (1.05 if name == "tanh" else 0.9) * error(linear, activated)


@pytest.mark.parametrize("gated", [True, False])
def test_a_feed_forward_layer_tells_its_second_what_it_reads(gated: bool) -> None:
    torch.manual_seed(0)
    layer = FeedForward(64, 128, "gelu", gated=gated, bias=True, dropout=0.0)
    with torch.inference_mode():
        exact = layer(normal(50, 64))
        coarse = quantize(layer)(normal(50, 64))
    assert isinstance(layer.up, Int8Linear)
    assert isinstance(layer.down, Int8Linear)
    assert layer.up.lowest is None
    assert layer.down.lowest == (None if gated else LOWEST["gelu"])
    assert (coarse - exact).std() < 0.03 * exact.std()


@pytest.mark.parametrize("engine", ["qnnpack", "onednn"])  # phones, and Linux on ARM
def test_other_processors_kernels_give_nearly_the_same(engine: str) -> None:
    torch.manual_seed(0)
    usual = torch.backends.quantized.engine
    if engine not in torch.backends.quantized.supported_engines:
        pytest.skip(f"PyTorch was built without {engine}")
    try:
        torch.backends.quantized.engine = engine
        assert error(nn.Linear(96, 64), normal(50, 96)) < 0.02
        assert error(nn.Linear(96, 64), normal(50, 96).relu(), 0.0) < 0.02
    finally:
        torch.backends.quantized.engine = usual
