"""M2M-100 (Fan et al. 2021, https://arxiv.org/abs/2010.11125) and NLLB (2022, https://arxiv.org/abs/2207.04672)."""

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_model
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop
from headway.models.architecture import Architecture

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> Architecture:
    return read_model(
        config.assuming(vocab_size=128112, scale_embedding=True, activation_function="relu", attention_dropout=0.1),
        logits_bias=False,
        positions="sinusoidal_inclusive",
        position_offset=config.index("pad_token_id", 1) + 1,
        pre_norm=True,
        final_norm=True,
        embedding_norm=False,
    )


FAMILY = Family(
    model_types={"m2m_100": "M2M100"},
    architecture=_architecture,
    config=model_config,
    # Sinusoids need no weights; some checkpoints hold them all the same.
    weights=lambda architecture: (Drop("model.{stack}.embed_positions"), *model_rules(architecture)),
)
