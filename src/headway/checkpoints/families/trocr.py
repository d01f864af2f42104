"""The decoder of TrOCR (Li et al. 2023, https://arxiv.org/abs/2109.10282): BART's, with a memory of any width."""

from dataclasses import replace
from typing import Any

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bart import model_config, read_stack, stack_rules
from headway.checkpoints.families.roberta import byte_level_pieces, multilingual_pieces
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop, Optional, Rename, Rule
from headway.models.config import LMHeadConfig, ModelConfig

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    learned = config.flag("use_learned_position_embeddings", True)
    decoder = read_stack(
        config,
        "decoder",
        causal=True,
        positions="learned" if learned else "sinusoidal_inclusive",
        position_offset=2 if learned else config.index("pad_token_id", 1) + 1,
        max_positions=config.size("max_position_embeddings", 512, most=2**20),
        embedding_norm=config.flag("layernorm_embedding", True),
    )
    width = config.size("cross_attention_hidden_size", decoder.d_model, most=2**16)
    return ModelConfig(
        decoder=replace(decoder, memory_width=width),
        lm_head=LMHeadConfig(tied=config.flag("tie_word_embeddings", True)),
        initializer_std=config.positive("init_std", 0.02),
        pad_id=config.index("pad_token_id", 1),
        start_id=config.index("decoder_start_token_id", 2),
    )


def _config(architecture: ModelConfig) -> dict[str, Any]:
    decoder = architecture.decoder
    assert decoder is not None
    return model_config(architecture) | {
        "use_learned_position_embeddings": decoder.positions == "learned",
        "layernorm_embedding": decoder.embedding_norm,
        "cross_attention_hidden_size": None if decoder.memory_width == decoder.d_model else decoder.memory_width,
    }


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    assert architecture.decoder is not None
    fixed = architecture.decoder.positions != "learned"
    return (
        # Sinusoids need no weights; some checkpoints hold them anyway.
        *((Drop("model.decoder.embed_positions"),) if fixed else ()),
        Drop("model.decoder.version"),
        Rename("model.decoder.embed_tokens", "decoder.embeddings.token"),
        *stack_rules("model.decoder", "decoder"),
        Rename("output_projection.weight", "lm_head.weight"),
        Optional("output_projection.weight"),
    )


FAMILY = Family(
    model_types={"trocr": "TrOCR"},
    tokenizers={"RobertaTokenizer": byte_level_pieces, "XLMRobertaTokenizer": multilingual_pieces},
    generative="ForCausalLM",
    architecture=_architecture,
    config=_config,
    weights=_weights,
)
