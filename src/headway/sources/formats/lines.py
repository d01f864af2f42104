"""The lines of a text file, decoded and numbered; and the rows that are made of them."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from headway.errors import DataError
from headway.sources.encodings import SAMPLE_BYTES, named_in_words, told_from
from headway.sources.opening import UTF8_MARK

__all__ = ["LINE_LIMIT", "Lines", "Row"]

LINE_LIMIT = 1 << 26
"""The longest line, in bytes, that is read. Anything longer is a file without line ends, not a file of rows."""


_BROKEN_LINES = 3
"""So many lines that are not UTF-8 are not damaged: the file is in another encoding."""


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

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        encoding: str | None = None,
        tell: Callable[[str], None] = lambda text: None,
        *,
        look_ahead: bool = True,
    ) -> None:
        """Read an open file.

        Args:
            stream: Its bytes.
            name: What it is called in messages.
            encoding: What it is in; otherwise UTF-8, or what can be told where it is not.
            tell: Is told the encoding that was found.
            look_ahead: Whether lines may be waited for, to tell an encoding.
        """
        self.name = name
        self.number = 0
        self.first = 1
        self.problem: str | None = None
        self._stream = stream
        self._encoding = encoding or "utf-8"
        self._settled = encoding is not None
        """Whether the encoding is known: given, told, or proven by a character beyond ASCII."""
        self._tell = tell
        self._look_ahead = look_ahead
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
        if self.number == 1 and raw.startswith(UTF8_MARK) and self._encoding == "utf-8":
            raw, self._settled = raw.removeprefix(UTF8_MARK), True
        line = self._decoded(raw)
        if "\0" in line:
            self.problem = "the text contains a NUL byte. Remove it"
        return line

    def _decoded(self, raw: bytes) -> str:
        try:
            line = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            if not self._settled:
                self._settle(raw)
                return self._decoded(raw)
            self.problem = _undecodable(raw, error, self._encoding)
            return raw.decode(self._encoding, errors="replace")
        self._settled = self._settled or not raw.isascii()
        return line

    def _settle(self, raw: bytes) -> None:
        """Tell the encoding from a line that is not UTF-8 and those after it; all before were ASCII."""
        self._settled = True
        following = [*self._again]
        size = len(raw) + sum(map(len, following))
        while self._look_ahead and size < SAMPLE_BYTES and (line := self._stream.readline(LINE_LIMIT)):
            following.append(line)
            self._again.append(line)
            size += len(line)
        found = told_from(b"".join([raw, *following]))
        if found is None and sum(not _is_utf8(line) for line in (raw, *following)) >= _BROKEN_LINES:
            raise DataError(
                f"{self.name} is not UTF-8 (first in line {self.number}), and its encoding cannot be told. Save "
                "it as UTF-8, or say which encoding it has with --set encoding=NAME."
            )
        if found is not None:
            self._encoding = found
            self._tell(
                f"{self.name} is not UTF-8; it is read as {named_in_words(found)}. If characters look wrong, say which "
                "encoding it has with --set encoding=NAME."
            )

    @property
    def bytes_in_row(self) -> int:
        """How many bytes the lines since the last `start_row` have."""
        return sum(map(len, self._row))

    def start_row(self) -> None:
        """A row begins at the next line."""
        self._row.clear()
        self.first = self.number + 1
        self.problem = None

    def put_back(self) -> None:
        """Give back the lines since the last `start_row`: they are read again."""
        self._again.extendleft(reversed(self._row))
        self.number -= len(self._row)
        self.start_row()

    def back_to_second_line(self) -> None:
        """Give up the row begun last after its first line: what follows is read again, as new rows.

        A quote that is never closed swallows the rows behind it; this gives them back.
        """
        self._again.extendleft(reversed(self._row[1:]))
        self.number = self.first


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _undecodable(raw: bytes, error: UnicodeDecodeError, encoding: str) -> str:
    if encoding != "utf-8":
        return f"byte 0x{raw[error.start]:02X} is not {named_in_words(encoding)}. Set the right --set encoding=NAME"
    guess = raw[max(0, error.start - 12) : error.end + 12].decode("cp1252", errors="replace").strip()
    return (
        f"byte 0x{raw[error.start]:02X} is not UTF-8 (in Windows-1252 it would read '{guess}'). Save the file as "
        "UTF-8, or say which encoding it has with --set encoding=NAME"
    )
