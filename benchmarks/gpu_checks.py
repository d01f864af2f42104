"""The packed kernels checked against the formula, on whatever device there is."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.lengths import Batch, draw_batch, draw_lengths
from headway.device import autocast
from headway.models.classifier import Classifier
from headway.models.config import ModelConfig
from headway.nn.attention import attention
from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.pattern import EVERYWHERE, AttentionPattern
from headway.nn.packing import Packing

if TYPE_CHECKING:
    from benchmarks.pairs import Ours, Theirs

__all__ = [
    "CASES",
    "NUM_LABELS",
    "Case",
    "Check",
    "check_attention",
    "check_dropout",
    "check_families",
    "check_packing",
    "packed",
    "run_checks",
]

NUM_LABELS = 2
# The largest error against float64, as a share of the reference's largest value. A number of bfloat16 keeps 8 bits, of
# float16 11 (half a unit in the last place: 2e-3 and 2.4e-4); weights, sums and results are each rounded once or twice.
KERNEL_TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 1e-5}
# Logits of a whole model against float32: every layer rounds. On a GPU float32 may sum in another order.
FAMILY_TOLERANCE = {torch.bfloat16: 3e-2, torch.float32: 1e-4}
# How many times as far as theirs our gradient may be from float32's: T5's is ten times as far as BERT's, in both.
GRADIENT_TOLERANCE = 2.0
# Logits of a text in a batch and alone: other shapes, so other orders of summation, through all blocks.
PACKING_TOLERANCE = {torch.bfloat16: 5e-2, torch.float16: 1e-2, torch.float32: 1e-5}


@dataclass(frozen=True)
class Check:
    """One comparison with its tolerance."""

    name: str
    error: float
    tolerance: float
    least: float = 0.0
    """What the error must exceed where there is chance in it: without any, nothing was dropped."""

    @property
    def passed(self) -> bool:
        """Whether the error is a number, and small enough."""
        return self.least <= self.error <= self.tolerance


@dataclass(frozen=True)
class Case:
    """A kind of attention that some family needs, and which kernel that asks for."""

    name: str
    firsts: bool = False
    """Whether only each sequence's first token asks, as in a classifier's last block."""
    pattern: AttentionPattern = EVERYWHERE
    biased: bool = False
    """Whether a bias is added to the scores."""
    crossed: bool = False
    """Whether the queries are another text's."""
    height: float = 0.0
    """What is added to every score, by a part that all keys share: it changes nothing but the numbers' size."""


CASES = (
    Case("all rows"),
    Case("first rows", firsts=True),
    Case("causal", pattern=AttentionPattern(causal=True)),
    Case("window", pattern=AttentionPattern(window=64)),
    Case("causal, window", pattern=AttentionPattern(causal=True, window=64)),
    Case("another text's queries", crossed=True),
    Case("low scores", height=-120.0),
    Case("bias", biased=True),
    Case("bias, causal", pattern=AttentionPattern(causal=True), biased=True),
    Case("bias, window", pattern=AttentionPattern(window=64), biased=True),
)


def run_checks(architecture: ModelConfig, device: str) -> Iterator[Check]:
    """Every kernel and precision that this device offers, each as soon as it is known."""
    on_gpu = device == "cuda"
    num_heads = 12 if on_gpu else 2
    for dtype in (torch.bfloat16, torch.float16, torch.float32) if on_gpu else (torch.float32, torch.bfloat16):
        for case in CASES:
            yield from check_attention(device, dtype, case, num_heads)
            yield check_dropout(device, dtype, case, num_heads)
        yield check_packing(architecture, device, dtype)


def check_attention(device: str, dtype: torch.dtype, case: Case, num_heads: int) -> list[Check]:
    """The packed kernel against the formula in float64 on the same numbers: its output and its gradients.

    Args:
        device: Where to compute.
        dtype: Of queries, keys and values.
        case: What is asked of it.
        num_heads: Heads of width 64.
    """
    inputs, direction, queries, keys = _draw(device, dtype, case, num_heads)
    ours = _with_gradients(lambda *rows: _attend(rows, queries, keys, case), inputs, direction)
    exact = _with_gradients(
        lambda *rows: _one_by_one(rows, queries, keys, case),
        [tensor.double() for tensor in inputs],
        direction.double(),
    )
    # Scores are summed in float32, and rounded by their size.
    tolerance = max(KERNEL_TOLERANCE[dtype], 4 * abs(case.height) * torch.finfo(torch.float32).eps)
    names = ("output", "query's gradient", "key's gradient", "value's gradient", "bias's gradient")
    return [
        Check(f"attention, {_name(dtype)}, {case.name}: {name}", _relative_error(a, b), tolerance)
        for name, a, b in zip(names, ours, exact, strict=False)
    ]


def check_dropout(device: str, dtype: torch.dtype, case: Case, num_heads: int, *, draws: int = 100) -> Check:
    """The mean over many masks against attention without dropout."""
    inputs, _, queries, keys = _draw(device, dtype, case, num_heads)
    exact = _attend(inputs, queries, keys, case).double()
    torch.manual_seed(9)
    mean = sum(_attend(inputs, queries, keys, case, dropout=0.1).double() for _ in range(draws)) / draws
    error = float((mean - exact).norm() / exact.norm())
    name = f"attention, {_name(dtype)}, {case.name}: mean of {draws} dropout masks"
    # Each weight's mask has a variance of 0.1/0.9, so the mean of all is within 1/3/√draws, where one weight is all.
    return Check(name, error, 1.5 / 3 / draws**0.5, least=1e-2)


