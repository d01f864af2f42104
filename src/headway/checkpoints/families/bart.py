"""BART (Lewis et al. 2020, https://arxiv.org/abs/1910.13461), and what the families that grew from its code share."""

from dataclasses import replace
from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.families.roberta import byte_level_pieces
from headway.checkpoints.family import Family, Size
from headway.checkpoints.rules import Alias, Concat, Copy, Drop, Optional, Rename, Rule, Unsqueeze
from headway.models.config import ClassificationHeadConfig, LMHeadConfig, ModelConfig, StackConfig
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["FAMILY", "model_config", "model_rules", "read_head", "read_model", "read_stack", "stack_rules"]

_POSITION_OFFSET = 2


def read_model(
    config: ConfigReader, *, head: ClassificationHeadConfig | None = None, logits_bias: bool = True, **differences: Any
) -> ModelConfig:
    """An encoder and a decoder by the keys that BART gave them.

    Args:
        config: The model's `config.json`.
        head: The classification head, where the family has one.
        logits_bias: Whether the checkpoint has a bias for each token of the vocabulary.
        differences: Settings of both stacks that differ from BART's.
    """
    decoder = read_stack(config, "decoder", **differences)
    return ModelConfig(
        encoder=read_stack(config, "encoder", **differences),
        decoder=replace(decoder, causal=True, memory_width=decoder.d_model),
        head=head,
        lm_head=LMHeadConfig(tied=config.flag("tie_word_embeddings", True), bias=logits_bias),
        shared_embedding=config.flag("share_encoder_decoder_embeddings", True),
        initializer_std=config.positive("init_std", 0.02),
        pad_id=config.index("pad_token_id", 1),
        start_id=config.index("decoder_start_token_id", 2),
    )


def read_head(config: ConfigReader) -> ClassificationHeadConfig:
    """The classification head of the families that have one."""
    return ClassificationHeadConfig(
        pooling="last",
        end_id=config.first_index("eos_token_id", 2),
        dropout=config.share("classifier_dropout", 0.0),
        dropout_before_pooler=True,
    )


def read_stack(config: ConfigReader, part: str, **differences: Any) -> StackConfig:
    """One half of it, `encoder` or `decoder`."""
    d_model, num_heads = config.width("d_model", 1024, f"{part}_attention_heads", 16)
    odd = f'"d_model" {d_model} is odd, and sinusoidal positions come in pairs: this is not supported.'
    if d_model % 2 and str(differences.get("positions")).startswith("sinusoidal") and odd not in config.problems:
        config.problems.append(odd)
    vocabulary = config.size("vocab_size", 50265, most=2**24)
    settings: dict[str, Any] = {
        "vocabulary_size": config.size("decoder_vocab_size", vocabulary, most=2**24)
        if part == "decoder"
        else vocabulary,
        "d_model": d_model,
        "d_ff": config.size(f"{part}_ffn_dim", 4096, most=2**18),
        "num_layers": config.size(f"{part}_layers", 12, most=1000),
        "num_heads": num_heads,
        "max_positions": config.size("max_position_embeddings", 1024, most=2**20),
        "embedding_scale": d_model**0.5 if config.flag("scale_embedding", False) else 1.0,
        "activation": config.activation("activation_function", "gelu"),
        "norm_eps": 1e-5,
        "dropout": config.share("dropout", 0.1),
        "attention_dropout": config.share("attention_dropout", 0.0),
        "feed_forward_dropout": config.share("activation_dropout", 0.0),
    }
    return StackConfig(**(settings | differences))


def model_config(architecture: ModelConfig) -> dict[str, Any]:
    """The keys that `read_model` reads."""
    config: dict[str, Any] = {
        "tie_word_embeddings": architecture.lm_head is None or architecture.lm_head.tied,
        "init_std": architecture.initializer_std,
        "pad_token_id": architecture.padding_id,
        "decoder_start_token_id": architecture.start_id,
    }
    if architecture.head is not None:
        config |= {"eos_token_id": architecture.head.end_id, "classifier_dropout": architecture.head.dropout}
    for part, stack in (("decoder", architecture.decoder), ("encoder", architecture.encoder)):
        if stack is not None:
            config |= {
                "vocab_size": stack.vocabulary_size,
                "d_model": stack.d_model,
                f"{part}_ffn_dim": stack.d_ff,
                f"{part}_layers": stack.num_layers,
                f"{part}_attention_heads": stack.num_heads,
                "max_position_embeddings": stack.max_positions,
                "scale_embedding": stack.embedding_scale != 1,
                "activation_function": ACTIVATION_NAMES[stack.activation],
                "dropout": stack.dropout,
                "attention_dropout": stack.attention_dropout,
                "activation_dropout": stack.share("feed_forward_dropout"),
            }
    return config


