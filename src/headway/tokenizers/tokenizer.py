"""Texts to ids and back: one interface to the tokenizer libraries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Text", "TokenSequence", "Tokenizer"]

Text = str | tuple[str, str]
"""A text, or a pair of texts that the model reads together."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One text, or a pair of texts, as the model reads it."""

    input_ids: NDArray[np.int64]
    """Ids with the special tokens. *Shape:* (length,)."""

    token_types: NDArray[np.int64] | None
    """0 in the first text, 1 in the second where the model distinguishes them; none for single texts.

    *Shape:* (length,).
    """

    full_length: int
    """Tokens of the whole text, special tokens included: more than `input_ids` where the text was truncated."""

    num_unknown: int
    """How many tokens of the whole text the vocabulary does not have."""


class Tokenizer(Protocol):
    """Converts texts to a model's input. Nothing is padded."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What `tokenizer_config.json` says about it: its class, its special tokens by role, its languages."""

    @property
    def largest_id(self) -> int:
        """The largest id; -1 where it has no token at all."""

    @property
    def unknown_id(self) -> int | None:
        """The unknown token; none where every text has its tokens."""

    def id_of(self, token: str) -> int | None:
        """The id of a token of the vocabulary; none where it is not in it."""

    def encode(self, texts: Sequence[Text], max_length: int | None = None) -> list[TokenSequence]:
        """Ids with special tokens, at most `max_length` of them; of a pair the longer text is truncated first.

        A text loses its end, or its beginning where the config's `truncation_side` is `left`. Each text is tokenised
        once, whole, so that the sequences also report their length before truncation.
        """

    def decode(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The texts that ids stand for, without special tokens."""

    def files(self) -> dict[str, bytes]:
        """What has to be written, by file name, to read it again."""
