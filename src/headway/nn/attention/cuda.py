"""Attention with PyTorch's kernels: on the packed tensor as it is, or over blocks, on any device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.blocks import HeadBlocks, block_layout
from headway.nn.attention.pattern import AttentionPattern
from headway.nn.packing import Packing

__all__ = ["fused_attention", "fused_kernels", "varlen_attention", "varlen_takes"]


def varlen_takes(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether the variable-length kernel, FlashAttention 2 (Dao 2023), takes heads of this width and precision."""
    return (
        device.type == "cuda"
        and dtype in (torch.float16, torch.bfloat16)
        and head_dim % 8 == 0
        and head_dim <= 256
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def varlen_attention(
    query: Tensor, key: Tensor, value: Tensor, queries: Packing, keys: Packing, pattern: AttentionPattern, scale: float
) -> Tensor:
    """The variable-length kernel, on the packed tensors as they are.

    *Shape:* query (query tokens, heads, head_dim), key and value (key tokens, heads, head_dim) → as query
    """
    from torch.nn.attention.varlen import varlen_attn

    window = -1 if pattern.window is None else pattern.window
    attended = varlen_attn(
        query,
        key,
        value,
        queries.offsets,
        keys.offsets,
        queries.max_length,
        keys.max_length,
        scale=scale,
        window_size=(window, 0 if pattern.causal else window),
    )
    assert isinstance(attended, Tensor)
    return attended


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Packing,
    keys: Packing,
    pattern: AttentionPattern,
    bias: AttentionBias | None,
    scale: float,
    dropout_probability: float,
) -> Tensor:
    """PyTorch's kernels, one call per block: with a bias, a window or dropout, in any precision, on any device.

    Little is padding, where a batch padded to its longest sequence may be half padding; and blocks that need neither
    bias nor mask use the fastest kernel.
    """
    # Those kernels read a token's heads side by side, as the projections wrote them: a token is copied as one vector.
    layout = block_layout(queries, keys, 1, pattern)
    sides = zip((query, key, value), (layout.queries, layout.keys, layout.keys), strict=True)
    blocks = [side.split(_Fill.apply(rows.flatten(1)[:, None], side)) for rows, side in sides]
    added = layout.masks_in(query.dtype) if bias is None else bias.by_block(layout, query.dtype)
    attended = []
    with fused_kernels(query.device):
        for *block, mask in zip(*blocks, added, strict=True):
            q, k, v = (rows.unflatten(2, query.shape[1:]).transpose(1, 2) for rows in block)
            is_causal = mask is not None and bias is None and pattern == AttentionPattern(causal=True)
            output = functional.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=None if is_causal else mask,
                dropout_p=dropout_probability,
                is_causal=is_causal,
                scale=scale,
            )
            attended.append(output.transpose(1, 2).flatten(0, 1).flatten(1))
    taken: Tensor = _Take.apply(torch.cat(attended), layout.queries)
    return taken.view(query.shape)


def fused_kernels(device: torch.device) -> AbstractContextManager[None]:
    """Which kernels `scaled_dot_product_attention` chooses from.

    Not cuDNN's, the first choice on GPUs since 2022: it plans again for every new shape, which each batch brings,
    and its gradient under a mask can be NaN (https://github.com/pytorch/pytorch/issues/196678).
    """
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


class _Fill(torch.autograd.Function):
    """`HeadBlocks.fill`, whose gradient is `take`: what is filled in is hidden, or seen only by unused rows."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, blocks: HeadBlocks) -> Tensor:
        ctx.blocks = blocks
        return blocks.fill(packed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.blocks.take(grads[0]), None


class _Take(torch.autograd.Function):
    """`HeadBlocks.take`, whose gradient is `fill_zeros`."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, blocks: HeadBlocks) -> Tensor:
        ctx.blocks = blocks
        return blocks.take(vectors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.blocks.fill_zeros(grads[0]), None
