"""BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) and all that shares its shape, such as MiniLM."""

from typing import Any

from headway.checkpoints.config import ConfigReader
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Drop, Fuse, Rename
from headway.models.architecture import Architecture
from headway.nn.layers import Activation

__all__ = ["FAMILY"]

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
_ACTIVATION_NAMES: dict[Activation, str] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "silu": "silu",
}


def _architecture(config: ConfigReader) -> Architecture:
    config.require("position_embedding_type", "absolute", "only learned absolute positions are supported")
    config.require("is_decoder", False, "this model writes text; Headway reads the family as an encoder")
    config.require("add_cross_attention", False, "cross-attention is not supported in this family")
    config.require("pruned_heads", {}, "pruned attention heads are not supported; take the unpruned model")
    d_model = config.size("hidden_size", 768, most=2**16)
    num_heads = config.size("num_attention_heads", 12, most=2**12)
    if d_model % num_heads:
        config.problems.append(f'"hidden_size" {d_model} does not divide by "num_attention_heads" {num_heads}.')
    dropout = config.share("hidden_dropout_prob", 0.1)
    return Architecture(
        vocabulary_size=config.size("vocab_size", 30522, most=2**24),
        d_model=d_model,
        d_ff=config.size("intermediate_size", 3072, most=2**18),
        num_layers=config.size("num_hidden_layers", 12, most=1000),
        num_heads=num_heads,
        max_positions=config.size("max_position_embeddings", 512, most=2**20),
        num_token_types=config.size("type_vocab_size", 2, most=2**16),
        activation=config.choice("hidden_act", "gelu", _ACTIVATIONS),
        norm_eps=config.positive("layer_norm_eps", 1e-12),
        dropout=dropout,
        attention_dropout=config.share("attention_probs_dropout_prob", 0.1),
        head_dropout=config.share("classifier_dropout", dropout),
        initializer_std=config.positive("initializer_range", 0.02),
        pad_id=config.index("pad_token_id", 0),
    )


def _config(architecture: Architecture) -> dict[str, Any]:
    return {
        "architectures": ["BertForSequenceClassification"],
        "vocab_size": architecture.vocabulary_size,
        "hidden_size": architecture.d_model,
        "intermediate_size": architecture.d_ff,
        "num_hidden_layers": architecture.num_layers,
        "num_attention_heads": architecture.num_heads,
        "max_position_embeddings": architecture.max_positions,
        "type_vocab_size": architecture.num_token_types,
        "hidden_act": _ACTIVATION_NAMES[architecture.activation],
        "layer_norm_eps": architecture.norm_eps,
        "hidden_dropout_prob": architecture.dropout,
        "attention_probs_dropout_prob": architecture.attention_dropout,
        "classifier_dropout": architecture.head_dropout,
        "initializer_range": architecture.initializer_std,
        "pad_token_id": architecture.pad_id,
        "position_embedding_type": "absolute",
    }


_THEIR_LAYER = "bert.encoder.layer.{n}"
_OUR_BLOCK = "encoder.blocks.{n}"

FAMILY = Family(
    model_types=("bert",),
    architecture=_architecture,
    config=_config,
    weights=(
        # Checkpoints converted from TensorFlow call a norm's weights by the paper's Greek letters.
        Alias("{norm*}.gamma", "{norm*}.weight"),
        Alias("{norm*}.beta", "{norm*}.bias"),
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", "bert.embeddings"),
        Alias("encoder", "bert.encoder"),
        Alias("pooler", "bert.pooler"),
        # Heads of other tasks, and a buffer that older versions saved.
        Drop("cls"),
        Drop("qa_outputs"),
        Drop("bert.embeddings.position_ids"),
        Rename("bert.embeddings.word_embeddings", "encoder.embeddings.token"),
        Rename("bert.embeddings.position_embeddings", "encoder.embeddings.position"),
        Rename("bert.embeddings.token_type_embeddings", "encoder.embeddings.token_type"),
        Rename("bert.embeddings.LayerNorm", "encoder.embeddings.norm"),
        Fuse(
            (
                f"{_THEIR_LAYER}.attention.self.query",
                f"{_THEIR_LAYER}.attention.self.key",
                f"{_THEIR_LAYER}.attention.self.value",
            ),
            f"{_OUR_BLOCK}.self_attention.query_key_value",
        ),
        Rename(f"{_THEIR_LAYER}.attention.output.dense", f"{_OUR_BLOCK}.self_attention.output"),
        Rename(f"{_THEIR_LAYER}.attention.output.LayerNorm", f"{_OUR_BLOCK}.self_attention_norm"),
        Rename(f"{_THEIR_LAYER}.intermediate.dense", f"{_OUR_BLOCK}.feed_forward.up"),
        Rename(f"{_THEIR_LAYER}.output.dense", f"{_OUR_BLOCK}.feed_forward.down"),
        Rename(f"{_THEIR_LAYER}.output.LayerNorm", f"{_OUR_BLOCK}.feed_forward_norm"),
        Rename("bert.pooler.dense", "pooler.dense"),
        Rename("classifier", "classification_head"),
    ),
)
