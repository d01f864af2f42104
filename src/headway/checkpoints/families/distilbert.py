"""DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108): half of BERT, without token types or pooler."""

from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.families.bert import model_settings, word_pieces
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Concat, Drop, Rename
from headway.models.config import ClassificationHeadConfig, ModelConfig, StackConfig

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    d_model, num_heads = config.width("dim", 768, "n_heads", 12)
    encoder = StackConfig(
        vocabulary_size=config.size("vocab_size", 30522, most=2**24),
        d_model=d_model,
        d_ff=config.size("hidden_dim", 3072, most=2**18),
        num_layers=config.size("n_layers", 6, most=1000),
        num_heads=num_heads,
        max_positions=config.size("max_position_embeddings", 512, most=2**20),
        activation=config.activation("activation", "gelu"),
        dropout=config.share("dropout", 0.1),
        attention_output_dropout="absent",
        attention_dropout=config.share("attention_dropout", 0.1),
    )
    head = ClassificationHeadConfig(activation="relu", dropout=config.share("seq_classif_dropout", 0.2))
    return ModelConfig(encoder=encoder, head=head, **model_settings(config))


def _config(architecture: ModelConfig) -> dict[str, Any]:
    stack, head = architecture.input_stack, architecture.head
    return {
        "vocab_size": stack.vocabulary_size,
        "dim": stack.d_model,
        "hidden_dim": stack.d_ff,
        "n_layers": stack.num_layers,
        "n_heads": stack.num_heads,
        "max_position_embeddings": stack.max_positions,
        "activation": ACTIVATION_NAMES[stack.activation],
        "dropout": stack.dropout,
        "attention_dropout": stack.attention_dropout,
        "seq_classif_dropout": head.dropout if head else 0.2,
        "initializer_range": architecture.initializer_std,
        "pad_token_id": architecture.pad_id,
    }


_THEIR_LAYER = "distilbert.transformer.layer.{n}"
_OUR_BLOCK = "encoder.blocks.{n}"

FAMILY = Family(
    model_types={"distilbert": "DistilBert"},
    tokenizers={"DistilBertTokenizer": word_pieces},
    architecture=_architecture,
    config=_config,
    weights=(
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", "distilbert.embeddings"),
        Alias("transformer", "distilbert.transformer"),
        # A buffer that older versions saved, and the head of pretraining.
        Drop("distilbert.embeddings.position_ids"),
        Drop("vocab_transform"),
        Drop("vocab_layer_norm"),
        Drop("vocab_projector"),
        Rename("distilbert.embeddings.word_embeddings", "encoder.embeddings.token"),
        Rename("distilbert.embeddings.position_embeddings", "encoder.embeddings.position"),
        Rename("distilbert.embeddings.LayerNorm", "encoder.embeddings.norm"),
        Concat(
            (
                f"{_THEIR_LAYER}.attention.q_lin",
                f"{_THEIR_LAYER}.attention.k_lin",
                f"{_THEIR_LAYER}.attention.v_lin",
            ),
            f"{_OUR_BLOCK}.self_attention.query_key_value",
        ),
        Rename(f"{_THEIR_LAYER}.attention.out_lin", f"{_OUR_BLOCK}.self_attention.output"),
        Rename(f"{_THEIR_LAYER}.sa_layer_norm", f"{_OUR_BLOCK}.self_attention_norm"),
        Rename(f"{_THEIR_LAYER}.ffn.lin1", f"{_OUR_BLOCK}.feed_forward.up"),
        Rename(f"{_THEIR_LAYER}.ffn.lin2", f"{_OUR_BLOCK}.feed_forward.down"),
        Rename(f"{_THEIR_LAYER}.output_layer_norm", f"{_OUR_BLOCK}.feed_forward_norm"),
        Rename("pre_classifier", "pooler.dense"),
        Rename("classifier", "classification_head"),
    ),
)
