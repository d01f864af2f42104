"""Pegasus (Zhang et al. 2020, https://arxiv.org/abs/1912.08777): pre-norm, sinusoidal positions, no embedding norm."""

from collections.abc import Sequence

import torch
from torch import Tensor

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_model
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop
from headway.models.config import ModelConfig
from headway.nn.positions import sinusoids
from headway.tokenizers.formats.sentencepiece import Piece, SentencePieces

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    config = config.assuming(pad_token_id=0, decoder_start_token_id=0)
    return read_model(config, positions="sinusoidal", pre_norm=True, final_norm=True, embedding_norm=False)


def _sinusoids(architecture: ModelConfig) -> dict[str, Tensor]:
    stacks = {"encoder": architecture.encoder, "decoder": architecture.decoder}
    return {
        f"model.{name}.embed_positions.weight": sinusoids(torch.arange(stack.max_positions), stack.d_model)
        for name, stack in stacks.items()
        if stack is not None
    }


def _pieces(config: ConfigReader) -> SentencePieces:
    """Pegasus' tokenizer: the tokens that only its pretraining used are between `</s>` and `<unk>`."""
    masks = ("<mask_1>", "<mask_2>")
    unused = tuple(f"<unk_{number}>" for number in range(2, config.size("offset", 103, most=2**16, least=2)))

    def pieces(own: Sequence[Piece]) -> list[Piece]:
        front = [(token, 0.0) for token in ("<pad>", "</s>", *masks)]
        return [*front, *((token, -100.0) for token in unused), *own[2:]]

    return SentencePieces(
        special={"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": masks[1]},
        single="$A {eos_token}",
        pair="$A $B {eos_token}",
        file="spiece.model",
        stands=True,
        pieces=pieces,
        extra=(masks[0], *unused),
        learned_with={"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    )


FAMILY = Family(
    model_types={"pegasus": "Pegasus"},
    tokenizers={"PegasusTokenizer": _pieces},
    architecture=_architecture,
    config=model_config,
    # Sinusoids need no weights; checkpoints hold them anyway.
    fixed=_sinusoids,
    weights=lambda architecture: (Drop("model.{stack}.embed_positions"), *model_rules(architecture)),
)
