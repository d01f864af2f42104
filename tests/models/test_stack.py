"""A stack against the library that its weights come from, and what its layers share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from headway.checkpoints.load import load_classifier
from headway.models.config import RelativePositions, StackConfig
from headway.models.stack import Stack
from headway.nn.packing import Packing


@pytest.fixture
def encoder(tmp_path: Path, tiny_bert: Callable[..., Path]) -> Stack:
    return load_classifier(tiny_bert(tmp_path, seed=11, num_hidden_layers=3)).model.encoder


def test_the_encoder_gives_every_token_what_transformers_gives_it(
    tmp_path: Path, tiny_bert: Callable[..., Path]
) -> None:
    from transformers import AutoModel

    folder = tiny_bert(tmp_path, seed=12)
    ours, theirs = load_classifier(folder).model.encoder, AutoModel.from_pretrained(folder).eval()
    parts = [torch.arange(5, 5 + length) for length in (1, 40, 17)]
    with torch.no_grad():
        actual = ours(torch.cat(parts), Packing([len(part) for part in parts]))
        expected = torch.cat([theirs(input_ids=part[None]).last_hidden_state[0] for part in parts])
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_a_sequence_longer_than_the_positions_is_refused(encoder: Stack) -> None:
    with pytest.raises(ValueError, match="41 tokens, but only 40 positions"):
        encoder(torch.ones(41, dtype=torch.long), Packing([41]))


def test_the_layers_of_a_stack_share_the_bias_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """In half precision a block's bias with its mask is as large as its scores: one a layer would fill the memory."""
    added = []

    def watched(*args: Tensor, attn_mask: Tensor, **rest: Any) -> Tensor:
        added.append(attn_mask)
        return fused(*args, attn_mask=attn_mask, **rest)

    fused = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    relative = RelativePositions(num_buckets=8, max_distance=20)
    sizes = {"d_model": 16, "d_ff": 8, "num_layers": 3, "num_heads": 2, "vocabulary_size": 9, "max_positions": 99}
    settings = StackConfig(**sizes, positions="relative", relative=relative)
    stack = Stack(settings).to(torch.bfloat16)
    packing = Packing([60, 61, 59, 3])
    stack(torch.arange(packing.num_tokens) % 9, packing).float().square().mean().backward()
    blocks = {id(tensor) for tensor in added}
    assert 3 * len(blocks) == len(added)
    assert any(tensor.shape[0] > 1 for tensor in added), "no block is filled up"
    assert float(stack.relative_bias.table.weight.grad.abs().max()) > 0
