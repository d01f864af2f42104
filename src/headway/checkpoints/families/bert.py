"""BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) and all that shares its shape, such as MiniLM."""

from dataclasses import replace
from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.family import Family, Size
from headway.checkpoints.rules import Alias, Concat, Copy, Drop, Optional, Rename, Rule
from headway.models.config import ClassificationHeadConfig, LMHeadConfig, ModelConfig, StackConfig
from headway.nn.layers import Activation
from headway.tokenizers.formats.wordpiece import WordPieces
from headway.tokenizers.tokenizer import Tokenizer

__all__ = [
    "FAMILY",
    "block_rules",
    "causal_decoder",
    "causal_decoder_config",
    "encoder_config",
    "encoder_settings",
    "head_dropout",
    "lm_head_rules",
    "model_config",
    "model_settings",
    "word_pieces",
]


def encoder_settings(config: ConfigReader) -> dict[str, Any]:
    """The settings of a post-norm stack with learned positions, by the keys that BERT gave them."""
    config.require("position_embedding_type", "absolute", "only learned absolute positions are supported")
    config.require("pruned_heads", {}, "pruned attention heads are not supported; take the unpruned model")
    d_model, num_heads = config.width("hidden_size", 768, "num_attention_heads", 12)
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
        "dropout": config.share("hidden_dropout_prob", 0.1),
        "attention_dropout": config.share("attention_probs_dropout_prob", 0.1),
    }


def encoder_config(stack: StackConfig) -> dict[str, Any]:
    """The keys that `encoder_settings` reads."""
    return {
        "vocab_size": stack.vocabulary_size,
        "hidden_size": stack.d_model,
        "intermediate_size": stack.d_ff,
        "num_hidden_layers": stack.num_layers,
        "num_attention_heads": stack.num_heads,
        "max_position_embeddings": stack.max_positions,
        "type_vocab_size": stack.num_token_types,
        "hidden_act": ACTIVATION_NAMES[stack.activation],
        "layer_norm_eps": stack.norm_eps,
        "hidden_dropout_prob": stack.dropout,
        "attention_probs_dropout_prob": stack.attention_dropout,
        "position_embedding_type": "absolute",
    }


def model_settings(config: ConfigReader, pad_id: int = 0) -> dict[str, Any]:
    """The settings that belong to no stack."""
    return {
        "initializer_std": config.positive("initializer_range", 0.02),
        "pad_id": config.index("pad_token_id", pad_id),
    }


def model_config(architecture: ModelConfig) -> dict[str, Any]:
    """The keys that `model_settings` and `head_dropout` read."""
    config = {"initializer_range": architecture.initializer_std, "pad_token_id": architecture.pad_id}
    return config if architecture.head is None else config | {"classifier_dropout": architecture.head.dropout}


def head_dropout(config: ConfigReader) -> float:
    """Dropout of the pooled vector before it is scored."""
    return config.share("classifier_dropout", config.share("hidden_dropout_prob", 0.1))


def block_rules(base: str) -> tuple[Rule, ...]:
    """The names of embeddings and blocks under the module `base`, with those of older checkpoints."""
    theirs, ours = f"{base}.encoder.layer.{{n}}", "{stack}.blocks.{n}"
    return (
        # Checkpoints converted from TensorFlow call a norm's weights by the paper's Greek letters.
        Alias("{norm*}.gamma", "{norm*}.weight"),
        Alias("{norm*}.beta", "{norm*}.bias"),
        # A checkpoint of the bare encoder has no prefix.
        Alias("embeddings", f"{base}.embeddings"),
        Alias("encoder", f"{base}.encoder"),
        # A buffer that older versions saved.
        Drop(f"{base}.embeddings.position_ids"),
        Rename(f"{base}.embeddings.word_embeddings", "{stack}.embeddings.token"),
        Rename(f"{base}.embeddings.position_embeddings", "{stack}.embeddings.position"),
        Rename(f"{base}.embeddings.token_type_embeddings", "{stack}.embeddings.token_type"),
        Rename(f"{base}.embeddings.LayerNorm", "{stack}.embeddings.norm"),
        Concat(
            (
                f"{theirs}.attention.self.query",
                f"{theirs}.attention.self.key",
                f"{theirs}.attention.self.value",
            ),
            f"{ours}.self_attention.query_key_value",
        ),
        Rename(f"{theirs}.attention.output.dense", f"{ours}.self_attention.output"),
        Rename(f"{theirs}.attention.output.LayerNorm", f"{ours}.self_attention_norm"),
        Rename(f"{theirs}.crossattention.self.query", f"{ours}.cross_attention.query"),
        Concat(
            (f"{theirs}.crossattention.self.key", f"{theirs}.crossattention.self.value"),
            f"{ours}.cross_attention.key_value",
        ),
        Rename(f"{theirs}.crossattention.output.dense", f"{ours}.cross_attention.output"),
        Rename(f"{theirs}.crossattention.output.LayerNorm", f"{ours}.cross_attention_norm"),
        Rename(f"{theirs}.intermediate.dense", f"{ours}.feed_forward.up"),
        Rename(f"{theirs}.output.dense", f"{ours}.feed_forward.down"),
        Rename(f"{theirs}.output.LayerNorm", f"{ours}.feed_forward_norm"),
    )


