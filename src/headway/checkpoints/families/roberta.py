"""RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692), XLM-RoBERTa and CamemBERT.

BERT's shape, but positions count from one after the padding's id, and the pooler belongs to the classification head.
"""

from dataclasses import replace
from typing import Any

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.families.bert import block_rules, encoder_config, encoder_settings
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop, Rename
from headway.models.architecture import Architecture

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> Architecture:
    settings = encoder_settings(config)
    settings["pad_id"] = config.index("pad_token_id", 1)
    offset = settings["pad_id"] + 1
    settings["max_positions"] = config.size("max_position_embeddings", 514, most=2**20, least=offset + 1) - offset
    return Architecture(
        **settings,
        position_offset=offset,
        dropout_before_pooler=True,
    )


def _config(architecture: Architecture) -> dict[str, Any]:
    rows = architecture.max_positions + architecture.position_offset
    return encoder_config(replace(architecture, max_positions=rows))


FAMILY = Family(
    model_types={
        "roberta": "RobertaForSequenceClassification",
        "xlm-roberta": "XLMRobertaForSequenceClassification",
        "camembert": "CamembertForSequenceClassification",
    },
    architecture=_architecture,
    config=_config,
    weights=(
        *block_rules("roberta"),
        # Heads of other tasks, and a pooler that the classifier does not use.
        Drop("lm_head"),
        Drop("qa_outputs"),
        Drop("pooler"),
        Drop("roberta.pooler"),
        Rename("classifier.dense", "pooler.dense"),
        Rename("classifier.out_proj", "classification_head"),
    ),
)
