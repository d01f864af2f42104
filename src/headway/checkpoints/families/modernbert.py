"""ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663): rotary positions, windows, gates, no biases."""

from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.families.bert import model_settings
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Drop, Rename
from headway.models.config import ClassificationHeadConfig, ModelConfig, Pooling, StackConfig

__all__ = ["FAMILY"]

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_STRETCHED = "scaled rotary positions are not supported"
_POOLINGS: dict[str, Pooling] = {"cls": "first", "mean": "mean"}


def _architecture(config: ConfigReader) -> ModelConfig:
    d_model, num_heads = config.width("hidden_size", 768, "num_attention_heads", 12, paired=True)
    num_layers = config.size("num_hidden_layers", 22, most=1000)
    every = config.size("global_attn_every_n_layers", 3, most=1000)
    kinds = config.listed("layer_types", [_LOCAL if n % every else _GLOBAL for n in range(num_layers)], num_layers)
    config.require("rope_scaling", {"rope_type": "default"}, _STRETCHED)
    thetas = {kind: _theta(config, kind, key, base) for kind, key, base in _THETAS}
    window = config.size("local_attention", 128, most=2**20, least=2) // 2
    attention_dropout = config.share("attention_dropout", 0.0)
    encoder = StackConfig(
        vocabulary_size=config.size("vocab_size", 50368, most=2**24),
        d_model=d_model,
        d_ff=config.size("intermediate_size", 1152, most=2**18),
        num_layers=num_layers,
        num_heads=num_heads,
        max_positions=config.size("max_position_embeddings", 8192, most=2**20),
        positions="rotary",
        pre_norm=True,
        first_norm=False,
        final_norm=True,
        activation=config.activation("hidden_activation", "gelu"),
        gated=True,
        attention_bias=config.flag("attention_bias", False),
        feed_forward_bias=config.flag("mlp_bias", False),
        norm_bias=config.flag("norm_bias", False),
        norm_eps=config.positive("norm_eps", 1e-5),
        rotary_thetas=tuple(thetas.get(kind, 1.0) for kind in kinds),
        windows=tuple(window if kind == _LOCAL else None for kind in kinds),
        dropout=0.0,
        embedding_dropout=config.share("embedding_dropout", 0.0),
        attention_output_dropout=attention_dropout,
        feed_forward_output_dropout="absent",
        feed_forward_dropout=config.share("mlp_dropout", 0.0),
        attention_dropout=attention_dropout,
    )
    head = ClassificationHeadConfig(
        pooling=config.choice("classifier_pooling", "cls", _POOLINGS),
        activation=config.activation("classifier_activation", "gelu"),
        pooler_bias=config.flag("classifier_bias", False),
        pooler_norm=True,
        dropout=config.share("classifier_dropout", 0.0),
    )
    return ModelConfig(encoder=encoder, head=head, **model_settings(config, pad_id=50283))


# The kind of layer, the key that gave its theta before `rope_parameters` did, and the default.
_THETAS = ((_GLOBAL, "global_rope_theta", 160_000.0), (_LOCAL, "local_rope_theta", 10_000.0))


def _theta(config: ConfigReader, kind: str, old_key: str, default: float) -> float:
    rope = config.inside("rope_parameters").inside(kind)
    rope.require("rope_type", "default", _STRETCHED)
    return rope.positive("rope_theta", config.positive(old_key, default))


def _config(architecture: ModelConfig) -> dict[str, Any]:
    a, head = architecture.input_stack, architecture.head or ClassificationHeadConfig()
    windows, thetas = a.windows or (), a.rotary_thetas or ()
    kinds = [_GLOBAL if window is None else _LOCAL for window in windows]
    defaults = {kind: default for kind, _, default in _THETAS}
    by_kind = defaults | dict(zip(kinds, thetas, strict=True))
    return {
        "vocab_size": a.vocabulary_size,
        "hidden_size": a.d_model,
        "intermediate_size": a.d_ff,
        "num_hidden_layers": a.num_layers,
        "num_attention_heads": a.num_heads,
        "max_position_embeddings": a.max_positions,
        "hidden_activation": ACTIVATION_NAMES[a.activation],
        "attention_bias": a.attention_bias,
        "mlp_bias": a.feed_forward_bias,
        "norm_bias": a.norm_bias,
        "norm_eps": a.norm_eps,
        "layer_types": kinds,
        "rope_parameters": {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in by_kind.items()},
        "local_attention": 2 * next((window for window in windows if window is not None), 64),
        "classifier_pooling": next(theirs for theirs, ours in _POOLINGS.items() if ours == head.pooling),
        "classifier_activation": ACTIVATION_NAMES[head.activation],
        "classifier_bias": head.pooler_bias,
        "embedding_dropout": a.share("embedding_dropout"),
        "mlp_dropout": a.share("feed_forward_dropout"),
        "attention_dropout": a.attention_dropout,
        "classifier_dropout": head.dropout,
        "initializer_range": architecture.initializer_std,
        "pad_token_id": architecture.padding_id,
    }


_THEIR_LAYER = "model.layers.{n}"
_OUR_BLOCK = "encoder.blocks.{n}"

FAMILY = Family(
    model_types={"modernbert": "ModernBert"},
    architecture=_architecture,
    config=_config,
    weights=(
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", "model.embeddings"),
        Alias("layers", "model.layers"),
        Alias("final_norm", "model.final_norm"),
        # The masked language modelling head.
        Drop("decoder"),
        Rename("model.embeddings.tok_embeddings", "encoder.embeddings.token"),
        Rename("model.embeddings.norm", "encoder.embeddings.norm"),
        Rename(f"{_THEIR_LAYER}.attn_norm", f"{_OUR_BLOCK}.self_attention_norm"),
        Rename(f"{_THEIR_LAYER}.attn.Wqkv", f"{_OUR_BLOCK}.self_attention.query_key_value"),
        Rename(f"{_THEIR_LAYER}.attn.Wo", f"{_OUR_BLOCK}.self_attention.output"),
        Rename(f"{_THEIR_LAYER}.mlp_norm", f"{_OUR_BLOCK}.feed_forward_norm"),
        Rename(f"{_THEIR_LAYER}.mlp.Wi", f"{_OUR_BLOCK}.feed_forward.up"),
        Rename(f"{_THEIR_LAYER}.mlp.Wo", f"{_OUR_BLOCK}.feed_forward.down"),
        Rename("model.final_norm", "encoder.final_norm"),
        Rename("head.dense", "pooler.dense"),
        Rename("head.norm", "pooler.norm"),
        Rename("classifier", "classification_head"),
    ),
)
