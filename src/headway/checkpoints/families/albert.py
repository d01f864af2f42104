"""ALBERT (Lan et al. 2020, https://arxiv.org/abs/1909.11942): small embeddings, and layers that share their weights."""

from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, normalizers

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bert import encoder_config, encoder_settings, model_config, model_settings
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Concat, Drop, Rename
from headway.models.config import ClassificationHeadConfig, ModelConfig, StackConfig
from headway.tokenizers.formats.sentencepiece import Piece, SentencePieces

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    config.require("inner_group_num", 1, "groups of several blocks are not supported; no published model has them")
    config = config.assuming(
        vocab_size=30000,
        hidden_size=4096,
        num_attention_heads=64,
        intermediate_size=16384,
        hidden_act="gelu_new",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    settings = encoder_settings(config)
    settings |= {
        "embedding_size": config.size("embedding_size", 128, most=2**16),
        "distinct_blocks": config.size("num_hidden_groups", 1, most=settings["num_layers"]),
        "feed_forward_output_dropout": "absent",
    }
    head = ClassificationHeadConfig(dropout=config.share("classifier_dropout_prob", 0.1))
    return ModelConfig(encoder=StackConfig(**settings), head=head, **model_settings(config))


def _config(architecture: ModelConfig) -> dict[str, Any]:
    stack = architecture.input_stack
    config = encoder_config(stack) | model_config(architecture)
    config |= {
        "embedding_size": stack.embedding_size,
        "num_hidden_groups": stack.distinct_blocks,
        "inner_group_num": 1,
    }
    # The family uses another name for it.
    config["classifier_dropout_prob"] = config.pop("classifier_dropout")
    return config


_THEIR_LAYER = "albert.encoder.albert_layer_groups.{n}.albert_layers.0"
_OUR_BLOCK = "encoder.blocks.{n}"


def _pieces(config: ConfigReader) -> SentencePieces:
    """ALBERT's tokenizer, as its `tokenizer_config.json` sets it."""
    lowercase, keep_accents = config.flag("do_lower_case", True), config.flag("keep_accents", False)

    def tidy(own: normalizers.Normalizer | None) -> normalizers.Normalizer:
        steps: list[normalizers.Normalizer] = [normalizers.Replace(quote, '"') for quote in ("``", "''")]
        steps += [] if keep_accents else [normalizers.NFKD(), normalizers.StripAccents()]
        steps += [normalizers.Lowercase()] if lowercase else []
        return normalizers.Sequence([*steps, *([own] if own else [])])

    return SentencePieces(
        special={
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "bos_token": "[CLS]",
            "eos_token": "[SEP]",
            "sep_token": "[SEP]",
            "cls_token": "[CLS]",
            "mask_token": AddedToken("[MASK]", lstrip=True, special=True),
        },
        single="{cls_token} $A {sep_token}",
        pair="{cls_token} $A {sep_token} $B:1 {sep_token}:1",
        file="spiece.model",
        pieces=_digits_before_commas,
        normalizer=tidy,
        around_from="file or class",
        space_first=config.stated_flag("add_prefix_space"),
        learned_with={
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        },
    )


def _digits_before_commas(own: Sequence[Piece]) -> list[Piece]:
    """Pieces such as `9,` made unlikely: the released code splits them in two."""
    return [(piece, score - 100.0 if piece[-1:] == "," and piece[-2:-1].isdigit() else score) for piece, score in own]


FAMILY = Family(
    model_types={"albert": "Albert"},
    tokenizers={"AlbertTokenizer": _pieces},
    architecture=_architecture,
    config=_config,
    weights=(
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", "albert.embeddings"),
        Alias("encoder", "albert.encoder"),
        Alias("pooler", "albert.pooler"),
        # A buffer that older versions saved, and heads of pretraining.
        Drop("albert.embeddings.position_ids"),
        Drop("predictions"),
        Drop("sop_classifier"),
        Rename("albert.embeddings.word_embeddings", "encoder.embeddings.token"),
        Rename("albert.embeddings.position_embeddings", "encoder.embeddings.position"),
        Rename("albert.embeddings.token_type_embeddings", "encoder.embeddings.token_type"),
        Rename("albert.embeddings.LayerNorm", "encoder.embeddings.norm"),
        Rename("albert.encoder.embedding_hidden_mapping_in", "encoder.embeddings.projection"),
        Concat(
            (
                f"{_THEIR_LAYER}.attention.query",
                f"{_THEIR_LAYER}.attention.key",
                f"{_THEIR_LAYER}.attention.value",
            ),
            f"{_OUR_BLOCK}.self_attention.query_key_value",
        ),
        Rename(f"{_THEIR_LAYER}.attention.dense", f"{_OUR_BLOCK}.self_attention.output"),
        Rename(f"{_THEIR_LAYER}.attention.LayerNorm", f"{_OUR_BLOCK}.self_attention_norm"),
        Rename(f"{_THEIR_LAYER}.ffn", f"{_OUR_BLOCK}.feed_forward.up"),
        Rename(f"{_THEIR_LAYER}.ffn_output", f"{_OUR_BLOCK}.feed_forward.down"),
        Rename(f"{_THEIR_LAYER}.full_layer_layer_norm", f"{_OUR_BLOCK}.feed_forward_norm"),
        Rename("albert.pooler", "pooler.dense"),
        Rename("classifier", "classification_head"),
    ),
)
