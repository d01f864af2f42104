"""BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) and all that shares its shape, such as MiniLM."""

from typing import Any

from headway.checkpoints.config import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Drop, Fuse, Rename, Rule
from headway.models.architecture import Architecture

__all__ = ["FAMILY", "block_rules", "encoder_config", "encoder_settings"]


def encoder_settings(config: ConfigReader) -> dict[str, Any]:
    """The settings of a post-norm encoder with learned positions, by the keys that BERT gave them."""
    config.require("position_embedding_type", "absolute", "only learned absolute positions are supported")
    config.require("is_decoder", False, "this model writes text; Headway reads the family as an encoder")
    config.require("add_cross_attention", False, "cross-attention is not supported in this family")
    config.require("pruned_heads", {}, "pruned attention heads are not supported; take the unpruned model")
    d_model, num_heads = config.width("hidden_size", 768, "num_attention_heads", 12)
    dropout = config.share("hidden_dropout_prob", 0.1)
    return {
        "vocabulary_size": config.size("vocab_size", 30522, most=2**24),
        "d_model": d_model,
        "d_ff": config.size("intermediate_size", 3072, most=2**18),
        "num_layers": config.size("num_hidden_layers", 12, most=1000),
        "num_heads": num_heads,
        "max_positions": config.size("max_position_embeddings", 512, most=2**20),
        "num_token_types": config.size("type_vocab_size", 2, most=2**16),
        "activation": config.activation("hidden_act", "gelu"),
        "norm_eps": config.positive("layer_norm_eps", 1e-12),
        "dropout": dropout,
        "attention_dropout": config.share("attention_probs_dropout_prob", 0.1),
        "head_dropout": config.share("classifier_dropout", dropout),
        "initializer_std": config.positive("initializer_range", 0.02),
        "pad_id": config.index("pad_token_id", 0),
    }


def encoder_config(architecture: Architecture) -> dict[str, Any]:
    """The keys that `encoder_settings` reads."""
    return {
        "vocab_size": architecture.vocabulary_size,
        "hidden_size": architecture.d_model,
        "intermediate_size": architecture.d_ff,
        "num_hidden_layers": architecture.num_layers,
        "num_attention_heads": architecture.num_heads,
        "max_position_embeddings": architecture.max_positions,
        "type_vocab_size": architecture.num_token_types,
        "hidden_act": ACTIVATION_NAMES[architecture.activation],
        "layer_norm_eps": architecture.norm_eps,
        "hidden_dropout_prob": architecture.dropout,
        "attention_probs_dropout_prob": architecture.attention_dropout,
        "classifier_dropout": architecture.head_dropout,
        "initializer_range": architecture.initializer_std,
        "pad_token_id": architecture.pad_id,
        "position_embedding_type": "absolute",
    }


def block_rules(base: str) -> tuple[Rule, ...]:
    """The names of embeddings and blocks under the module `base`, with those of older checkpoints."""
    theirs, ours = f"{base}.encoder.layer.{{n}}", "encoder.blocks.{n}"
    return (
        # Checkpoints converted from TensorFlow call a norm's weights by the paper's Greek letters.
        Alias("{norm*}.gamma", "{norm*}.weight"),
        Alias("{norm*}.beta", "{norm*}.bias"),
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", f"{base}.embeddings"),
        Alias("encoder", f"{base}.encoder"),
        # A buffer that older versions saved.
        Drop(f"{base}.embeddings.position_ids"),
        Rename(f"{base}.embeddings.word_embeddings", "encoder.embeddings.token"),
        Rename(f"{base}.embeddings.position_embeddings", "encoder.embeddings.position"),
        Rename(f"{base}.embeddings.token_type_embeddings", "encoder.embeddings.token_type"),
        Rename(f"{base}.embeddings.LayerNorm", "encoder.embeddings.norm"),
        Fuse(
            (
                f"{theirs}.attention.self.query",
                f"{theirs}.attention.self.key",
                f"{theirs}.attention.self.value",
            ),
            f"{ours}.self_attention.query_key_value",
        ),
        Rename(f"{theirs}.attention.output.dense", f"{ours}.self_attention.output"),
        Rename(f"{theirs}.attention.output.LayerNorm", f"{ours}.self_attention_norm"),
        Rename(f"{theirs}.intermediate.dense", f"{ours}.feed_forward.up"),
        Rename(f"{theirs}.output.dense", f"{ours}.feed_forward.down"),
        Rename(f"{theirs}.output.LayerNorm", f"{ours}.feed_forward_norm"),
    )


FAMILY = Family(
    model_types={"bert": "BertForSequenceClassification"},
    architecture=lambda config: Architecture(**encoder_settings(config)),
    config=encoder_config,
    weights=(
        *block_rules("bert"),
        Alias("pooler", "bert.pooler"),
        # Heads of other tasks.
        Drop("cls"),
        Drop("qa_outputs"),
        Rename("bert.pooler.dense", "pooler.dense"),
        Rename("classifier", "classification_head"),
    ),
)
