"""When are two inputs the same? Texts word for word, or but for case, spaces and punctuation; images byte for byte.

Two 64-bit hashes per row stay in memory, so this works for millions of rows. The hashes of texts are Python's own
string hashes, which differ from one process to the next: only whether two are equal may ever matter.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.examples.fields import Columns, Field
from headway.examples.values import as_texts, image_of
from headway.sources.table import Table

__all__ = ["RowKeys", "letters", "read_keys", "words"]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: a multiplication by it mixes the bits of a hash (Knuth)

UIntArray = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class RowKeys:
    """What is known of each row's inputs without keeping them.

    Attributes:
        exact: Equal for inputs that are the same word for word, or byte for byte. *Shape:* (rows,)
        normal: Equal for texts that are the same but for case, spaces and punctuation. *Shape:* (rows,)
        blank: Whether a row has nothing but spaces, and no image. *Shape:* (rows,)
    """

    exact: UIntArray
    normal: UIntArray
    blank: NDArray[np.bool_]

    def select(self, positions: NDArray[np.int64]) -> "RowKeys":
        """The keys of the rows at `positions`."""
        return RowKeys(self.exact[positions], self.normal[positions], self.blank[positions])


def read_keys(table: Table, fields: Sequence[Field], columns: Columns) -> RowKeys:
    """The keys of all rows of a table, in one pass over its inputs.

    Raises:
        DataError: A text is a list or an object.
    """
    inputs = [(one, columns[one.name][0]) for one in fields if one.role == "input" and columns[one.name]]
    size = len(table)
    exact, normal = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64)
    blank = np.ones(size, dtype=bool)
    start = 0
    for batch in table.batches([column for _, column in inputs]):
        rows = np.arange(start, start + batch.num_rows)
        for one, column in inputs:
            kind = _image_keys if one.kind == "image" else _text_keys
            exact_part, normal_part, empty = kind(table, column, batch.column(column), rows)
            exact[rows] = exact[rows] * _ODD + exact_part
            normal[rows] = normal[rows] * _ODD + normal_part
            blank[rows] &= empty
        start += batch.num_rows
    return RowKeys(exact, normal, blank)


def _text_keys(
    table: Table, column: str, values: Any, rows: NDArray[np.int64]
) -> tuple[UIntArray, UIntArray, NDArray[np.bool_]]:
    texts = [text.strip() for text in as_texts(values, table, column, rows).to_pylist()]
    exact = _hashes(map(hash, texts), len(texts))
    normal = _hashes((hash(letters(text)) for text in texts), len(texts))
    return exact, normal, np.array([not text for text in texts], dtype=bool)


def _image_keys(
    table: Table, column: str, values: Any, rows: NDArray[np.int64]
) -> tuple[UIntArray, UIntArray, NDArray[np.bool_]]:
    images = [image_of(table, value) for value in table.decoded(column, values.to_pylist())]
    keys = [_image_key(image) for image in images]
    exact = np.array(keys, dtype=np.uint64)
    return exact, exact, np.array([image is None for image in images], dtype=bool)


def _image_key(image: Any) -> int:
    if image is None:
        return 0
    try:
        content = image if isinstance(image, bytes) else image.read_bytes()
    except (OSError, ValueError, AttributeError):  # whoever decodes the image says what is wrong with it
        content = str(image).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


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
