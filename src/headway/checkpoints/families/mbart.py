"""mBART (Liu et al. 2020, https://arxiv.org/abs/2001.08210): BART with norms before the sublayers and at the end."""

from dataclasses import replace

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_head, read_model
from headway.checkpoints.family import Family
from headway.models.architecture import Architecture

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> Architecture:
    model = read_model(config, head=read_head(config), position_offset=2, pre_norm=True, final_norm=True)
    # Texts end with their language, and the decoder begins with it: no one token starts them all.
    return replace(model, starts_with_last=True)


FAMILY = Family(
    model_types={"mbart": "MBart"},
    architecture=_architecture,
    config=model_config,
    weights=model_rules,
)
