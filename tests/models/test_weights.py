"""Attention weights on demand: those of the library that is our oracle, and nothing recorded unless asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headway.checkpoints.load import load_language_model
from headway.nn.multi_head import record_weights
from headway.nn.packing import Packing


@pytest.mark.parametrize("family", ["bart", "t5"])
@torch.no_grad()
def test_recorded_weights_are_those_of_transformers(
    family: str, tmp_path: Path, write_writer: Callable[[Path, str, int], None]
) -> None:
    from transformers import AutoModelForSeq2SeqLM

    write_writer(tmp_path, family, 0)
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    model = load_language_model(tmp_path).model
    sources, targets = [torch.arange(5, 11), torch.arange(7, 20)], [torch.arange(6, 10), torch.arange(9, 11)]
    block = model.decoder.blocks[0]
    with record_weights(block.self_attention) as own, record_weights(block.cross_attention) as across:
        memory = model.encode(torch.cat(sources), Packing([6, 13]))
        model.decode(torch.cat(targets), Packing([4, 2]), memory)
    model.decode(torch.cat(targets), Packing([4, 2]), memory)
    assert (len(own), len(across)) == (1, 1)
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        seen = theirs(input_ids=source[None], decoder_input_ids=target[None], output_attentions=True)
        torch.testing.assert_close(own[0][index], seen.decoder_attentions[0][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(across[0][index], seen.cross_attentions[0][0], atol=1e-5, rtol=1e-5)