def _draw(device: str, dtype: torch.dtype, case: Case, num_heads: int) -> tuple[list[Tensor], Tensor, Packing, Packing]:
    """Query, key, value and bias, a direction for gradients, and whose rows they are."""
    lengths = [1, 2, 512, 77, 64, 65, 192, 190, *draw_lengths("Rotten Tomatoes", 10, seed=3)]
    keys = Packing(lengths, device)
    queries = keys.firsts if case.firsts else Packing(reversed(lengths), device) if case.crossed else keys
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    inputs = [draw(packing.num_tokens, num_heads, 64) for packing in (queries, keys, keys)]
    if case.height:
        inputs[0][..., 0], inputs[1][..., 0] = case.height, 8.0  # times 8, divided by the root of 64
    if case.biased:
        inputs.append(draw(num_heads, keys.max_length, keys.max_length))
    return inputs, draw(queries.num_tokens, num_heads, 64), queries, keys


def _attend(rows: Sequence[Tensor], queries: Packing, keys: Packing, case: Case, dropout: float = 0.0) -> Tensor:
    query, key, value, *bias = rows
    return attention(
        query,
        key,
        value,
        queries,
        keys,
        pattern=case.pattern,
        bias=AttentionBias(bias[0]) if bias else None,
        dropout_probability=dropout,
    )


def _one_by_one(rows: Sequence[Tensor], queries: Packing, keys: Packing, case: Case) -> Tensor:
    """The formula on each text alone. *Shape:* three of (tokens, heads, head_dim), and the bias → as the first."""
    texts = zip(
        rows[0].split_with_sizes(queries.lengths),
        rows[1].split_with_sizes(keys.lengths),
        rows[2].split_with_sizes(keys.lengths),
        strict=True,
    )
    attended = []
    for text in texts:
        query, key, value = (part.transpose(0, 1) for part in text)
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        if case.biased:
            scores = scores + rows[3][:, : query.shape[1], : key.shape[1]]
        if case.pattern is not EVERYWHERE:
            scores = scores.masked_fill(~case.pattern.mask(query.shape[1], key.shape[1], query.device), -math.inf)
        attended.append((scores.softmax(-1) @ value).transpose(0, 1))
    return torch.cat(attended)


def _with_gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor], direction: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = function(*leaves)
    return [output.detach(), *torch.autograd.grad(output, leaves, direction)]


def _relative_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).abs().max() / exact.abs().max())


def check_packing(architecture: ModelConfig, device: str, dtype: torch.dtype) -> Check:
    """A text's logits in a batch of mixed lengths against its logits alone."""
    torch.manual_seed(7)
    model = Classifier(architecture, NUM_LABELS)
    model.init_weights()
    model.to(device, dtype).eval()
    batch = draw_batch("IMDB", 4, architecture.input_stack.vocabulary_size, 11)
    batch += draw_batch("Rotten Tomatoes", 12, architecture.input_stack.vocabulary_size, 13)
    with torch.inference_mode():
        together = model(*packed(batch, device))
        alone = torch.cat([model(*packed([text], device)) for text in batch])
    return Check(
        f"logits, {_name(dtype)}: in a batch and alone",
        _relative_error(together, alone.double()),
        PACKING_TOLERANCE[dtype],
    )


def check_families(device: str, dtype: torch.dtype) -> Iterator[Check]:
    """Every kind of family on the weights and texts of `transformers`, on the same device.

    Logits against theirs in float32; in half precision also how far the gradient is from float32's, beside how far
    theirs is. The tests hold our float32 gradient against theirs.
    """
    from benchmarks.pairs import FAMILIES, draw_pair, draw_texts

    for family in FAMILIES:
        pair = draw_pair(family, *draw_texts("Rotten Tomatoes", 16), device)
        pair.ours.model.eval()
        pair.theirs.model.eval()
        with torch.no_grad():
            theirs = pair.theirs.logits()
        with torch.no_grad(), _automatic(device, dtype):
            ours = pair.ours.logits()
        title = f"{family}, {_name(dtype)}"
        yield Check(f"{title}: logits", _relative_error(ours, theirs.double()), FAMILY_TOLERANCE[dtype])
        if dtype != torch.float32:
            errors = [_gradient_error(side, device, dtype) for side in (pair.ours, pair.theirs)]
            yield Check(f"{title}: gradient, beside theirs", errors[0], GRADIENT_TOLERANCE * errors[1])


def _gradient_error(side: "Ours | Theirs", device: str, dtype: torch.dtype) -> float:
    """How far this precision leads the gradient of all weights away from float32's."""
    exact = _gradient(side)
    with _automatic(device, dtype):
        rough = _gradient(side)
    return float((rough - exact).norm() / exact.norm())


def _gradient(side: "Ours | Theirs") -> Tensor:
    """Of all weights, end to end."""
    weights = [weight for weight in side.model.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(side.loss(), weights, allow_unused=True)
    return torch.cat([gradient.to_dense().double().flatten() for gradient in gradients if gradient is not None])


def _automatic(device: str, dtype: torch.dtype) -> AbstractContextManager[object]:
    return autocast(torch.device(device), "bfloat16" if dtype == torch.bfloat16 else "float32")


def packed(batch: Batch, device: str) -> tuple[Tensor, Packing]:
    """Ids end to end, and where each text starts."""
    ids = torch.tensor([token for text in batch for token in text])
    return ids.to(device, non_blocking=True), Packing(map(len, batch), device)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
