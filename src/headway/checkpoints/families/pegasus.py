"""Pegasus (Zhang et al. 2020, https://arxiv.org/abs/1912.08777): pre-norm, sinusoidal positions, no embedding norm."""

import torch
from torch import Tensor

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_model
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop
from headway.models.architecture import Architecture
from headway.nn.positions import sinusoids

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> Architecture:
    config = config.assuming(pad_token_id=0, decoder_start_token_id=0)
    return read_model(config, positions="sinusoidal", pre_norm=True, final_norm=True, embedding_norm=False)


def _sinusoids(architecture: Architecture) -> dict[str, Tensor]:
    stacks = {"encoder": architecture.encoder, "decoder": architecture.decoder}
    return {
        f"model.{name}.embed_positions.weight": sinusoids(torch.arange(stack.max_positions), stack.d_model)
        for name, stack in stacks.items()
        if stack is not None
    }


FAMILY = Family(
    model_types={"pegasus": "Pegasus"},
    architecture=_architecture,
    config=model_config,
    # Sinusoids need no weights; checkpoints hold them all the same.
    fixed=_sinusoids,
    weights=lambda architecture: (Drop("model.{stack}.embed_positions"), *model_rules(architecture)),
)
