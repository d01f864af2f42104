"""Texts to token sequences that are never empty and never longer than the model accepts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headway.tokenizers.tokenizer import Text, Tokenizer, TokenSequence

__all__ = ["TextEncoder"]


class TextEncoder:
    """Turns texts into token sequences of at most `max_length` tokens, special tokens included.

    Of a pair that is too long the longer text is truncated first. A text that gives no token at all, as an empty one
    does where the tokenizer adds no special tokens, is read as the single token `empty_id`; when none, as the one that
    ends texts, or that begins them, or else the first of the vocabulary.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, empty_id: int | None = None) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        ends = [token for role in ("eos_token", "bos_token") if isinstance(token := tokenizer.config.get(role), str)]
        stand_ins = [empty_id, *map(tokenizer.id_of, ends), 0]
        self._empty_id = next(index for index in stand_ins if index is not None)

    def encode(self, texts: Sequence[Text]) -> list[TokenSequence]:
        """One token sequence per text, or pair of texts, truncated to `max_length`."""
        return [
            sequence if sequence.input_ids.size else self._filled(sequence)
            for sequence in self.tokenizer.encode(texts, self.max_length)
        ]

    def _filled(self, sequence: TokenSequence) -> TokenSequence:
        types = None if sequence.token_types is None else np.zeros(1, dtype=np.int64)
        return replace(sequence, input_ids=np.array([self._empty_id], dtype=np.int64), token_types=types)
