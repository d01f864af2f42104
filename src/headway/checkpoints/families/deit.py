"""DeiT (Touvron et al. 2021, https://arxiv.org/abs/2012.12877): ViT with a second token that learned from a teacher."""

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bert import model_settings
from headway.checkpoints.families.vit import image_config, image_encoder, image_rules
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Rename, Rule
from headway.models.config import ClassificationHeadConfig, ModelConfig

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    classes = config.config.get("architectures")
    distilled = isinstance(classes, list) and any(str(name).endswith("WithTeacher") for name in classes)
    head = ClassificationHeadConfig(pooling="first_two" if distilled else "first", pooler=False, dropout=0.0)
    return ModelConfig(encoder=image_encoder(config, leading_tokens=2), head=head, **model_settings(config))


def _classifier(architecture: ModelConfig) -> str:
    return "ForImageClassification" + ("WithTeacher" if _is_distilled(architecture) else "")


def _is_distilled(architecture: ModelConfig) -> bool:
    """Whether the distillation token has a classification layer of its own."""
    return architecture.head is not None and architecture.head.pooling == "first_two"


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    scores: tuple[Rule, ...] = (Rename("classifier", "classification_head"),)
    if _is_distilled(architecture):
        scores = (
            Rename("cls_classifier", "classification_head.first"),
            Rename("distillation_classifier", "classification_head.second"),
        )
    return (
        *image_rules("deit", ("cls_token", "distillation_token")),
        *scores,
    )


FAMILY = Family(
    model_types={"deit": "DeiT"},
    classifier=_classifier,
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
    weights=_weights,
)
