"""When are two texts the same? Word for word, or but for case, spaces and punctuation; told by hashes, not by texts.

Two 64-bit numbers a row stay in memory, so this holds for millions of rows. The numbers are Python's own string hashes,
which differ from one process to the next: only whether two are equal may ever matter.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import DataError
from headway.examples.fields import Columns
from headway.sources.table import Table

__all__ = ["TextKeys", "as_texts", "letters", "read_keys", "words"]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: a multiplication by it mixes the bits of a hash (Knuth)


@dataclass(frozen=True, slots=True)
class TextKeys:
    """What is known of each row's text (or pair of texts) without keeping it.

    Attributes:
        exact: (rows,) uint64, equal for texts that are the same word for word.
        normal: (rows,) uint64, equal for texts that are the same but for case, spaces and punctuation.
        blank: (rows,) bool: nothing but spaces.
    """

    exact: np.ndarray
    normal: np.ndarray
    blank: np.ndarray

    def select(self, positions: np.ndarray) -> "TextKeys":
        """The keys of the rows at `positions`."""
        return TextKeys(self.exact[positions], self.normal[positions], self.blank[positions])


def read_keys(table: Table, columns: Columns) -> TextKeys:
    """The keys of all rows of a table, in one pass over the file.

    Raises:
        DataError: A text is a list or an object.
    """
    size = len(table)
    exact, normal = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64)
    blank = np.ones(size, dtype=bool)
    start = 0
    for rows in table.batches(columns.texts):
        here = slice(start, start + rows.num_rows)
        for name in columns.texts:
            texts = [text.strip() for text in as_texts(rows.column(name), table, name, start).to_pylist()]
            exact[here] = exact[here] * _ODD + _hashes(map(hash, texts), len(texts))
            normal[here] = normal[here] * _ODD + _hashes((hash(letters(text)) for text in texts), len(texts))
            blank[here] &= np.array([not text for text in texts])
        start = here.stop
    return TextKeys(exact, normal, blank)


def as_texts(values: Any, table: Table, column: str, start: int) -> Any:
    """A pyarrow array of any values as an array of texts: numbers and booleans as they read, nothing as ""."""
    if column in table.mixed:
        decoded = table.decoded(column, values.to_pylist())
        for index, value in enumerate(decoded):
            if isinstance(value, list | dict):
                kind = "list" if isinstance(value, list) else "object"
                raise DataError(
                    f"{table.where(start + index)}: column '{column}' holds a {kind} here, not a text. Mend the row, "
                    "or choose another column with --set text_column=…."
                )
        values = pa.array([None if value is None else str(value) for value in decoded], pa.string())
    if pa.types.is_boolean(values.type):
        values = pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    return pc.fill_null(values.cast(pa.string()), "")


def _hashes(hashes: Iterable[int], count: int) -> np.ndarray:
    return np.fromiter(hashes, dtype=np.int64, count=count).view(np.uint64)


def words(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation."""
    return text.casefold().translate(_SPACED).split()


def letters(text: str) -> bytes:
    """A text in small letters, without spaces and punctuation; one of punctuation alone, such as ":-)", as it is."""
    folded = text.casefold()
    left = folded.encode().translate(None, _ASCII_GAPS) if text.isascii() else folded.translate(_JOINED).encode()
    return left or text.encode()


class _WithoutPunctuation(dict[int, str | int]):
    """A table for `str.translate`: spaces and punctuation (Unicode's categories P and Z) become something else."""

    def __init__(self, replacement: str) -> None:
        self._replacement = replacement

    def __missing__(self, code: int) -> str | int:
        gap = chr(code).isspace() or unicodedata.category(chr(code))[0] in "PZ"
        self[code] = self._replacement if gap else code
        return self[code]


_JOINED, _SPACED = _WithoutPunctuation(""), _WithoutPunctuation(" ")
_ASCII_GAPS = bytes(code for code in range(128) if _JOINED[code] == "")
