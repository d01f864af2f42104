"""ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555): BERT with embeddings of a size of their own."""

from typing import Any

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.families.bert import block_rules, encoder_config, encoder_settings
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Drop, Rename
from headway.models.architecture import Architecture

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> Architecture:
    settings = encoder_settings(config)
    size = config.size("embedding_size", 128, most=2**16)
    return Architecture(
        **settings,
        embedding_size=None if size == settings["d_model"] else size,
        pooler_activation="gelu",
        dropout_before_pooler=True,
    )


def _config(architecture: Architecture) -> dict[str, Any]:
    return encoder_config(architecture) | {"embedding_size": architecture.embedding_size or architecture.d_model}


FAMILY = Family(
    model_types={"electra": "ElectraForSequenceClassification"},
    architecture=_architecture,
    config=_config,
    weights=(
        *block_rules("electra"),
        Alias("embeddings_project", "electra.embeddings_project"),
        # Heads of other tasks.
        Drop("discriminator_predictions"),
        Drop("generator_predictions"),
        Drop("generator_lm_head"),
        Drop("qa_outputs"),
        Rename("electra.embeddings_project", "encoder.embeddings.projection"),
        Rename("classifier.dense", "pooler.dense"),
        Rename("classifier.out_proj", "classification_head"),
    ),
)