def causal_decoder(
    config: ConfigReader, settings: dict[str, Any], model: dict[str, Any], transform: Activation
) -> ModelConfig:
    """The same stack as a decoder, with an `lm_head` that has a dense layer with the activation `transform`."""
    stack = StackConfig(**settings, causal=True)
    memory_width = config.size("cross_attention_hidden_size", stack.d_model, most=2**16)
    if config.flag("add_cross_attention", False):
        stack = replace(stack, memory_width=memory_width)
    head = LMHeadConfig(tied=config.flag("tie_word_embeddings", True), bias=True, transform=transform)
    return ModelConfig(decoder=stack, lm_head=head, start_id=config.index("bos_token_id", 0), **model)


def causal_decoder_config(architecture: ModelConfig) -> dict[str, Any]:
    """The keys that make the difference between an encoder and a decoder."""
    decoder, head = architecture.decoder, architecture.lm_head
    if decoder is None:
        return {"is_decoder": False}
    return {
        "is_decoder": True,
        "add_cross_attention": decoder.memory_width is not None,
        "tie_word_embeddings": head is None or head.tied,
    }


def _architecture(config: ConfigReader) -> ModelConfig:
    settings, model = encoder_settings(config), model_settings(config)
    if config.flag("is_decoder", False):
        return causal_decoder(config, settings, model, settings["activation"])
    return ModelConfig(
        encoder=StackConfig(**settings), head=ClassificationHeadConfig(dropout=head_dropout(config)), **model
    )


def _config(architecture: ModelConfig) -> dict[str, Any]:
    return encoder_config(architecture.input_stack) | model_config(architecture) | causal_decoder_config(architecture)


def lm_head_rules(architecture: ModelConfig, transform: str, norm: str, decoder: str, bias: str) -> tuple[Rule, ...]:
    """The names of `lm_head`, optional in a model without one."""
    head = architecture.lm_head
    copies: tuple[Rule, ...] = ()
    if head is not None and head.tied:
        copies = (Copy(f"{decoder}.bias", of=bias),)
    elif head is not None:
        # The bias has two names; where they are not tied, the matrix's own is added.
        bias, unused = f"{decoder}.bias", bias
        copies = (Copy(unused, of=bias, written=True), Optional(unused))
    spares = () if head is not None else tuple(Optional(name) for name in (transform, norm, bias, decoder))
    return (
        Rename(transform, "lm_head.dense"),
        Rename(norm, "lm_head.norm"),
        Rename(bias, "lm_head.bias"),
        Rename(f"{decoder}.weight", "lm_head.weight"),
        *copies,
        *(spares or (Optional(f"{decoder}.weight"),)),
    )


def word_pieces(config: ConfigReader) -> WordPieces:
    """BERT's tokenizer, as its `tokenizer_config.json` sets it."""
    return WordPieces(
        special={
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        },
        single="{cls_token} $A {sep_token}",
        pair="{cls_token} $A {sep_token} $B:1 {sep_token}:1",
        lowercase=config.flag("do_lower_case", True),
        strip_accents=config.flag("strip_accents", False) if config.has("strip_accents") else None,
        chinese_characters=config.flag("tokenize_chinese_chars", True),
    )


def _from_scratch(size: Size, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "vocab_size": tokenizer.largest_id + 1,
        "pad_token_id": tokenizer.id_of("[PAD]"),
        "hidden_size": size.d_model,
        "intermediate_size": 4 * size.d_model,
        "num_hidden_layers": size.num_layers,
        "num_attention_heads": size.num_heads,
    }


def _weights(architecture: ModelConfig) -> tuple[Rule, ...]:
    return (
        *block_rules("bert"),
        Alias("pooler", "bert.pooler"),
        *lm_head_rules(
            architecture,
            "cls.predictions.transform.dense",
            "cls.predictions.transform.LayerNorm",
            "cls.predictions.decoder",
            "cls.predictions.bias",
        ),
        # A head of pretraining, and a pooler that only a classifier has.
        Drop("cls.seq_relationship"),
        Optional("bert.pooler"),
        Rename("bert.pooler.dense", "pooler.dense"),
        Rename("classifier", "classification_head"),
    )


FAMILY = Family(
    model_types={"bert": "Bert"},
    from_scratch={"text_classification": _from_scratch},
    tokenizers={"BertTokenizer": word_pieces},
    generative="LMHeadModel",
    architecture=_architecture,
    config=_config,
    weights=_weights,
)
