"""SentencePiece models with the ids of their pieces in a separate vocabulary."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from sentencepiece import SentencePieceProcessor

from headway.tokenizers.cleanup import tidied
from headway.tokenizers.tokenizer import Text, TokenSequence
from headway.tokenizers.truncation import cut_part, shortened

__all__ = ["SentencePieceTokenizer"]


@dataclass(frozen=True, kw_only=True)
class SentencePieceTokenizer:
    """A SentencePiece model (Kudo & Richardson 2018) with the ids of its pieces in a separate vocabulary.

    The library itself tokenises the texts, so that they are split as in the model's training, to the last control
    character.
    """

    processor: SentencePieceProcessor
    vocabulary: Mapping[str, int]
    """The id of each piece."""
    unknown: str
    """The token that stands for pieces which the vocabulary lacks."""
    special: Mapping[str, int]
    """Tokens that stand for themselves where a text contains them, and that a decoded text leaves out."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """Tokens that mark a language: only the tokenizer adds them, and a decoded text leaves them out."""
    first: tuple[int, ...] = ()
    """Ids before every text."""
    last: tuple[int, ...] = ()
    """Ids after every text."""
    opening: re.Pattern[str] | None = None
    """Prefix that is a token of its own at the beginning of a text."""
    written: Mapping[str, bytes] = field(default_factory=dict)
    """The files that it was read from."""
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def largest_id(self) -> int:
        """See `Tokenizer`."""
        return max(*self.vocabulary.values(), *self.languages.values())

    @property
    def unknown_id(self) -> int:
        """See `Tokenizer`."""
        return self.vocabulary[self.unknown]

    def id_of(self, token: str) -> int | None:
        """See `Tokenizer`."""
        return self.vocabulary.get(token, self.languages.get(token))

    def encode(self, texts: Sequence[Text], max_length: int | None = None) -> list[TokenSequence]:
        """See `Tokenizer`."""
        return [self._sequence(text, max_length) for text in texts]

    def decode(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """See `Tokenizer`."""
        left_out = {*self.special.values(), *self.languages.values()}
        kept = ([int(index) for index in ids if int(index) not in left_out] for ids in sequences)
        pieces = ([self._pieces.get(index, self.unknown) for index in ids] for ids in kept)
        return tidied([self.processor.decode_pieces(line).strip() for line in pieces], self.config)

    def files(self) -> dict[str, bytes]:
        """See `Tokenizer`."""
        return dict(self.written)

    def _sequence(self, text: Text, max_length: int | None) -> TokenSequence:
        bodies = [self._ids(part) for part in ([text] if isinstance(text, str) else text)]
        full_length = len(self.first) + sum(map(len, bodies)) + len(self.last)
        num_unknown = sum(part.count(self.unknown_id) for part in (self.first, *bodies, self.last))
        if max_length is not None and full_length > max_length:
            limit = max(0, max_length - len(self.first) - len(self.last))
            lengths = shortened([len(body) for body in bodies], limit)
            for body, length in zip(bodies, lengths, strict=True):
                del body[cut_part(len(body), length, self.config)]
        ids = np.array([*self.first, *chain.from_iterable(bodies), *self.last], dtype=np.int64)
        return TokenSequence(ids, None if isinstance(text, str) else np.zeros_like(ids), full_length, num_unknown)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in self._specials.split(text):
            if part in self.special:
                ids.append(self.special[part])
                continue
            opening = self.opening.match(part) if self.opening else None
            if opening:
                ids.append(self.vocabulary.get(opening[0], self.unknown_id))
                part = part[opening.end() :]
            ids += [self.vocabulary.get(piece, self.unknown_id) for piece in self.processor.encode(part, out_type=str)]
        return ids

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        """Finds special tokens in a text, at each position the longest."""
        longest_first = sorted(self.special, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @cached_property
    def _pieces(self) -> dict[int, str]:
        return {index: piece for piece, index in self.vocabulary.items()}
