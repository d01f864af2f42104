"""RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692), XLM-RoBERTa and CamemBERT.

BERT's shape, but positions start one after the padding's id, and the pooler belongs to the classification head.
"""

from collections.abc import Sequence
from typing import Any

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bert import (
    block_rules,
    causal_decoder,
    causal_decoder_config,
    encoder_config,
    encoder_settings,
    head_dropout,
    lm_head_rules,
    model_config,
    model_settings,
)
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop, Rename, Rule
from headway.models.config import ClassificationHeadConfig, ModelConfig, StackConfig
from headway.tokenizers.formats.base import FAIRSEQ_TOKENS
from headway.tokenizers.formats.byte_level import ByteLevelPieces
from headway.tokenizers.formats.sentencepiece import Piece, SentencePieces, fairseq_pieces

__all__ = ["FAMILY", "byte_level_pieces", "multilingual_pieces"]

_SINGLE = "{bos_token} $A {eos_token}"
_PAIR = "{bos_token} $A {eos_token} {eos_token} $B {eos_token}"


def _architecture(config: ConfigReader) -> ModelConfig:
    if config.config.get("model_type") == "roberta":
        config = config.assuming(vocab_size=50265)
    model = model_settings(config, pad_id=1)
    offset = model["pad_id"] + 1
    rows = config.size("max_position_embeddings", 512, most=2**20, least=offset + 1)
    settings = encoder_settings(config) | {"max_positions": rows - offset, "position_offset": offset}
    if config.flag("is_decoder", False):
        return causal_decoder(config, settings, model, "gelu")
    head = ClassificationHeadConfig(dropout=head_dropout(config), dropout_before_pooler=True)
    return ModelConfig(encoder=StackConfig(**settings), head=head, **model)


def _config(architecture: ModelConfig) -> dict[str, Any]:
    stack = architecture.input_stack
    rows = stack.max_positions + stack.position_offset
    return {
        **encoder_config(stack),
        **model_config(architecture),
        **causal_decoder_config(architecture),
        "max_position_embeddings": rows,
    }


def byte_level_pieces(config: ConfigReader) -> ByteLevelPieces:
    """RoBERTa's tokenizer, as its `tokenizer_config.json` sets it."""
    return ByteLevelPieces(
        # In transformers 5 the mask no longer absorbs the space before it.
        special={**FAIRSEQ_TOKENS, "mask_token": "<mask>"},
        single="{cls_token} $A {sep_token}",
        pair="{cls_token} $A {sep_token} {sep_token} $B {sep_token}",
        space_first=config.flag("add_prefix_space", False),
    )


def multilingual_pieces(config: ConfigReader) -> SentencePieces:
    """XLM-RoBERTa's tokenizer."""
    return SentencePieces(
        special=FAIRSEQ_TOKENS,
        single=_SINGLE,
        pair=_PAIR,
        file="sentencepiece.bpe.model",
        pieces=lambda own: fairseq_pieces(own, "<mask>"),
        space_first=config.stated_flag("add_prefix_space"),
    )


def _french_pieces(config: ConfigReader) -> SentencePieces:
    """CamemBERT's tokenizer: its dictionary has its own special tokens before the model's."""

    def pieces(own: Sequence[Piece]) -> list[Piece]:
        front = [(token, 0.0) for token in ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>")]
        return [*front, ("<unk>NOTUSED", -100.0), *own[1:], ("<mask>", 0.0)]

    return SentencePieces(
        special=FAIRSEQ_TOKENS,
        single=_SINGLE,
        pair=_PAIR,
        file="sentencepiece.bpe.model",
        pieces=pieces,
        space_first=config.stated_flag("add_prefix_space"),
    )


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    return (
        *block_rules("roberta"),
        *lm_head_rules(architecture, "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"),
        # A pooler that the classifier does not use.
        Drop("pooler"),
        Drop("roberta.pooler"),
        Rename("classifier.dense", "pooler.dense"),
        Rename("classifier.out_proj", "classification_head"),
    )


FAMILY = Family(
    model_types={
        "roberta": "Roberta",
        "xlm-roberta": "XLMRoberta",
        "camembert": "Camembert",
    },
    tokenizers={
        "RobertaTokenizer": byte_level_pieces,
        "XLMRobertaTokenizer": multilingual_pieces,
        "CamembertTokenizer": _french_pieces,
    },
    generative="ForCausalLM",
    architecture=_architecture,
    config=_config,
    weights=_weights,
)
