"""The packed kernels held against the formula, on whatever device there is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.lengths import Batch, draw_batch, draw_lengths
from headway.models.architecture import Architecture
from headway.models.classifier import Classifier
from headway.nn.attention import attention, formula
from headway.nn.packing import Packing

__all__ = ["NUM_LABELS", "Check", "check_attention", "check_packing", "packed", "run_checks"]

NUM_LABELS = 2
# The largest error against float64, as a share of the reference's largest value. A number of bfloat16 keeps 8 bits, of
# float16 11 (half a unit in the last place: 2e-3 and 2.4e-4); weights, sums and results are each rounded once or twice.
KERNEL_TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 1e-5}
# Logits of a text in a batch and alone: other shapes, so other orders of summation, through all blocks.
PACKING_TOLERANCE = {torch.bfloat16: 5e-2, torch.float16: 1e-2, torch.float32: 1e-5}


@dataclass(frozen=True)
class Check:
    """One comparison with its tolerance."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is a number, and small enough."""
        return self.error <= self.tolerance


def run_checks(architecture: Architecture, device: str) -> list[Check]:
    """Every kernel and precision that this device offers."""
    types = (torch.bfloat16, torch.float16, torch.float32) if device == "cuda" else (torch.float32, torch.bfloat16)
    checks: list[Check] = []
    for dtype in types:
        for firsts in (False, True):
            checks += check_attention(device, dtype, firsts=firsts)
        checks.append(check_packing(architecture, device, dtype))
    return checks


def check_attention(device: str, dtype: torch.dtype, *, firsts: bool, num_heads: int = 12) -> list[Check]:
    """The packed kernel against the formula in float64 on the same numbers: its output and its three gradients.

    Args:
        device: Where to compute.
        dtype: Of queries, keys and values.
        firsts: Whether only each sequence's first token asks, as in a classifier's last block.
        num_heads: Heads of width 64.
    """
    keys = Packing([1, 2, 512, 77, 64, 65, *draw_lengths("Rotten Tomatoes", 10, seed=3)], device)
    queries = keys.firsts if firsts else keys
    generator = torch.Generator().manual_seed(5)

    def draw(packing: Packing) -> Tensor:
        return torch.randn(packing.num_tokens, num_heads, 64, generator=generator).to(device, dtype)

    inputs = [draw(queries), draw(keys), draw(keys)]
    direction = draw(queries)
    ours = _with_gradients(lambda q, k, v: attention(q, k, v, queries, keys), inputs, direction)
    exact = _with_gradients(
        lambda q, k, v: _one_by_one(q, k, v, queries, keys),
        [tensor.double() for tensor in inputs],
        direction.double(),
    )
    names = ("output", "query's gradient", "key's gradient", "value's gradient")
    rows = "first rows" if firsts else "all rows"
    return [
        Check(f"attention, {_name(dtype)}, {rows}: {name}", _relative_error(a, b), KERNEL_TOLERANCE[dtype])
        for name, a, b in zip(names, ours, exact, strict=True)
    ]


def _one_by_one(query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing) -> Tensor:
    """The formula on each text alone. *Shape:* (tokens, heads, head_dim), three times → as query."""
    texts = zip(
        query.split_with_sizes(queries.lengths),
        key.split_with_sizes(keys.lengths),
        value.split_with_sizes(keys.lengths),
        strict=True,
    )
    return torch.cat(
        [formula(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)).transpose(0, 1) for q, k, v in texts]
    )


def _with_gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor], direction: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = function(*leaves)
    return [output.detach(), *torch.autograd.grad(output, leaves, direction)]


def _relative_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).abs().max() / exact.abs().max())


def check_packing(architecture: Architecture, device: str, dtype: torch.dtype) -> Check:
    """A text's logits in a batch of mixed lengths against its logits alone."""
    torch.manual_seed(7)
    model = Classifier(architecture, NUM_LABELS)
    model.init_weights()
    model.to(device, dtype).eval()
    batch = draw_batch("IMDB", 4, architecture.reader.vocabulary_size, 11)
    batch += draw_batch("Rotten Tomatoes", 12, architecture.reader.vocabulary_size, 13)
    with torch.inference_mode():
        together = model(*packed(batch, device))
        alone = torch.cat([model(*packed([text], device)) for text in batch])
    return Check(
        f"logits, {_name(dtype)}: in a batch and alone",
        _relative_error(together, alone.double()),
        PACKING_TOLERANCE[dtype],
    )


def packed(batch: Batch, device: str) -> tuple[Tensor, Packing]:
    """Ids end to end, and where each text starts."""
    ids = torch.tensor([token for text in batch for token in text])
    return ids.to(device, non_blocking=True), Packing(map(len, batch), device)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
