"""The lines of a text file, decoded and numbered; and the rows that are made of them."""

from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from headway.errors import DataError
from headway.sources.opening import encoding_of

__all__ = ["LINE_LIMIT", "Lines", "Row"]

LINE_LIMIT = 1 << 26
"""The longest line, in bytes, that is read. Anything longer is a file without line ends, not a file of rows."""


class Row(NamedTuple):
    """One row: its number among the data rows of its file, the line it begins on (0: none), its size, its values."""

    number: int
    line: int
    size: int
    values: dict[str, object]


class Lines:
    """The lines of a file as text, each with its number; broken ones are handed on and marked.

    A broken line is decoded with replacement characters, so that the quotes around it still pair up, and `problem` says
    what is wrong with it until the next `start_row`.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.number = 0
        self.first = 1
        self.problem: str | None = None
        self._stream = stream
        self._encoding = ""
        self._row: list[bytes] = []
        self._again: deque[bytes] = deque()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._again.popleft() if self._again else self._stream.readline(LINE_LIMIT)
        if not raw:
            raise StopIteration
        if len(raw) >= LINE_LIMIT:
            raise DataError(f"{self.name}, line {self.number + 1}: longer than 64 MB, so this is no file of rows.")
        self.number += 1
        self._row.append(raw)
        if self.number == 1:
            encoding = encoding_of(raw)
            self._encoding = encoding.name
            raw = raw.removeprefix(encoding.mark)
        try:
            line = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            line = raw.decode(self._encoding, errors="replace")
            self.problem = _not_utf8(raw, error)
        if "\0" in line:
            self.problem = "the text contains a NUL byte. Remove it"
        return line

    @property
    def bytes_in_row(self) -> int:
        """How many bytes the lines since the last `start_row` have."""
        return sum(map(len, self._row))

    def start_row(self) -> None:
        """A row begins at the next line."""
        self._row.clear()
        self.first = self.number + 1
        self.problem = None

    def back_to_second_line(self) -> None:
        """Give up the row begun last after its first line: what follows is read again, as new rows.

        A quote that is never closed swallows the rows behind it; this gives them back.
        """
        self._again.extendleft(reversed(self._row[1:]))
        self.number = self.first


def _not_utf8(raw: bytes, error: UnicodeDecodeError) -> str:
    guess = raw[max(0, error.start - 12) : error.end + 12].decode("cp1252", errors="replace").strip()
    return (
        f"byte 0x{raw[error.start]:02X} is not UTF-8 (in Windows-1252 it would read '{guess}'). Save the file as UTF-8"
    )
