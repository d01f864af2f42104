"""Kernels of attention side by side: ours, a padded batch through PyTorch's SDPA, and FlexAttention on packed rows."""

import functools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.lengths import LENGTHS, draw_lengths
from benchmarks.timing import synchronize
from headway.nn.attention import attention
from headway.nn.attention.bias import AttentionBias
from headway.nn.packing import Packing

__all__ = ["Kind", "time_attention"]

HEADS, HEAD_DIM = 12, 64
PADDED = "padded, SDPA"
Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Kind:
    """What is asked of attention: which decides who can take part."""

    biased: bool
    dropout: float

    def __str__(self) -> str:
        asked = ["a bias"] * self.biased + [f"dropout {self.dropout}"] * (self.dropout > 0)
        return " and ".join(asked) or "neither bias nor dropout"


KINDS = [Kind(biased, dropout) for biased in (False, True) for dropout in (0.0, 0.1)]


def time_attention(device: str, *, num_texts: int = 32, repeats: int = 20) -> Iterator[str]:
    """A table as Markdown: milliseconds forward and backward of one layer, a line as soon as it is measured.

    One batch again and again: what a batch costs once, for all layers (its blocks and masks), is not in it.
    """
    yield "| texts | with | kernel | milliseconds, median | spread |\n|---|---|---|---|---|"
    for texts in LENGTHS:
        packing = Packing(draw_lengths(texts, num_texts, seed=5), device)
        for kind in KINDS:
            for name, attend in _kernels(packing, kind).items():
                yield f"| {texts} | {kind} | {name} | {_shown(attend, _draw(packing, kind, name), device, repeats)} |"


def _shown(attend: Attend, inputs: list[Tensor], device: str, repeats: int) -> str:
    try:
        times = _times(attend, inputs, device, repeats)
    except Exception as error:  # a kernel that cannot do it shall not cost the others their figures
        return f"{type(error).__name__}: {str(error).splitlines()[0]:.80} | "
    return f"{statistics.median(times):.2f} | {min(times):.2f}–{max(times):.2f}"


def _draw(packing: Packing, kind: Kind, name: str) -> list[Tensor]:
    """Query, key, value and bias: packed rows, or for the padded batch what it has anyway."""
    precision = torch.bfloat16 if packing.device.type == "cuda" else torch.float32
    make = functools.partial(torch.randn, device=packing.device, dtype=precision, requires_grad=True)
    packed = (packing.num_tokens, HEADS, HEAD_DIM)
    padded = (len(packing), HEADS, packing.max_length, HEAD_DIM)
    inputs: list[Tensor] = [make(padded if name == PADDED else packed) for _ in range(3)]
    return [*inputs, make(HEADS, packing.max_length, packing.max_length)] if kind.biased else inputs


def _kernels(packing: Packing, kind: Kind) -> dict[str, Attend]:
    def ours(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        scores = None if bias is None else AttentionBias(bias)
        return attention(query, key, value, packing, packing, bias=scores, dropout_probability=kind.dropout)

    kernels: dict[str, Attend] = {"Headway": ours, PADDED: functools.partial(_padded, packing, kind.dropout)}
    if packing.device.type == "cuda" and not kind.dropout:  # FlexAttention has no dropout.
        kernels["FlexAttention"] = _flex(packing)
    return kernels


def _padded(
    packing: Packing, dropout: float, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None
) -> Tensor:
    """What a model does whose batches are padded."""
    mask = packing.mask[:, None, None]
    if bias is not None:
        mask = torch.where(mask, bias, torch.finfo(bias.dtype).min)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def _flex(packing: Packing) -> Attend:
    """All tokens as one sequence, in which each sees its own text's: blocks of other texts are skipped."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    lengths = torch.tensor(packing.lengths, device=packing.device)
    texts = torch.arange(len(packing), device=packing.device).repeat_interleave(lengths)
    positions = packing.positions

    def same_text(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return texts[query] == texts[key]

    num_tokens = packing.num_tokens
    block_mask = create_block_mask(same_text, None, None, num_tokens, num_tokens, device=str(packing.device))
    compiled = torch.compile(flex_attention, dynamic=True)

    def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        def with_bias(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            assert bias is not None
            return score + bias[head, positions[query], positions[key]]

        rows = (tensor.transpose(0, 1)[None] for tensor in (query, key, value))
        score_mod = None if bias is None else with_bias
        attended: Tensor = compiled(*rows, score_mod=score_mod, block_mask=block_mask)
        return attended[0].transpose(0, 1)

    return attend


def _times(attend: Attend, inputs: list[Tensor], device: str, repeats: int) -> list[float]:
    """Milliseconds of each pass, forward and backward, after a few that warm up."""
    times = []
    for _ in range(repeats + 3):
        synchronize(device)
        started = time.perf_counter()
        output = attend(*inputs)
        torch.autograd.grad(output, inputs, output)
        synchronize(device)
        times.append(1_000 * (time.perf_counter() - started))
    return times[3:]
