"""DeiT (Touvron et al. 2021, https://arxiv.org/abs/2012.12877): ViT with a second token that learned from a teacher."""

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.families.bert import model_settings
from headway.checkpoints.families.vit import image_config, image_encoder, image_rules
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Rename
from headway.models.architecture import Architecture, Head

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> Architecture:
    encoder = image_encoder(config, leading_tokens=2)
    return Architecture(encoder=encoder, head=Head(pooler=False, dropout=0.0), **model_settings(config))


FAMILY = Family(
    model_types={"deit": "DeiT"},
    classifier="ForImageClassification",
    base="deit",
    architecture=_architecture,
    config=image_config,
    image_processor={
        "size": {"height": 256, "width": 256},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "image_mean": 0.5,
        "image_std": 0.5,
    },
    weights=(
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", "deit.embeddings"),
        Alias("encoder", "deit.encoder"),
        Alias("layers", "deit.layers"),
        Alias("layernorm", "deit.layernorm"),
        Alias("pooler", "deit.pooler"),
        *image_rules("deit", ("cls_token", "distillation_token")),
        Rename("classifier", "classification_head"),
    ),
)
