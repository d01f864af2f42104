"""Examples become token sequences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from headway.data.examples import Example

__all__ = ["TextEncoder", "TokenSequence"]


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One text, or a pair of texts, as the model reads it."""

    input_ids: NDArray[np.int64]
    """Ids with the special tokens. *Shape:* (length,)."""

    token_types: NDArray[np.int64] | None
    """0 in the first text, 1 in the second; none for single texts. *Shape:* (length,)."""


class TextEncoder:
    """Turns examples into token sequences of at most `max_length` tokens, special tokens counted.

    Of a pair that is too long the longer text is cut first. A text that gives no token at all, as an empty one does
    where the tokenizer adds no special tokens, is read as the single token `empty_id`.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, unknown_id: int | None = None, empty_id: int = 0) -> None:
        self.max_length = max_length
        self._empty_id = empty_id
        self._whole = Tokenizer.from_str(tokenizer.to_str())
        self._whole.no_padding()
        self._whole.no_truncation()
        self._cut = Tokenizer.from_str(self._whole.to_str())
        self._cut.enable_truncation(max_length)
        self._unknown_id = unknown_id

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself, without truncation."""
        return self._whole

    def encode(self, examples: Sequence[Example]) -> list[TokenSequence]:
        """One token sequence an example, cut to `max_length`."""
        return [
            TokenSequence(
                np.array(encoding.ids or [self._empty_id], dtype=np.int64),
                None if example.text_pair is None else np.array(encoding.type_ids or [0], dtype=np.int64),
            )
            for example, encoding in zip(examples, _encode(self._cut, examples), strict=True)
        ]

    def measure(self, examples: Sequence[Example]) -> list[tuple[int, int]]:
        """How long each example would be uncut, and how many of its tokens are unknown to the vocabulary."""
        return [
            (len(encoding.ids), 0 if self._unknown_id is None else encoding.ids.count(self._unknown_id))
            for encoding in _encode(self._whole, examples)
        ]


def _encode(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[Encoding]:
    texts = [example.text if example.text_pair is None else (example.text, example.text_pair) for example in examples]
    # The fast form leaves out character offsets, which nobody here reads.
    return list(tokenizer.encode_batch_fast(texts))
