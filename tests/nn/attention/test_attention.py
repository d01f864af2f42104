"""Every kernel of the attention, forward and backward, against the formula in double precision."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from headway.nn.attention import attention
from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.blocks import block_layout
from headway.nn.attention.formula import formula
from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.dropout import keep_mask, survivor_scale
from headway.nn.multi_head import SelfAttention
from headway.nn.packing import Packing

HEADS, HEAD_DIM = 3, 8
LENGTHS = [4, 4, 1, 7, 7, 7, 1, 2, 38, 40]  # the last are long: their weights are computed again in the backward pass
KERNELS = {torch.float32: "the CPU's kernels", torch.float64: "the devices' blocks in training"}


def rows(packing: Packing, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(packing.num_tokens, HEADS, HEAD_DIM, generator=draw, dtype=torch.float64).to(dtype)


def one_by_one(
    query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing, masks: list[Tensor] | None = None
) -> Tensor:
    """softmax(Q·Kᵀ / √d_k)·V for each sequence and head by itself, with given scaled dropout masks."""
    outputs = []
    parts = zip(query.split(queries.lengths), key.split(keys.lengths), value.split(keys.lengths), strict=True)
    for index, (q, k, v) in enumerate(parts):
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(HEAD_DIM)
        weights = scores.softmax(-1)
        if masks is not None:
            weights = weights * masks[index]
        outputs.append(torch.einsum("hqk,khd->qhd", weights, v))
    return torch.cat(outputs)


@pytest.fixture(params=["self", "firsts", "cross"])
def packings(request: pytest.FixtureRequest) -> tuple[Packing, Packing]:
    keys = Packing(LENGTHS)
    queries = {"self": keys, "firsts": keys.firsts, "cross": Packing([3, 3, 5, 1, 1, 2, 9, 9, 4, 3])}[request.param]
    return queries, keys


def test_the_formula_says_what_the_paper_says() -> None:
    query, key, value = (torch.randn(2, 5, 4, dtype=torch.float64) for _ in range(3))
    scores = torch.einsum("bqd,bkd->bqk", query, key) / 2
    expected = torch.einsum("bqk,bkd->bqd", scores.exp() / scores.exp().sum(-1, keepdim=True), value)
    torch.testing.assert_close(formula(query, key, value), expected)


def test_the_formula_does_not_look_behind_the_mask() -> None:
    query, key, value = (torch.randn(1, 5, 4) for _ in range(3))
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    seen = formula(query, key, value, mask)
    torch.testing.assert_close(seen[:, :3], formula(query[:, :3], key[:, :3], value[:, :3], mask[:3, :3]))


@pytest.mark.parametrize("dtype", KERNELS, ids=KERNELS.get)
@pytest.mark.parametrize("gradients", [False, True], ids=["inference", "training"])
def test_every_kernel_gives_the_formula(packings: tuple[Packing, Packing], dtype: torch.dtype, gradients: bool) -> None:
    queries, keys = packings
    inputs = [rows(packing, seed, dtype) for seed, packing in enumerate((queries, keys, keys))]
    expected = one_by_one(*(tensor.double() for tensor in inputs), queries, keys)
    for tensor in inputs:
        tensor.requires_grad_(gradients)
    actual = attention(*inputs, queries, keys)
    torch.testing.assert_close(actual.double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "pattern",
    [EVERYWHERE, AttentionPattern(causal=True), AttentionPattern(window=2), AttentionPattern(causal=True, window=3)],
    ids=str,
)
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
@pytest.mark.parametrize("dtype", KERNELS, ids=KERNELS.get)
def test_pattern_bias_and_scale_are_those_of_the_formula(
    pattern: AttentionPattern, biased: bool, dtype: torch.dtype
) -> None:
    packing, scale = Packing(LENGTHS), 0.7
    inputs = [rows(packing, seed) for seed in range(3)]
    longest = packing.max_length
    if biased:
        inputs.append(torch.randn(HEADS, longest, longest, generator=torch.Generator().manual_seed(3)))
    exact = [tensor.double().requires_grad_() for tensor in inputs]
    ours = [tensor.to(dtype).requires_grad_() for tensor in inputs]

    outputs = []
    for index, (q, k, v) in enumerate(zip(*(tensor.split(packing.lengths) for tensor in exact[:3]), strict=True)):
        length = packing.lengths[index]
        scores = scale * torch.einsum("qhd,khd->hqk", q, k)
        if biased:
            scores = scores + exact[3][:, :length, :length]
        scores = scores.masked_fill(~pattern.mask(length, length), -math.inf)
        outputs.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), v))
    expected = torch.cat(outputs)

    def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        added = None if bias is None else AttentionBias(bias)
        return attention(query, key, value, packing, packing, pattern=pattern, bias=added, scale=scale)

    with torch.no_grad():
        torch.testing.assert_close(attend(*ours).double(), expected, atol=1e-6, rtol=1e-5)
    actual = attend(*ours)
    torch.testing.assert_close(actual.double(), expected, atol=1e-6, rtol=1e-5)
    weight = rows(packing, 8)
    expected.backward(weight.double())
    actual.backward(weight.to(dtype))
    for mine, theirs in zip(ours, exact, strict=True):
        torch.testing.assert_close(mine.grad.double(), theirs.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.6])
def test_the_gradient_written_out_is_the_formulas(packings: tuple[Packing, Packing], probability: float) -> None:
    queries, keys = packings
    inputs = [rows(packing, seed).requires_grad_() for seed, packing in enumerate((queries, keys, keys))]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    grad_output = rows(queries, 9)

    torch.manual_seed(4)
    actual = attention(*inputs, queries, keys, dropout_probability=probability)
    actual.backward(grad_output)
    torch.manual_seed(4)
    expected = one_by_one(*exact, queries, keys, drawn_masks(queries, keys, probability))
    expected.backward(grad_output.double())

    torch.testing.assert_close(actual.double(), expected, atol=1e-5, rtol=1e-5)
    for name, ours, theirs in zip(("query", "key", "value"), inputs, exact, strict=True):
        torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=1e-5, rtol=1e-5, msg=f"gradient of {name}")


def drawn_masks(queries: Packing, keys: Packing, probability: float) -> list[Tensor] | None:
    """The scaled masks that the kernel draws from the same seed: at once for all blocks, a sequence's part cut out."""
    if probability == 0:
        return None
    layout = block_layout(queries, keys, HEADS)
    shapes = [(run.num_sequences, HEADS, run.query_length, run.key_length) for run in layout.runs]
    drawn = keep_mask((sum(math.prod(shape) for shape in shapes),), probability)
    blocks = [part.view(shape) for part, shape in zip(drawn.split([math.prod(s) for s in shapes]), shapes, strict=True)]
    drawn_masks = [mask.double() * survivor_scale(probability) for block in blocks for mask in block]
    masks = [drawn_masks[layout.order.index(sequence)] for sequence in range(len(keys))]
    lengths = zip(queries.lengths, keys.lengths, strict=True)
    return [mask[:, :query, :key] for mask, (query, key) in zip(masks, lengths, strict=True)]


