"""T5 (Raffel et al. 2020, https://arxiv.org/abs/1910.10683), its version 1.1, FLAN-T5 and mT5."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ACTIVATIONS, ConfigReader
from headway.checkpoints.families.bart import read_head
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Concat, Copy, Drop, Optional, Rename, Rule, nested
from headway.models.config import LMHeadConfig, ModelConfig, RelativePositions, StackConfig
from headway.nn.layers import Activation
from headway.tokenizers.formats.sentencepiece import Piece, SentencePieces

__all__ = ["FAMILY"]

_FEED_FORWARDS: dict[str, tuple[bool, Activation]] = {
    **{name: (False, activation) for name, activation in ACTIVATIONS.items()},
    **{f"gated-{name}": (True, activation) for name, activation in ACTIVATIONS.items()},
    # It was trained with the tanh form.
    "gated-gelu": (True, "gelu_tanh"),
}


def _architecture(config: ConfigReader) -> ModelConfig:
    multilingual = config.config.get("model_type") == "mt5"
    if multilingual:
        config = config.assuming(
            vocab_size=250112, d_ff=1024, num_layers=8, num_heads=6, feed_forward_proj="gated-gelu"
        )
    d_model = config.size("d_model", 512, most=2**16)
    gated, activation = _feed_forward(config)
    num_layers = config.size("num_layers", 6, most=1000)
    num_buckets = config.size("relative_attention_num_buckets", 32, most=2**16, least=4)
    encoder = StackConfig(
        vocabulary_size=config.size("vocab_size", 32128, most=2**24),
        d_model=d_model,
        d_ff=config.size("d_ff", 2048, most=2**18),
        num_layers=num_layers,
        num_heads=config.size("num_heads", 8, most=2**12),
        head_dim=config.size("d_kv", 64, most=2**12),
        # Relative positions have no limit; no model of the family was trained beyond this.
        max_positions=config.size("n_positions", 512, most=2**20),
        positions="relative",
        relative=RelativePositions(
            num_buckets=num_buckets,
            # The lower half of the buckets holds one distance each; the others widen up to here.
            max_distance=config.size("relative_attention_max_distance", 128, most=2**20, least=num_buckets // 2 + 1),
        ),
        embedding_norm=False,
        pre_norm=True,
        final_norm=True,
        norm="rms",
        norm_eps=config.positive("layer_norm_epsilon", 1e-6),
        activation=activation,
        gated=gated,
        attention_bias=False,
        feed_forward_bias=False,
        attention_scale=1.0,
        dropout=config.share("dropout_rate", 0.1),
        feed_forward_dropout=config.share("dropout_rate", 0.1),
        attention_dropout=config.share("dropout_rate", 0.1),
    )
    decoder = replace(
        encoder,
        num_layers=config.size("num_decoder_layers", num_layers, most=1000),
        causal=True,
        memory_width=d_model,
    )
    # Version 1.1 neither ties nor scales, and says so by the flag for the first. Whether the head is really tied
    # follows from the weights: the flag was not always kept when these models were saved again.
    scaled = not multilingual and config.flag("scale_decoder_outputs", config.flag("tie_word_embeddings", True))
    return ModelConfig(
        encoder=encoder,
        decoder=decoder,
        head=read_head(config.assuming(eos_token_id=1)),
        lm_head=LMHeadConfig(scale=d_model**-0.5 if scaled else 1.0),
        shared_embedding=True,
        initializer_std=0.05 * config.positive("initializer_factor", 1.0),
        pad_id=config.index("pad_token_id", 0),
        start_id=config.index("decoder_start_token_id", 0),
    )


def _feed_forward(config: ConfigReader) -> tuple[bool, Activation]:
    """Whether the feed-forward layers are gated, and their activation."""
    gated, activation = config.choice("feed_forward_proj", "relu", _FEED_FORWARDS)
    # Where present, these decide.
    return config.flag("is_gated_act", gated), config.activation("dense_act_fn", ACTIVATION_NAMES[activation])


def _config(architecture: ModelConfig) -> dict[str, Any]:
    encoder, decoder = architecture.encoder, architecture.decoder
    assert encoder is not None
    assert decoder is not None
    assert encoder.relative is not None
    activation = ACTIVATION_NAMES[encoder.activation]
    heads: dict[str, Any] = {}
    if architecture.lm_head is not None:
        scaled = architecture.lm_head.scale != 1
        heads |= {"tie_word_embeddings": scaled, "scale_decoder_outputs": scaled}
    if architecture.head is not None:
        heads |= {"eos_token_id": architecture.head.end_id, "classifier_dropout": architecture.head.dropout}
    return heads | {
        "vocab_size": encoder.vocabulary_size,
        "d_model": encoder.d_model,
        "d_ff": encoder.d_ff,
        "d_kv": encoder.head_dim,
        "num_layers": encoder.num_layers,
        "num_decoder_layers": decoder.num_layers,
        "num_heads": encoder.num_heads,
        "n_positions": encoder.max_positions,
        "relative_attention_num_buckets": encoder.relative.num_buckets,
        "relative_attention_max_distance": encoder.relative.max_distance,
        "layer_norm_epsilon": encoder.norm_eps,
        "feed_forward_proj": f"gated-{activation}" if encoder.gated else activation,
        "is_gated_act": encoder.gated,
        "dense_act_fn": activation,
        "dropout_rate": encoder.dropout,
        "initializer_factor": architecture.initializer_std / 0.05,
        "pad_token_id": architecture.pad_id,
        "decoder_start_token_id": architecture.start_id,
    }


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    if architecture.lm_head is not None:
        return _model_rules(architecture)
    return (
        # A classifier's names have a prefix that those of all other models lack.
        *(Alias(part, f"transformer.{part}") for part in ("shared", "encoder", "decoder")),
        *nested(_model_rules(architecture), base="", prefix="transformer."),
        Rename("classification_head.dense", "pooler.dense"),
        Rename("classification_head.out_proj", "classification_head"),
        Optional("lm_head.weight"),
    )


def _model_rules(architecture: ModelConfig) -> tuple[Rule, ...]:
    assert architecture.encoder is not None
    their_layer, our_block = "{stack}.block.{n}.layer", "{stack}.blocks.{n}"

    def feed_forward(stack: str, place: int) -> tuple[Rule, ...]:
        theirs = f"{stack}.block.{{n}}.layer.{place}"
        ours = f"{stack}.blocks.{{n}}"
        dense = f"{theirs}.DenseReluDense"
        wide: Rule = Rename(f"{dense}.wi", f"{ours}.feed_forward.up")
        if architecture.encoder is not None and architecture.encoder.gated:
            wide = Concat((f"{dense}.wi_0", f"{dense}.wi_1"), f"{ours}.feed_forward.up")
        return (
            wide,
            Rename(f"{dense}.wo", f"{ours}.feed_forward.down"),
            Rename(f"{theirs}.layer_norm", f"{ours}.feed_forward_norm"),
        )

    attention = f"{their_layer}.0.SelfAttention"
    cross = "decoder.block.{n}.layer.1.EncDecAttention"
    return (
        Drop("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias"),
        Rename("shared", "encoder.embeddings.token"),
        Copy("encoder.embed_tokens", of="shared"),
        Copy("decoder.embed_tokens", of="shared"),
        Rename("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias", "{stack}.relative_bias.table"),
        Concat((f"{attention}.q", f"{attention}.k", f"{attention}.v"), f"{our_block}.self_attention.query_key_value"),
        Rename(f"{attention}.o", f"{our_block}.self_attention.output"),
        Rename(f"{their_layer}.0.layer_norm", f"{our_block}.self_attention_norm"),
        Rename(f"{cross}.q", "decoder.blocks.{n}.cross_attention.query"),
        Concat((f"{cross}.k", f"{cross}.v"), "decoder.blocks.{n}.cross_attention.key_value"),
        Rename(f"{cross}.o", "decoder.blocks.{n}.cross_attention.output"),
        Rename("decoder.block.{n}.layer.1.layer_norm", "decoder.blocks.{n}.cross_attention_norm"),
        *feed_forward("encoder", 1),
        *feed_forward("decoder", 2),
        Rename("{stack}.final_layer_norm", "{stack}.final_norm"),
        Rename("lm_head.weight", "lm_head.weight"),
        Optional("lm_head.weight"),
    )


def _pieces(config: ConfigReader) -> SentencePieces:
    """T5's tokenizer: the model's pieces, then the sentinel tokens of pretraining."""
    count = config.size("extra_ids", 100, most=2**16, least=0)
    sentinels = tuple(f"<extra_id_{number}>" for number in reversed(range(count)))

    def pieces(own: Sequence[Piece]) -> list[Piece]:
        return [*own, *((token, 0.0) for token in sentinels)]

    return SentencePieces(
        special={"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        single="$A {eos_token}",
        pair="$A {eos_token} $B {eos_token}",
        file="spiece.model",
        pieces=pieces,
        extra=sentinels,
        learned_with={"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    )


FAMILY = Family(
    model_types={"t5": "T5", "mt5": "MT5"},
    tokenizers={"T5Tokenizer": _pieces},
    architecture=_architecture,
    config=_config,
    weights=_weights,
)
