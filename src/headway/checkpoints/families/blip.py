"""BLIP (Li et al. 2022, https://arxiv.org/abs/2201.12086): an encoder of images and a decoder that captions them."""

from dataclasses import replace
from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.families.bert import (
    block_rules,
    encoder_config,
    encoder_settings,
    lm_head_rules,
    word_pieces,
)
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop, Optional, Rename, Rule, nested
from headway.models.config import LMHeadConfig, ModelConfig, PatchConfig, StackConfig

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    vision = config.inside("vision_config")
    text = config.inside("text_config").assuming(
        vocab_size=30524, num_attention_heads=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    settings = encoder_settings(text) | {"num_token_types": 0}
    encoder = _image_encoder(vision)
    decoder = StackConfig(**settings, causal=True, memory_width=encoder.d_model)
    text.require("encoder_hidden_size", encoder.d_model, "the text part must read vectors of the image part's width")
    # It is enough if either says so.
    tied = [each.flag("tie_word_embeddings", True) for each in (config, text)]
    head = LMHeadConfig(tied=any(tied), bias=True, transform=text.activation("hidden_act", "gelu"))
    return ModelConfig(
        encoder=encoder,
        decoder=decoder,
        lm_head=head,
        initializer_std=config.positive("initializer_range", 0.02),
        pad_id=text.index("pad_token_id", 0),
        start_id=text.index("bos_token_id", 30522),
    )


def _image_encoder(config: ConfigReader) -> StackConfig:
    d_model, num_heads = config.width("hidden_size", 768, "num_attention_heads", 12)
    image_size = config.size("image_size", 384, most=2**13)
    patches = PatchConfig(image_size=image_size, patch_size=config.size("patch_size", 16, most=image_size))
    return StackConfig(
        patches=patches,
        max_positions=patches.num_tokens,
        d_model=d_model,
        d_ff=config.size("intermediate_size", 3072, most=2**18),
        num_layers=config.size("num_hidden_layers", 12, most=1000),
        num_heads=num_heads,
        pre_norm=True,
        final_norm=True,
        norm_eps=config.positive("layer_norm_eps", 1e-5),
        activation=config.activation("hidden_act", "gelu"),
        dropout=0.0,
        embedding_dropout="absent",
        attention_output_dropout="absent",
        feed_forward_output_dropout="absent",
        attention_dropout=config.share("attention_dropout", 0.0),
    )


def _config(architecture: ModelConfig) -> dict[str, Any]:
    encoder, decoder, head = architecture.encoder, architecture.decoder, architecture.lm_head
    assert encoder is not None
    assert encoder.patches is not None
    assert decoder is not None
    text = encoder_config(replace(decoder, num_token_types=2)) | {
        "encoder_hidden_size": decoder.memory_width,
        "pad_token_id": architecture.pad_id,
        "bos_token_id": architecture.start_id,
        "is_decoder": True,
        "tie_word_embeddings": head is None or head.tied,
    }
    for key in ("type_vocab_size", "position_embedding_type"):
        del text[key]
    return {
        "vision_config": {
            "hidden_size": encoder.d_model,
            "intermediate_size": encoder.d_ff,
            "num_hidden_layers": encoder.num_layers,
            "num_attention_heads": encoder.num_heads,
            "image_size": encoder.patches.image_size,
            "patch_size": encoder.patches.patch_size,
            "layer_norm_eps": encoder.norm_eps,
            "hidden_act": ACTIVATION_NAMES[encoder.activation],
            "attention_dropout": encoder.attention_dropout,
        },
        "text_config": text,
        "tie_word_embeddings": head is None or head.tied,
        "initializer_range": architecture.initializer_std,
    }


_THEIR_LAYER, _OUR_BLOCK = "vision_model.encoder.layers.{n}", "encoder.blocks.{n}"

_IMAGE_RULES: tuple[Rule, ...] = (
    Rename("vision_model.embeddings.class_embedding", "encoder.embeddings.leading"),
    Rename("vision_model.embeddings.position_embedding", "encoder.embeddings.position"),
    Rename("vision_model.embeddings.patch_embedding", "encoder.embeddings.patch"),
    Rename(f"{_THEIR_LAYER}.layer_norm1", f"{_OUR_BLOCK}.self_attention_norm"),
    Rename(f"{_THEIR_LAYER}.self_attn.qkv", f"{_OUR_BLOCK}.self_attention.query_key_value"),
    Rename(f"{_THEIR_LAYER}.self_attn.projection", f"{_OUR_BLOCK}.self_attention.output"),
    Rename(f"{_THEIR_LAYER}.layer_norm2", f"{_OUR_BLOCK}.feed_forward_norm"),
    Rename(f"{_THEIR_LAYER}.mlp.fc1", f"{_OUR_BLOCK}.feed_forward.up"),
    Rename(f"{_THEIR_LAYER}.mlp.fc2", f"{_OUR_BLOCK}.feed_forward.down"),
    Rename("vision_model.post_layernorm", "encoder.final_norm"),
)


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    text = (
        *block_rules("bert"),
        *lm_head_rules(
            architecture,
            "cls.predictions.transform.dense",
            "cls.predictions.transform.LayerNorm",
            "cls.predictions.decoder",
            "cls.predictions.bias",
        ),
        Optional("bert.pooler"),
    )
    return (
        Drop("vision_model.embeddings.position_ids"),
        *_IMAGE_RULES,
        *nested(text, base="", prefix="text_decoder.", stack="decoder"),
    )


FAMILY = Family(
    model_types={"blip": "Blip"},
    tokenizers={"BertTokenizer": word_pieces},
    architecture=_architecture,
    config=_config,
    image_processor={
        "do_convert_rgb": True,
        "size": {"height": 384, "width": 384},
        "resample": 3,
        # Of the images that CLIP (Radford et al. 2021) was trained on.
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    },
    weights=_weights,
)
