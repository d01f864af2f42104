"""What tasks that read texts have in common: how long a text may be, and what new models learn their words from."""

from collections.abc import Iterator

import numpy as np

from headway.checkpoints.load import LoadedClassifier, LoadedLanguageModel
from headway.errors import SettingsError
from headway.examples.examples import Examples
from headway.models.config import ModelConfig
from headway.nn.linear import num_parameters
from headway.tokenizers.text_encoder import TextEncoder
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["new_model_note", "sequence_limit", "text_encoder", "vocabulary_texts"]

_VOCABULARY_EXAMPLES = 200_000
"""Examples at most that a vocabulary is learned from: memory stays bounded, and more do not change it."""


def sequence_limit(config: ModelConfig, wanted: int | None) -> int:
    """The longest sequence in tokens: the model's maximum, or less if that is wanted.

    Raises:
        SettingsError: More is wanted than the model has positions.
    """
    longest = config.input_stack.max_positions
    if wanted is not None and wanted > longest:
        raise SettingsError(
            f"max_length = {wanted}: this model reads at most {longest} tokens. Ask for less, or leave the setting out."
        )
    return wanted or longest


def text_encoder(config: ModelConfig, tokenizer: Tokenizer, wanted: int | None) -> TextEncoder:
    """What makes token sequences of a model's texts, none longer than it reads, or than is wanted."""
    return TextEncoder(tokenizer, sequence_limit(config, wanted), empty_id=config.padding_id)


def vocabulary_texts(rows: Examples) -> Iterator[str]:
    """The texts that a vocabulary is learned from, inputs and targets: those of all rows, or of evenly chosen ones."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, _VOCABULARY_EXAMPLES).astype(np.int64))
    names = [one.name for one in rows.fields if one.kind == "text"]
    for example in rows.select(chosen):
        for value in map(example.get, names):
            yield from (value,) if isinstance(value, str) else value or ()


def new_model_note(new: LoadedClassifier | LoadedLanguageModel, tokenizer: Tokenizer) -> str:
    """What the user should know about a model from scratch."""
    return (
        f"A new {new.family} model with {num_parameters(new.model) / 1e6:,.1f} million randomly initialised parameters "
        f"and a vocabulary of {tokenizer.largest_id + 1:,} tokens from the training texts. A pretrained checkpoint "
        "needs far fewer examples."
    )