def stack_rules(theirs: str = "model.{stack}", ours: str = "{stack}") -> tuple[Rule, ...]:
    """The names of an encoder's or a decoder's weights."""
    layer, block = f"{theirs}.layers.{{n}}", f"{ours}.blocks.{{n}}"
    return (
        Rename(f"{theirs}.embed_positions", f"{ours}.embeddings.position"),
        Rename(f"{theirs}.layernorm_embedding", f"{ours}.embeddings.norm"),
        Rename(f"{theirs}.layer_norm", f"{ours}.final_norm"),
        Concat(
            (f"{layer}.self_attn.q_proj", f"{layer}.self_attn.k_proj", f"{layer}.self_attn.v_proj"),
            f"{block}.self_attention.query_key_value",
        ),
        Rename(f"{layer}.self_attn.out_proj", f"{block}.self_attention.output"),
        Rename(f"{layer}.self_attn_layer_norm", f"{block}.self_attention_norm"),
        Rename(f"{layer}.encoder_attn.q_proj", f"{block}.cross_attention.query"),
        Concat(
            (f"{layer}.encoder_attn.k_proj", f"{layer}.encoder_attn.v_proj"),
            f"{block}.cross_attention.key_value",
        ),
        Rename(f"{layer}.encoder_attn.out_proj", f"{block}.cross_attention.output"),
        Rename(f"{layer}.encoder_attn_layer_norm", f"{block}.cross_attention_norm"),
        Rename(f"{layer}.fc1", f"{block}.feed_forward.up"),
        Rename(f"{layer}.fc2", f"{block}.feed_forward.down"),
        Rename(f"{layer}.final_layer_norm", f"{block}.feed_forward_norm"),
    )


def model_rules(architecture: ModelConfig) -> tuple[Rule, ...]:
    """The names of all weights of the model."""
    head = architecture.lm_head
    if architecture.shared_embedding:
        # Programs that do not tie the head do not tie the embeddings either.
        untied = head is not None and not head.tied
        embeddings: tuple[Rule, ...] = (
            Rename("model.shared", "encoder.embeddings.token"),
            Copy("model.encoder.embed_tokens", of="model.shared", written=untied),
            Copy("model.decoder.embed_tokens", of="model.shared", written=untied),
        )
    else:
        embeddings = (Rename("model.{stack}.embed_tokens", "{stack}.embeddings.token"), Drop("model.shared"))
    return (
        # A checkpoint of the bare model has no prefix.
        Alias("shared", "model.shared"),
        Alias("encoder", "model.encoder"),
        Alias("decoder", "model.decoder"),
        Drop("model.{stack}.version"),
        *embeddings,
        *stack_rules(),
        Unsqueeze("final_logits_bias", "lm_head.bias"),
        Rename("lm_head.weight", "lm_head.weight"),
        Optional("lm_head.weight"),
        Rename("classification_head.dense", "pooler.dense"),
        Rename("classification_head.out_proj", "classification_head"),
        *(() if head else (Optional("final_logits_bias"),)),
    )


def _from_scratch(size: Size, tokenizer: Tokenizer) -> dict[str, Any]:
    parts = ("encoder", "decoder")
    return {
        "vocab_size": tokenizer.largest_id + 1,
        "pad_token_id": tokenizer.id_of("<pad>"),
        "eos_token_id": tokenizer.id_of("</s>"),
        "decoder_start_token_id": tokenizer.id_of("</s>"),
        "d_model": size.d_model,
        **{f"{part}_ffn_dim": 4 * size.d_model for part in parts},
        **{f"{part}_layers": size.num_layers for part in parts},
        **{f"{part}_attention_heads": size.num_heads for part in parts},
    }


FAMILY = Family(
    model_types={"bart": "Bart"},
    from_scratch={"translation": _from_scratch, "summarization": _from_scratch},
    tokenizers={"BartTokenizer": byte_level_pieces},
    architecture=lambda config: read_model(config, head=read_head(config), position_offset=_POSITION_OFFSET),
    config=model_config,
    weights=model_rules,
)
