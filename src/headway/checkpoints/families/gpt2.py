"""GPT-2 (Radford et al. 2019): a decoder alone, or one that reads the vectors of an encoder."""

from typing import Any

from headway.checkpoints.config_reader import ACTIVATION_NAMES, ConfigReader
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Alias, Drop, Optional, Rename, Rule, Transpose
from headway.models.config import ClassificationHeadConfig, LMHeadConfig, ModelConfig, StackConfig
from headway.tokenizers.formats.byte_level import ByteLevelPieces

__all__ = ["FAMILY", "byte_level_pieces"]


def _architecture(config: ConfigReader) -> ModelConfig:
    config.require("scale_attn_weights", True, "undivided attention scores are not supported")
    config.require("scale_attn_by_inverse_layer_idx", False, "scores divided by the layer's number are not supported")
    d_model, num_heads = config.width("n_embd", 768, "n_head", 12)
    decoder = StackConfig(
        vocabulary_size=config.size("vocab_size", 50257, most=2**24),
        d_model=d_model,
        d_ff=config.size("n_inner", 4 * d_model, most=2**18),
        num_layers=config.size("n_layer", 12, most=1000),
        num_heads=num_heads,
        max_positions=config.size("n_positions", 1024, most=2**20),
        embedding_norm=False,
        causal=True,
        memory_width=d_model if config.flag("add_cross_attention", False) else None,
        pre_norm=True,
        final_norm=True,
        norm_eps=config.positive("layer_norm_epsilon", 1e-5),
        activation=config.activation("activation_function", "gelu_new"),
        dropout=config.share("resid_pdrop", 0.1),
        embedding_dropout=config.share("embd_pdrop", 0.1),
        attention_dropout=config.share("attn_pdrop", 0.1),
    )
    return ModelConfig(
        decoder=decoder,
        head=ClassificationHeadConfig(pooling="last", pooler=False, bias=False, dropout=0.0),
        lm_head=LMHeadConfig(tied=config.flag("tie_word_embeddings", True)),
        initializer_std=config.positive("initializer_range", 0.02),
        pad_id=config.index("pad_token_id", 50256),
        start_id=config.index("bos_token_id", 50256),
    )


def _config(architecture: ModelConfig) -> dict[str, Any]:
    stack, head = architecture.decoder, architecture.lm_head
    assert stack is not None
    return {
        "vocab_size": stack.vocabulary_size,
        "n_embd": stack.d_model,
        "n_inner": stack.d_ff,
        "n_layer": stack.num_layers,
        "n_head": stack.num_heads,
        "n_positions": stack.max_positions,
        "add_cross_attention": stack.memory_width is not None,
        "layer_norm_epsilon": stack.norm_eps,
        "activation_function": ACTIVATION_NAMES[stack.activation],
        "resid_pdrop": stack.dropout,
        "embd_pdrop": stack.share("embedding_dropout"),
        "attn_pdrop": stack.attention_dropout,
        "tie_word_embeddings": head is None or head.tied,
        "initializer_range": architecture.initializer_std,
        "pad_token_id": architecture.padding_id,
        "bos_token_id": architecture.start_id,
    }


_THEIR_LAYER, _OUR_BLOCK = "transformer.h.{n}", "{stack}.blocks.{n}"

_WEIGHTS: tuple[Rule, ...] = (
    # A checkpoint of the bare decoder has no prefix.
    Alias("wte", "transformer.wte"),
    Alias("wpe", "transformer.wpe"),
    Alias("h", "transformer.h"),
    Alias("ln_f", "transformer.ln_f"),
    # Masks that older versions saved.
    Drop(f"{_THEIR_LAYER}.attn.bias"),
    Drop(f"{_THEIR_LAYER}.attn.masked_bias"),
    Drop(f"{_THEIR_LAYER}.crossattention.bias"),
    Drop(f"{_THEIR_LAYER}.crossattention.masked_bias"),
    Rename("transformer.wte", "{stack}.embeddings.token"),
    Rename("transformer.wpe", "{stack}.embeddings.position"),
    Rename(f"{_THEIR_LAYER}.ln_1", f"{_OUR_BLOCK}.self_attention_norm"),
    Transpose(f"{_THEIR_LAYER}.attn.c_attn", f"{_OUR_BLOCK}.self_attention.query_key_value"),
    Transpose(f"{_THEIR_LAYER}.attn.c_proj", f"{_OUR_BLOCK}.self_attention.output"),
    Rename(f"{_THEIR_LAYER}.ln_cross_attn", f"{_OUR_BLOCK}.cross_attention_norm"),
    Transpose(f"{_THEIR_LAYER}.crossattention.q_attn", f"{_OUR_BLOCK}.cross_attention.query"),
    Transpose(f"{_THEIR_LAYER}.crossattention.c_attn", f"{_OUR_BLOCK}.cross_attention.key_value"),
    Transpose(f"{_THEIR_LAYER}.crossattention.c_proj", f"{_OUR_BLOCK}.cross_attention.output"),
    Rename(f"{_THEIR_LAYER}.ln_2", f"{_OUR_BLOCK}.feed_forward_norm"),
    Transpose(f"{_THEIR_LAYER}.mlp.c_fc", f"{_OUR_BLOCK}.feed_forward.up"),
    Transpose(f"{_THEIR_LAYER}.mlp.c_proj", f"{_OUR_BLOCK}.feed_forward.down"),
    Rename("transformer.ln_f", "{stack}.final_norm"),
    Rename("score", "classification_head"),
    Rename("lm_head.weight", "lm_head.weight"),
    Optional("lm_head.weight"),
)


def byte_level_pieces(config: ConfigReader) -> ByteLevelPieces:
    """GPT-2's tokenizer, which by default puts nothing around a text."""
    before = "{bos_token} " if config.flag("add_bos_token", False) else ""
    after = " {eos_token}" if config.flag("add_eos_token", False) else ""
    return ByteLevelPieces(
        single=f"{before}$A{after}",
        pair=f"{before}$A{after} {before.replace('} ', '}:1 ')}$B:1{after and after + ':1'}",
        special=dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>"),
        space_first=config.flag("add_prefix_space", False),
        around_from="file",
    )


FAMILY = Family(
    model_types={"gpt2": "GPT2"},
    tokenizers={"GPT2Tokenizer": byte_level_pieces},
    generative="LMHeadModel",
    architecture=_architecture,
    config=_config,
    weights=_WEIGHTS,
)