@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_the_gradient_agrees_with_finite_differences(probability: float) -> None:
    packing = Packing([3, 2])
    inputs = [rows(packing, seed).requires_grad_() for seed in range(3)]
    direction = [rows(packing, seed + 10) for seed in range(3)]
    weight = rows(packing, 20)

    def loss(step: float) -> Tensor:
        torch.manual_seed(0)
        moved = [tensor + step * towards for tensor, towards in zip(inputs, direction, strict=True)]
        return (attention(*moved, packing, packing, dropout_probability=probability) * weight).double().sum()

    loss(0.0).backward()
    slope = sum((tensor.grad * towards).sum().item() for tensor, towards in zip(inputs, direction, strict=True))
    difference = (loss(1e-2) - loss(-1e-2)).item() / 2e-2
    assert slope == pytest.approx(difference, rel=2e-3)


def test_large_scores_stay_finite() -> None:
    packing = Packing([5, 3])
    query, key, value = (rows(packing, seed).mul_(100).requires_grad_() for seed in range(3))
    attended = attention(query, key, value, packing, packing)
    attended.sum().backward()
    assert all(tensor.isfinite().all() for tensor in (attended, query.grad, key.grad, value.grad))


@pytest.mark.parametrize("dtype", KERNELS, ids=KERNELS.get)
def test_attention_dropout_keeps_the_expectation(dtype: torch.dtype) -> None:
    packing = Packing([6, 4])
    query, key, value = (rows(packing, seed, dtype).requires_grad_() for seed in range(3))
    torch.manual_seed(0)
    draws = [attention(query, key, value, packing, packing, dropout_probability=0.2) for _ in range(1500)]
    assert not torch.equal(draws[0], draws[1])
    torch.testing.assert_close(
        torch.stack(draws).mean(0), attention(query, key, value, packing, packing), atol=0.08, rtol=0
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("pattern", [EVERYWHERE, AttentionPattern(causal=True), AttentionPattern(window=1)], ids=str)
def test_half_precision_hides_what_is_filled_in_and_stays_finite(
    dtype: torch.dtype, pattern: AttentionPattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half precision may not reach −10³⁰, and a row that is filled in may see nothing at all."""

    def finite(*args: Tensor, attn_mask: Tensor, **rest: Any) -> Tensor:
        assert attn_mask.isfinite().all()  # a GPU's kernel may make NaN of a row of −∞
        return fused(*args, attn_mask=attn_mask, **rest)

    fused = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "scaled_dot_product_attention", finite)
    packing = Packing([2, 5, 40, 48, 43, 50, 41])
    longest = packing.max_length
    inputs = [rows(packing, seed) for seed in range(3)]
    inputs.append(torch.randn(HEADS, longest, longest, generator=torch.Generator().manual_seed(3)))
    results = []
    for kind in (torch.float64, dtype):
        q, k, v, bias = leaves = [tensor.to(dtype).to(kind).requires_grad_() for tensor in inputs]
        attended = attention(q, k, v, packing, packing, pattern=pattern, bias=AttentionBias(bias))
        results.append([attended.detach(), *torch.autograd.grad(attended, leaves, rows(packing, 8, kind))])
    for exact, ours in zip(*results, strict=True):
        assert float((ours.double() - exact).abs().max() / exact.abs().max()) < 2e-2


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="d_model 10 is not divisible by 3 heads"):
        SelfAttention(10, 3)
