"""mBART (Liu et al. 2020, https://arxiv.org/abs/2001.08210): BART with norms before the sublayers and at the end."""

from headway.checkpoints.families.bart import model_config, model_rules, read_model
from headway.checkpoints.family import Family

__all__ = ["FAMILY"]

FAMILY = Family(
    model_types={"mbart": "MBart"},
    architecture=lambda config: read_model(config, position_offset=2, pre_norm=True, final_norm=True),
    config=model_config,
    weights=model_rules,
)
