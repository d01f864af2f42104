"""Any encoder of images with any decoder of text: TrOCR, ViT with GPT-2, BERT or RoBERTa."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.gpt2 import byte_level_pieces
from headway.checkpoints.family import Family, Size, all_families, sub_family
from headway.checkpoints.rules import Rename, Rule, nested
from headway.models.config import ModelConfig
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    parts = {part: config.inside(part) for part in ("encoder", "decoder")}
    image_model = sub_family(parts["encoder"]).architecture(parts["encoder"])
    text_model = sub_family(parts["decoder"]).architecture(parts["decoder"])
    encoder, decoder = image_model.encoder, text_model.decoder
    if encoder is None or encoder.patches is None:
        config.problems.append('"encoder" is not an image model.')
        return text_model
    if decoder is None or text_model.encoder is not None:
        config.problems.append('"decoder" is not a decoder ("is_decoder" should be true).')
        return image_model
    # Vectors of another width are projected, unless the decoder's cross-attention reads that width.
    as_they_are = parts["decoder"].has("cross_attention_hidden_size")
    return replace(
        text_model,
        encoder=encoder,
        decoder=replace(decoder, memory_width=encoder.d_model if as_they_are else decoder.d_model),
        head=None,
        projected_memory=encoder.d_model != decoder.d_model and not as_they_are,
        start_id=config.index("decoder_start_token_id", text_model.start_id or 0),
        pad_id=config.index("pad_token_id", text_model.pad_id),
        decoder_pad_id=text_model.pad_id,
        part_types=(str(parts["encoder"].config["model_type"]), str(parts["decoder"].config["model_type"])),
    )


def _config(architecture: ModelConfig) -> dict[str, Any]:
    encoder_family, decoder_family = _parts(architecture)
    assert architecture.part_types is not None
    encoder, decoder = architecture.part_types
    inner_pad = architecture.pad_id if architecture.decoder_pad_id is None else architecture.decoder_pad_id
    alone = replace(architecture, encoder=None, pad_id=inner_pad)
    return {
        "encoder": {"model_type": encoder, **encoder_family.config(architecture)},
        "decoder": {"model_type": decoder, **decoder_family.config(alone)},
        "decoder_start_token_id": architecture.start_id,
        "pad_token_id": architecture.padding_id,
    }


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    encoder_family, decoder_family = _parts(architecture)
    return (
        Rename("enc_to_dec_proj", "projection"),
        *nested(encoder_family.rules(architecture), base=f"{encoder_family.base}.", prefix="encoder.", stack="encoder"),
        *nested(decoder_family.rules(architecture), base="", prefix="decoder.", stack="decoder"),
    )


def _unused_pooler(architecture: ModelConfig) -> dict[str, Tensor]:
    """The encoder's pooler, which the decoder does not read."""
    encoder = architecture.encoder
    assert encoder is not None
    zeros = torch.zeros(encoder.d_model, encoder.d_model)
    return {"encoder.pooler.dense.weight": zeros, "encoder.pooler.dense.bias": zeros[0].clone()}


def _parts(architecture: ModelConfig) -> tuple[Family, Family]:
    assert architecture.part_types is not None
    families = all_families()
    encoder, decoder = architecture.part_types
    return families[encoder], families[decoder]


def _from_scratch(size: Size, tokenizer: Tokenizer) -> dict[str, Any]:
    """A ViT encoder with a GPT-2 decoder."""
    end = tokenizer.id_of("<|endoftext|>")
    return {
        "encoder": {
            "model_type": "vit",
            "hidden_size": size.d_model,
            "intermediate_size": 4 * size.d_model,
            "num_hidden_layers": size.num_layers,
            "num_attention_heads": size.num_heads,
        },
        "decoder": {
            "model_type": "gpt2",
            "vocab_size": tokenizer.largest_id + 1,
            "n_embd": size.d_model,
            "n_layer": size.num_layers,
            "n_head": size.num_heads,
            "add_cross_attention": True,
            "bos_token_id": end,
            "eos_token_id": end,
        },
        "decoder_start_token_id": end,
        "pad_token_id": end,
        "eos_token_id": end,
    }


FAMILY = Family(
    model_types={"vision-encoder-decoder": "VisionEncoderDecoder"},
    text_part="decoder",
    tokenizers={"GPT2Tokenizer": byte_level_pieces},
    from_scratch={"captioning": _from_scratch},
    generative="Model",
    fixed=_unused_pooler,
    architecture=_architecture,
    config=_config,
    weights=_weights,
)
