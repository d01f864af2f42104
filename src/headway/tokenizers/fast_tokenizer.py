"""Tokenizers of the `tokenizers` library."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers

from headway.errors import library_errors
from headway.tokenizers.cleanup import tidied
from headway.tokenizers.tokenizer import Text, TokenSequence
from headway.tokenizers.truncation import cut_part, shortened

__all__ = ["FastTokenizer"]


class FastTokenizer:
    """A tokenizer of the `tokenizers` library: all that one `tokenizer.json` describes."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, config: Mapping[str, Any] | None = None) -> None:
        """Wrap the tokenizer: padding and truncation are switched off; the truncation side is kept."""
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
            # The fast variant leaves out character offsets, which are not needed here.
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
        # For byte-level BPE the ecosystem ignores the setting: it keeps the spaces of the text.
        return texts if isinstance(self._tokenizer.model, tokenizers.models.BPE) else tidied(texts, self.config)

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


def _cut_parts(owners: list[int | None], max_length: int, config: Mapping[str, Any]) -> list[slice]:
    """What to remove so that at most `max_length` tokens remain, the last part first.

    Args:
        owners: For each token the text that it comes from, 0 or 1; none for special tokens. *Length:* (length,).
        max_length: Special tokens included.
        config: The tokenizer's.
    """
    counts = [owners.count(0), owners.count(1)]
    lengths = shortened(counts, max(0, max_length - (len(owners) - sum(counts))))
    starts = [owners.index(text) if count else 0 for text, count in enumerate(counts)]
    parts = [
        cut_part(count, length, config, start) for start, count, length in zip(starts, counts, lengths, strict=True)
    ]
    return sorted(parts, key=lambda part: part.start, reverse=True)
