"""Tiny random models of the library that is our oracle, one a family, in settings in which the family varies."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

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
}
"""Family → a configuration with random settings."""


def save_random_classifier(folder: Path, family: str, seed: int) -> None:
    """Write a classifier of the family as `transformers` does, with wide weights, so that a wrong formula shows."""
    from transformers import AutoModelForSequenceClassification

    draw = random.Random(f"{family} {seed}")
    config = CLASSIFIERS[family](draw)
    config.num_labels = draw.randint(2, 6)
    config.initializer_range = 0.2
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            is_norm = "norm" in name.lower() and name.endswith("weight")
            torch.nn.init.normal_(parameter, mean=float(is_norm), std=0.2)
        else:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)


@pytest.fixture(params=[(family, seed) for family in CLASSIFIERS for seed in range(6)], ids=lambda p: f"{p[0]}-{p[1]}")
def random_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random classifier of each family, in several settings."""
    family, seed = request.param
    folder = tmp_path / "theirs"
    save_random_classifier(folder, family, seed)
    return folder
