"""ViT (Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929): patches of an image, read like tokens."""

from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.families.bert import model_settings
from headway.checkpoints.family import Family, Size
from headway.checkpoints.rules import Alias, Concat, Drop, Rename, Rule
from headway.models.config import ClassificationHeadConfig, ModelConfig, PatchConfig, StackConfig

__all__ = ["FAMILY", "image_config", "image_encoder", "image_rules"]


def image_encoder(config: ConfigReader, leading_tokens: int = 1) -> StackConfig:
    """A pre-norm encoder of images, by the keys that ViT gave them."""
    d_model, num_heads = config.width("hidden_size", 768, "num_attention_heads", 12)
    image_size = config.size("image_size", 224, most=2**13)
    patches = PatchConfig(
        image_size=image_size,
        patch_size=config.size("patch_size", 16, most=image_size),
        num_channels=config.size("num_channels", 3, most=2**10),
        leading_tokens=leading_tokens,
    )
    return StackConfig(
        patches=patches,
        max_positions=patches.num_tokens,
        d_model=d_model,
        d_ff=config.size("intermediate_size", 3072, most=2**18),
        num_layers=config.size("num_hidden_layers", 12, most=1000),
        num_heads=num_heads,
        pre_norm=True,
        final_norm=True,
        norm_eps=config.positive("layer_norm_eps", 1e-12),
        activation=config.activation("hidden_act", "gelu"),
        attention_bias=config.flag("qkv_bias", True),
        attention_output_bias=True,
        dropout=config.share("hidden_dropout_prob", 0.0),
        attention_dropout=config.share("attention_probs_dropout_prob", 0.0),
    )


def image_config(architecture: ModelConfig) -> dict[str, Any]:
    """The keys that `image_encoder` reads."""
    stack = architecture.encoder
    assert stack is not None
    assert stack.patches is not None
    return {
        "hidden_size": stack.d_model,
        "intermediate_size": stack.d_ff,
        "num_hidden_layers": stack.num_layers,
        "num_attention_heads": stack.num_heads,
        "image_size": stack.patches.image_size,
        "patch_size": stack.patches.patch_size,
        "num_channels": stack.patches.num_channels,
        "layer_norm_eps": stack.norm_eps,
        "hidden_act": ACTIVATION_NAMES[stack.activation],
        "qkv_bias": stack.attention_bias,
        "hidden_dropout_prob": stack.dropout,
        "attention_probs_dropout_prob": stack.attention_dropout,
        "initializer_range": architecture.initializer_std,
    }


def image_rules(base: str, leading_tokens: tuple[str, ...]) -> tuple[Rule, ...]:
    """The names under the module `base`."""
    theirs, ours = f"{base}.encoder.layer.{{n}}", "encoder.blocks.{n}"
    newer = f"{base}.layers.{{n}}"
    return (
        # A checkpoint of the bare encoder has no prefix.
        *(Alias(part, f"{base}.{part}") for part in ("embeddings", "encoder", "layers", "layernorm", "pooler")),
        # Newer versions of the library use other names for some modules.
        *(
            Alias(f"{newer}.attention.{new}_proj", f"{theirs}.attention.attention.{old}")
            for new, old in (("q", "query"), ("k", "key"), ("v", "value"))
        ),
        Alias(f"{newer}.attention.o_proj", f"{theirs}.attention.output.dense"),
        Alias(f"{newer}.mlp.fc1", f"{theirs}.intermediate.dense"),
        Alias(f"{newer}.mlp.fc2", f"{theirs}.output.dense"),
        Alias(f"{newer}.layernorm_before", f"{theirs}.layernorm_before"),
        Alias(f"{newer}.layernorm_after", f"{theirs}.layernorm_after"),
        # The pooler and the mask token belong to pretraining.
        Drop(f"{base}.pooler"),
        Drop(f"{base}.embeddings.mask_token"),
        Concat(tuple(f"{base}.embeddings.{token}" for token in leading_tokens), "encoder.embeddings.leading"),
        Rename(f"{base}.embeddings.position_embeddings", "encoder.embeddings.position"),
        Rename(f"{base}.embeddings.patch_embeddings.projection", "encoder.embeddings.patch"),
        Rename(f"{theirs}.layernorm_before", f"{ours}.self_attention_norm"),
        Concat(
            tuple(f"{theirs}.attention.attention.{part}" for part in ("query", "key", "value")),
            f"{ours}.self_attention.query_key_value",
        ),
        Rename(f"{theirs}.attention.output.dense", f"{ours}.self_attention.output"),
        Rename(f"{theirs}.layernorm_after", f"{ours}.feed_forward_norm"),
        Rename(f"{theirs}.intermediate.dense", f"{ours}.feed_forward.up"),
        Rename(f"{theirs}.output.dense", f"{ours}.feed_forward.down"),
        Rename(f"{base}.layernorm", "encoder.final_norm"),
    )


def _architecture(config: ConfigReader) -> ModelConfig:
    return ModelConfig(
        encoder=image_encoder(config),
        head=ClassificationHeadConfig(pooler=False, dropout=0.0),
        **model_settings(config),
    )


def _from_scratch(size: Size, patches: PatchConfig) -> dict[str, Any]:
    return {
        "image_size": patches.image_size,
        "patch_size": patches.patch_size,
        "num_channels": patches.num_channels,
        "hidden_size": size.d_model,
        # A narrow network and a short training: twice the width inside, and weights that keep a vector's variance.
        "intermediate_size": (2 if size.d_model < 256 else 4) * size.d_model,
        "initializer_range": size.d_model**-0.5 if size.d_model < 256 else 0.02,
        "num_hidden_layers": size.num_layers,
        "num_attention_heads": size.num_heads,
    }


FAMILY = Family(
    model_types={"vit": "ViT"},
    from_scratch_images=_from_scratch,
    classifier="ForImageClassification",
    base="vit",
    architecture=_architecture,
    config=image_config,
    image_processor={"size": {"height": 224, "width": 224}, "resample": 2, "image_mean": 0.5, "image_std": 0.5},
    weights=(
        *image_rules("vit", ("cls_token",)),
        Rename("classifier", "classification_head"),
    ),
)
