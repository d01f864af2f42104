"""Texts to ids and back: one face for the libraries that cut texts into tokens."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import numpy as np
import tokenizers
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor

from headway.errors import library_errors

__all__ = ["FastTokenizer", "SentencePieceTokenizer", "Text", "TokenSequence", "Tokenizer"]

Text = str | tuple[str, str]
"""A text, or a pair of texts that the model reads together."""

_TIDIED = [(f" {mark}", mark) for mark in ".?!,"] + [(" ' ", "'")]
_TIDIED += [(f" {ending}", ending) for ending in ("n't", "'m", "'s", "'ve", "'re")]


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One text, or a pair of texts, as the model reads it."""

    input_ids: NDArray[np.int64]
    """Ids with the special tokens. *Shape:* (length,)."""

    token_types: NDArray[np.int64] | None
    """0 in the first text, 1 in the second where the model tells them apart; none for single texts.

    *Shape:* (length,).
    """

    full_length: int
    """Tokens of the whole text, special tokens included: more than `input_ids` where the text was cut."""

    num_unknown: int
    """How many tokens of the whole text the vocabulary does not have."""


class Tokenizer(Protocol):
    """What a model reads texts with. Nothing is padded."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What `tokenizer_config.json` says of it: its class, its special tokens by role, its languages."""

    @property
    def largest_id(self) -> int:
        """The largest id that it gives; -1 where it has no token at all."""

    @property
    def unknown_id(self) -> int | None:
        """What stands for anything that no token covers; none where every text has its tokens."""

    def id_of(self, token: str) -> int | None:
        """The id of a token of the vocabulary; none where it is not in it."""

    def encode(self, texts: Sequence[Text], max_length: int | None = None) -> list[TokenSequence]:
        """Ids with special tokens, at most `max_length` of them; of a pair the longer text is cut first.

        A text loses its end, or its beginning where the config's `truncation_side` is `left`. Each text is tokenised
        once, whole, so that the sequences also tell what the cut ones were like before.
        """

    def decode(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The texts that ids stand for, without special tokens."""

    def files(self) -> dict[str, bytes]:
        """What has to be written, by file name, to read it again."""


class FastTokenizer:
    """A tokenizer of the `tokenizers` library: all that one `tokenizer.json` describes."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, config: Mapping[str, Any] | None = None) -> None:
        """Take over the tokenizer: padding and truncation are switched off; the side that is cut is remembered."""
        self.config = dict(config or {})
        self._tokenizer = tokenizer
        if tokenizer.truncation and tokenizer.truncation["direction"] != "right":
            self.config.setdefault("truncation_side", tokenizer.truncation["direction"])
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @property
    def largest_id(self) -> int:
        """See `Tokenizer`."""
        return max(self._tokenizer.get_vocab().values(), default=-1)

    @property
    def unknown_id(self) -> int | None:
        """See `Tokenizer`."""
        token = getattr(self._tokenizer.model, "unk_token", None) or self.config.get("unk_token")
        return None if token is None else self.id_of(token)

    def id_of(self, token: str) -> int | None:
        """See `Tokenizer`."""
        return self._tokenizer.token_to_id(token)

    def encode(self, texts: Sequence[Text], max_length: int | None = None) -> list[TokenSequence]:
        """See `Tokenizer`."""
        with library_errors("The model's tokenizer fails on a text", "Its files are damaged: fetch the model again."):
            # The fast form leaves out character offsets, which nobody here reads.
            encodings = self._tokenizer.encode_batch_fast(list(texts))
        unknown = self.unknown_id
        return [
            self._sequence(encoding, isinstance(text, tuple), max_length, unknown)
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def decode(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """See `Tokenizer`."""
        with library_errors("The model's tokenizer fails on ids", "Its files are damaged: fetch the model again."):
            texts = self._tokenizer.decode_batch([list(sequence) for sequence in sequences])
        # For byte pairs the ecosystem ignores the setting: they keep the spaces that the text had.
        return texts if isinstance(self._tokenizer.model, tokenizers.models.BPE) else _tidied(texts, self.config)

    def files(self) -> dict[str, bytes]:
        """See `Tokenizer`."""
        return {"tokenizer.json": self._tokenizer.to_str(pretty=True).encode()}

    def _sequence(
        self, encoding: tokenizers.Encoding, is_pair: bool, max_length: int | None, unknown: int | None
    ) -> TokenSequence:
        ids, types = encoding.ids, encoding.type_ids if is_pair else None
        full_length, num_unknown = len(ids), 0 if unknown is None else ids.count(unknown)
        if max_length is not None and full_length > max_length:
            for part in _cut_parts(encoding.sequence_ids, max_length, self.config):
                del ids[part]
                if types is not None:
                    del types[part]
        return TokenSequence(
            np.array(ids, dtype=np.int64),
            None if types is None else np.array(types, dtype=np.int64),
            full_length,
            num_unknown,
        )


@dataclass(frozen=True, kw_only=True)
class SentencePieceTokenizer:
    """A SentencePiece model (Kudo & Richardson 2018) whose pieces have their ids in a vocabulary beside it.

    The library itself cuts the texts, so that they are cut as in the model's training, to the last control character.
    """

    processor: SentencePieceProcessor
    vocabulary: Mapping[str, int]
    """The id of each piece."""
    unknown: str
    """The token that stands for pieces which the vocabulary lacks."""
    special: Mapping[str, int]
    """Tokens that stand for themselves where a text contains them, and that a decoded text leaves out."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """Tokens that mark a language: only the tokenizer writes them, and a decoded text leaves them out."""
    first: tuple[int, ...] = ()
    """Ids in front of every text."""
    last: tuple[int, ...] = ()
    """Ids after every text."""
    opening: re.Pattern[str] | None = None
    """What at the beginning of a text is a token of its own."""
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
        return _tidied([self.processor.decode_pieces(line).strip() for line in pieces], self.config)

    def files(self) -> dict[str, bytes]:
        """See `Tokenizer`."""
        return dict(self.written)

    def _sequence(self, text: Text, max_length: int | None) -> TokenSequence:
        bodies = [self._ids(part) for part in ([text] if isinstance(text, str) else text)]
        full_length = len(self.first) + sum(map(len, bodies)) + len(self.last)
        num_unknown = sum(part.count(self.unknown_id) for part in (self.first, *bodies, self.last))
        if max_length is not None and full_length > max_length:
            limit = max(0, max_length - len(self.first) - len(self.last))
            lengths = _shortened([len(body) for body in bodies], limit)
            for body, length in zip(bodies, lengths, strict=True):
                del body[_cut_part(len(body), length, self.config)]
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
        """Finds special tokens in a text, the longest of those that begin at a place."""
        longest_first = sorted(self.special, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @cached_property
    def _pieces(self) -> dict[int, str]:
        return {index: piece for piece, index in self.vocabulary.items()}


def _tidied(texts: list[str], config: Mapping[str, Any]) -> list[str]:
    """Texts without spaces before punctuation and English endings, where the config asks for it."""
    if config.get("clean_up_tokenization_spaces") is not True:
        return texts
    for old, new in _TIDIED:
        texts = [text.replace(old, new) for text in texts]
    return texts


def _cut_parts(owners: list[int | None], max_length: int, config: Mapping[str, Any]) -> list[slice]:
    """What is cut so that at most `max_length` tokens stay, the last part first.

    Args:
        owners: For each token the text that it is from, 0 or 1; none for special tokens. *Length:* (length,).
        max_length: Special tokens included.
        config: The tokenizer's.
    """
    counts = [owners.count(0), owners.count(1)]
    lengths = _shortened(counts, max(0, max_length - (len(owners) - sum(counts))))
    starts = [owners.index(text) if count else 0 for text, count in enumerate(counts)]
    parts = [
        _cut_part(count, length, config, start) for start, count, length in zip(starts, counts, lengths, strict=True)
    ]
    return sorted(parts, key=lambda part: part.start, reverse=True)


def _cut_part(count: int, length: int, config: Mapping[str, Any], start: int = 0) -> slice:
    """Which of the `count` tokens of a text from `start` on are cut to leave `length`; see `Tokenizer.encode`."""
    if config.get("truncation_side") == "left":
        return slice(start, start + count - length)
    return slice(start + length, start + count)


def _shortened(lengths: list[int], limit: int) -> list[int]:
    """The lengths of one or two texts, cut to at most `limit` together.

    The longer text is cut to the length of the shorter before both are.
    """
    if sum(lengths) <= limit:
        return lengths
    if len(lengths) == 1:
        return [limit]
    shorter = min(*lengths, limit // 2)
    return [shorter, limit - shorter] if lengths[0] <= lengths[1] else [limit - shorter, shorter]
