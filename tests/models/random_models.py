"""Tiny random models of the library that is our oracle, one a family, in settings in which the family varies."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = [
    "CLASSIFIERS",
    "IMAGE_CLASSIFIERS",
    "WRITERS",
    "save_random_classifier",
    "save_random_image_classifier",
    "save_random_writer",
]

VOCABULARY = 97


def _encoder(draw: random.Random) -> dict[str, Any]:
    """Settings by the names that BERT gave them."""
    heads = draw.choice([1, 2, 3, 8])
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": heads * draw.choice([4, 8, 20]),
        "num_attention_heads": heads,
        "num_hidden_layers": draw.randint(1, 4),
        "intermediate_size": draw.choice([7, 48, 96]),
        "max_position_embeddings": draw.choice([9, 33, 64]),
        "type_vocab_size": draw.choice([1, 2, 5]),
        "hidden_act": draw.choice(["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"]),
        "layer_norm_eps": draw.choice([1e-12, 1e-5]),
    }


def _bert(draw: random.Random) -> Any:
    from transformers import BertConfig

    return BertConfig(**_encoder(draw))


def _roberta(draw: random.Random) -> Any:
    from transformers import CamembertConfig, RobertaConfig, XLMRobertaConfig

    kind = draw.choice([RobertaConfig, XLMRobertaConfig, CamembertConfig])
    return kind(**_encoder(draw), pad_token_id=draw.choice([1, 1, 4]), bos_token_id=0, eos_token_id=2)


def _distilbert(draw: random.Random) -> Any:
    from transformers import DistilBertConfig

    heads = draw.choice([1, 2, 4])
    return DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=heads * draw.choice([4, 12]),
        n_heads=heads,
        n_layers=draw.randint(1, 4),
        hidden_dim=draw.choice([7, 48]),
        max_position_embeddings=draw.choice([9, 33]),
        activation=draw.choice(["gelu", "relu"]),
        sinusoidal_pos_embds=draw.random() < 0.5,
    )


def _electra(draw: random.Random) -> Any:
    from transformers import ElectraConfig

    settings = _encoder(draw)
    return ElectraConfig(**settings, embedding_size=draw.choice([12, settings["hidden_size"]]))


def _albert(draw: random.Random) -> Any:
    from transformers import AlbertConfig

    settings = _encoder(draw)
    groups = draw.choice([1, settings["num_hidden_layers"], max(1, settings["num_hidden_layers"] - 1)])
    return AlbertConfig(**settings, embedding_size=draw.choice([12, settings["hidden_size"]]), num_hidden_groups=groups)


def _modernbert(draw: random.Random) -> Any:
    from transformers import ModernBertConfig

    heads = draw.choice([1, 2, 4])
    layers = draw.randint(1, 5)
    every = draw.choice([1, 2, 3])
    return ModernBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=heads * draw.choice([4, 12]),
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=draw.choice([7, 48]),
        max_position_embeddings=draw.choice([33, 64, 150]),
        hidden_activation=draw.choice(["gelu", "silu"]),
        local_attention=draw.choice([2, 8, 30]),
        global_attn_every_n_layers=every,
        attention_bias=draw.random() < 0.5,
        mlp_bias=draw.random() < 0.5,
        norm_bias=draw.random() < 0.5,
        classifier_bias=draw.random() < 0.5,
        classifier_pooling=draw.choice(["cls", "mean"]),
        global_rope_theta=draw.choice([500.0, 160_000.0]),
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    )


CLASSIFIERS: dict[str, Callable[[random.Random], Any]] = {
    "bert": _bert,
    "roberta": _roberta,
    "distilbert": _distilbert,
    "electra": _electra,
    "albert": _albert,
    "modernbert": _modernbert,
    "gpt2": lambda draw: _gpt2(draw),
    "bart": lambda draw: _bart(draw),
    "mbart": lambda draw: _mbart(draw),
    "t5": lambda draw: _t5(draw, "t5"),
    "mt5": lambda draw: _t5(draw, "mt5"),
}
"""Family → a configuration with random settings."""


def _seq2seq(draw: random.Random) -> dict[str, Any]:
    """Settings by the names that BART gave them."""
    heads = draw.choice([1, 2, 4])
    return {
        "vocab_size": VOCABULARY,
        "d_model": heads * draw.choice([4, 12]),
        "encoder_layers": draw.randint(1, 3),
        "decoder_layers": draw.randint(1, 3),
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": draw.choice([7, 48]),
        "decoder_ffn_dim": draw.choice([9, 40]),
        "max_position_embeddings": draw.choice([20, 33]),
        "activation_function": draw.choice(["gelu", "relu", "silu"]),
        "scale_embedding": draw.random() < 0.5,
        "pad_token_id": 1,
        "decoder_start_token_id": 2,
        "classifier_dropout": draw.choice([0.0, 0.3]),
    }


def _bart(draw: random.Random) -> Any:
    from transformers import BartConfig

    return BartConfig(**_seq2seq(draw))


def _mbart(draw: random.Random) -> Any:
    from transformers import MBartConfig

    return MBartConfig(**_seq2seq(draw))


def _pegasus(draw: random.Random) -> Any:
    from transformers import PegasusConfig

    return PegasusConfig(**_seq2seq(draw))


def _marian(draw: random.Random) -> Any:
    from transformers import MarianConfig

    settings = _seq2seq(draw)
    if draw.random() < 0.3:
        settings |= {
            "share_encoder_decoder_embeddings": False,
            "decoder_vocab_size": 61,
            "tie_encoder_decoder": False,
        }
    return MarianConfig(**settings)


def _m2m_100(draw: random.Random) -> Any:
    from transformers import M2M100Config

    return M2M100Config(**_seq2seq(draw))


def _t5(draw: random.Random, kind: str | None = None) -> Any:
    from transformers import MT5Config, T5Config

    heads = draw.choice([1, 2, 4])
    settings = {
        "vocab_size": VOCABULARY,
        "d_model": draw.choice([12, 24]),
        "d_kv": draw.choice([4, 12]),
        "d_ff": draw.choice([7, 48]),
        "num_layers": draw.randint(1, 3),
        "num_decoder_layers": draw.randint(1, 3),
        "num_heads": heads,
        "relative_attention_num_buckets": draw.choice([8, 32]),
        "relative_attention_max_distance": draw.choice([20, 128]),
        **draw.choice(
            [
                {"feed_forward_proj": "relu"},
                {"feed_forward_proj": "gated-gelu"},
                {"feed_forward_proj": "gated-silu"},
                # The two others have the last word.
                {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"},
                {"feed_forward_proj": "relu", "dense_act_fn": "gelu_pytorch_tanh", "is_gated_act": True},
            ]
        ),
        "tie_word_embeddings": draw.random() < 0.5,
        "decoder_start_token_id": 0,
        "classifier_dropout": draw.choice([0.0, 0.3]),
    }
    kind = kind or draw.choice(["t5", "t5", "mt5"])
    return {"t5": T5Config, "mt5": MT5Config}[kind](**settings)


def _gpt2(draw: random.Random) -> Any:
    from transformers import GPT2Config

    heads = draw.choice([1, 2, 4])
    return GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=heads * draw.choice([4, 12]),
        n_head=heads,
        n_layer=draw.randint(1, 3),
        n_inner=draw.choice([None, 7]),
        n_positions=draw.choice([20, 33]),
        activation_function=draw.choice(["gelu_new", "relu"]),
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )


def _image_encoder(draw: random.Random) -> dict[str, Any]:
    heads = draw.choice([1, 2, 4])
    return {
        "hidden_size": heads * draw.choice([4, 12]),
        "num_attention_heads": heads,
        "num_hidden_layers": draw.randint(1, 3),
        "intermediate_size": draw.choice([7, 48]),
        "image_size": draw.choice([8, 12]),
        "patch_size": draw.choice([2, 4]),
        "hidden_act": draw.choice(["gelu", "relu"]),
    }


def _vit(draw: random.Random) -> Any:
    from transformers import ViTConfig

    return ViTConfig(**_image_encoder(draw), qkv_bias=draw.random() < 0.7, num_channels=draw.choice([1, 3]))


def _deit(draw: random.Random) -> Any:
    from transformers import DeiTConfig

    return DeiTConfig(**_image_encoder(draw), qkv_bias=draw.random() < 0.7)


IMAGE_CLASSIFIERS: dict[str, Callable[[random.Random], Any]] = {"vit": _vit, "deit": _deit}
"""Families that look at images, likewise."""


def _vision_encoder_decoder(draw: random.Random) -> Any:
    from transformers import BertConfig, RobertaConfig, TrOCRConfig, VisionEncoderDecoderConfig

    encoder = draw.choice([_vit, _deit])(draw)
    crossing = {"is_decoder": True, "add_cross_attention": True}
    kind = draw.choice(["gpt2", "bert", "roberta", "trocr", "trocr"])
    if kind == "gpt2":
        decoder = _gpt2(draw)
        decoder.is_decoder = decoder.add_cross_attention = True
    elif kind == "trocr":
        names = ("vocab_size", "d_model", "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim")
        settings = {name: value for name, value in _seq2seq(draw).items() if name in (*names, "activation_function")}
        decoder = TrOCRConfig(
            **settings,
            **crossing,
            max_position_embeddings=33,
            scale_embedding=draw.random() < 0.5,
            use_learned_position_embeddings=draw.random() < 0.5,
            layernorm_embedding=draw.random() < 0.5,
            cross_attention_hidden_size=draw.choice([None, encoder.hidden_size]),
        )
    else:
        settings = _encoder(draw) | {"max_position_embeddings": 40}
        decoder = {"bert": BertConfig, "roberta": RobertaConfig}[kind](**settings, **crossing)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = 2, 1
    return config


def _blip(draw: random.Random) -> Any:
    from transformers import BlipConfig

    vision = _image_encoder(draw)
    text = {name: value for name, value in _encoder(draw).items() if name != "type_vocab_size"}
    text |= {"encoder_hidden_size": vision["hidden_size"], "max_position_embeddings": 40}
    return BlipConfig(text_config=text | {"bos_token_id": 3, "sep_token_id": 4}, vision_config=vision)


WRITERS: dict[str, Callable[[random.Random], Any]] = {
    "bart": _bart,
    "mbart": _mbart,
    "pegasus": _pegasus,
    "marian": _marian,
    "m2m_100": _m2m_100,
    "t5": _t5,
    "gpt2": _gpt2,
    "vision_encoder_decoder": _vision_encoder_decoder,
    "blip": _blip,
}
"""Families that write text, likewise."""


def _draw_wide(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue  # fixed sinusoids
        # By its own module's name: that of the model may have "norm" in it too.
        is_norm = "norm" in name.lower().removesuffix(".weight").rpartition(".")[2]
        torch.nn.init.normal_(parameter, mean=float(is_norm), std=0.2)
    for name, buffer in model.named_buffers():
        if name == "final_logits_bias":
            torch.nn.init.normal_(buffer, std=0.2)


def save_random_writer(folder: Path, family: str, seed: int) -> None:
    """Write a model of the family that writes text."""
    import transformers

    config = WRITERS[family](random.Random(f"{family} {seed}"))
    torch.manual_seed(seed)
    if family == "blip":
        model = transformers.BlipForConditionalGeneration(config)
    elif family == "vision_encoder_decoder":
        model = transformers.VisionEncoderDecoderModel(config)
    elif config.is_encoder_decoder:
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config)
    _draw_wide(model)
    if family == "t5" and seed % 2:  # as in version 1.1
        model.lm_head.weight = torch.nn.Parameter(0.2 * torch.randn_like(model.lm_head.weight))
    model.save_pretrained(folder)


def save_random_image_classifier(folder: Path, family: str, seed: int) -> None:
    """Write a classifier of images."""
    import transformers

    draw = random.Random(f"{family} {seed}")
    config = IMAGE_CLASSIFIERS[family](draw)
    config.num_labels = draw.randint(2, 6)
    torch.manual_seed(seed)
    kinds = {
        "vit": [transformers.ViTForImageClassification],
        "deit": [transformers.DeiTForImageClassification, transformers.DeiTForImageClassificationWithTeacher],
    }[family]
    model = kinds[seed % len(kinds)](config)
    _draw_wide(model)
    model.save_pretrained(folder)


def save_random_classifier(folder: Path, family: str, seed: int) -> None:
    """Write a classifier of the family as `transformers` does, with wide weights, so that a wrong formula shows."""
    from transformers import AutoModelForSequenceClassification

    draw = random.Random(f"{family} {seed}")
    config = CLASSIFIERS[family](draw)
    # Named: two labels without names are not stored, and one class of the oracle reads that as three.
    config.id2label = {index: f"class {index}" for index in range(draw.randint(2, 6))}
    config.initializer_range = 0.2
    config.n_positions = getattr(config, "n_positions", 40)  # T5 does not store it
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config)
    _draw_wide(model)
    model.save_pretrained(folder)
