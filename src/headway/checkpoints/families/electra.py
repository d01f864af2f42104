"""ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555): BERT with embeddings of a size of their own."""

from typing import Any

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bert import (
    block_rules,
    encoder_config,
    encoder_settings,
    head_dropout,
    model_config,
    model_settings,
    word_pieces,
)
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Drop, Rename
from headway.models.config import ClassificationHeadConfig, ModelConfig, StackConfig

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    config = config.assuming(hidden_size=256, num_attention_heads=4, intermediate_size=1024)
    config.require("is_decoder", False, "as a decoder the family is not supported")
    settings = encoder_settings(config)
    size = config.size("embedding_size", 128, most=2**16)
    settings["embedding_size"] = None if size == settings["d_model"] else size
    head = ClassificationHeadConfig(activation="gelu", dropout=head_dropout(config), dropout_before_pooler=True)
    return ModelConfig(encoder=StackConfig(**settings), head=head, **model_settings(config))


def _config(architecture: ModelConfig) -> dict[str, Any]:
    stack = architecture.input_stack
    size = {"embedding_size": stack.embedding_size or stack.d_model}
    return encoder_config(stack) | model_config(architecture) | size


FAMILY = Family(
    model_types={"electra": "Electra"},
    tokenizers={"ElectraTokenizer": word_pieces},
    architecture=_architecture,
    config=_config,
    weights=(
        *block_rules("electra"),
        Alias("embeddings_project", "electra.embeddings_project"),
        # What pretraining predicted with.
        Drop("discriminator_predictions"),
        Drop("generator_predictions"),
        Drop("generator_lm_head"),
        Rename("electra.embeddings_project", "encoder.embeddings.projection"),
        Rename("classifier.dense", "pooler.dense"),
        Rename("classifier.out_proj", "classification_head"),
    ),
)
