"""Marian (Junczys-Dowmunt et al. 2018, https://arxiv.org/abs/1804.00344): the OPUS translators of Helsinki-NLP."""

import re
from typing import Any

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.families.bart import model_config, model_rules, read_model
from headway.checkpoints.family import Family
from headway.checkpoints.rules import Drop
from headway.models.config import ModelConfig
from headway.tokenizers.formats.sentencepiece import SentencePiecesWithIds

__all__ = ["FAMILY"]


def _architecture(config: ConfigReader) -> ModelConfig:
    config = config.assuming(vocab_size=58101, pad_token_id=58100, decoder_start_token_id=58100)
    return read_model(config, positions="sinusoidal", embedding_norm=False)


def _config(architecture: ModelConfig) -> dict[str, Any]:
    assert architecture.decoder is not None
    return model_config(architecture) | {
        "share_encoder_decoder_embeddings": architecture.shared_embedding,
        "decoder_vocab_size": architecture.decoder.vocabulary_size,
    }


def _pieces(config: ConfigReader) -> SentencePiecesWithIds:
    """Marian's tokenizer; for a model of several target languages, `>>code<<` before the text names the target."""
    config.require("sp_model_kwargs", {}, "the same text would not always be tokenised in the same way")
    return SentencePiecesWithIds(
        special={"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"},
        single="$A {eos_token}",
        source="source.spm",
        target="target.spm",
        target_ids="target_vocab.json" if config.flag("separate_vocabs", False) else None,
        opening=re.compile(">>.*?<<", re.DOTALL),
    )


FAMILY = Family(
    model_types={"marian": "Marian"},
    tokenizers={"MarianTokenizer": _pieces},
    generative="MTModel",
    architecture=_architecture,
    config=_config,
    # Sinusoids need no weights; some checkpoints hold them anyway.
    weights=lambda architecture: (Drop("model.{stack}.embed_positions"), *model_rules(architecture)),
)
