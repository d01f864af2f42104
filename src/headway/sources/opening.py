"""What kind of file this is, and its bytes as lines: names, magic numbers, compression, encodings.

Whatever cannot be a file of examples is refused here, at the door, with a sentence that says what it is instead.
"""

import codecs
import gzip
import io
import json
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from headway.errors import DataError

__all__ = [
    "BATCH_BYTES",
    "BATCH_ROWS",
    "FIELD_LIMIT",
    "LINE_LIMIT",
    "SUFFIXES",
    "DataFile",
    "Format",
    "Lines",
    "format_of_name",
    "open_file",
    "open_pipe",
    "place",
]

Format = Literal["csv", "tsv", "jsonl", "parquet", "text"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
}

LINE_LIMIT = 1 << 26
"""The longest line, in bytes, that is read. Anything longer is a file without line ends, not a file of rows."""

FIELD_LIMIT = 1 << 24
"""The longest field of a CSV in characters, and text of a Parquet file in bytes. A longer one in a CSV is a quote that
nobody closed."""

BATCH_ROWS = 4096
BATCH_BYTES = 1 << 25
"""Some thousand rows are handled together, fewer where they are long."""

_BUFFER = 1 << 20
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_CSV_REMEDY = "Save it as CSV (UTF-8) and read that."
_UNPACK = "Unpack it first."
_NOT_TEXT = {  # the first bytes of a file -> what it is, and what to do
    b"PK\x03\x04": "a ZIP archive or an office document (.xlsx). Unpack it, or save the table as CSV (UTF-8).",
    b"\xd0\xcf\x11\xe0": f"an old Excel or Word document. {_CSV_REMEDY}",
    b"\x89PNG": "a PNG image, not a file of rows.",
    b"\xff\xd8\xff": "a JPEG image, not a file of rows.",
    b"GIF8": "a GIF image, not a file of rows.",
    b"%PDF": "a PDF document, not a file of rows.",
    b"BZh": f"compressed with bzip2, which is not read. {_UNPACK}",
    b"\xfd7zXZ": f"compressed with xz, which is not read. {_UNPACK}",
    b"\x28\xb5\x2f\xfd": f"compressed with zstd, which is not read. {_UNPACK}",
    b"7z\xbc\xaf": f"a 7-Zip archive. {_UNPACK}",
    b"SQLite format 3": "an SQLite database. Export the table as CSV (UTF-8) and read that.",
    b"\xff\xfe": "text in UTF-16, not UTF-8. Save it as UTF-8 (in Excel: 'CSV UTF-8') and read that.",
    b"\xfe\xff": "text in UTF-16, not UTF-8. Save it as UTF-8 (in Excel: 'CSV UTF-8') and read that.",
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of examples: where it lies, what it is called in messages, and its format."""

    path: Path
    name: str
    format: Format


def format_of_name(path: Path) -> Format | None:
    """The format that a file's name promises (`reviews.csv.gz` → "csv"), or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


@contextmanager
def open_file(file: DataFile) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it is gzipped; Parquet is seekable also then.

    Raises:
        DataError: The file is missing, may not be read, is truncated, or is not what its name says.
    """
    try:
        with file.path.open("rb", buffering=_BUFFER) as plain:
            stream = _unpacked(plain)
            if file.format != "parquet":
                _refuse_foreign(_peek(stream), file.name)
                yield stream
            elif stream is plain:
                yield plain
            elif not _peek(stream).startswith(_PARQUET):  # before it fills the disk
                raise DataError(f"{file.name} is not a readable Parquet file. Write or download it again.")
            else:
                with tempfile.TemporaryFile() as whole:  # Parquet is read from its end
                    while block := stream.read(_BUFFER):
                        whole.write(block)
                    whole.seek(0)
                    yield cast(BinaryIO, whole)
    except FileNotFoundError:
        raise DataError(f"{file.path}: no such file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{file.name}: the compressed file is damaged or cut short. Download or pack it again."
        raise DataError(message) from error
    except PermissionError:
        raise DataError(f"{file.path}: you may not read it. Change its permissions.") from None
    except IsADirectoryError:
        raise DataError(f"{file.path} is a folder, not a file.") from None
    except OSError as error:
        raise DataError(f"{file.path}: could not be read: {error.strerror or error}. Try again.") from error


def open_pipe(pipe: BinaryIO, name: str, format: Format | None) -> tuple[BinaryIO, Format]:
    """A pipe, unpacked if gzipped, and its format: the one given, else JSON lines or plain text by its first line.

    Waits for the first bytes only, so that a row can be answered as soon as it has come.
    """
    stream = pipe if hasattr(pipe, "peek") else cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, pipe)))
    stream = _unpacked(stream)
    head = _peek(stream)
    if format != "parquet":
        _refuse_foreign(head, name)
    if format is None:
        # A first line longer than what has come so far is judged by its beginning.
        first = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        format = "jsonl" if first.startswith(b"{") and _is_object(first.split(b"\n", 1)) else "text"
    return stream, format


class Lines:
    """The lines of a UTF-8 file as text, each with its number; broken ones are handed on and marked.

    A broken line is decoded with replacement characters, so that the quotes around it still pair up, and `problem` says
    what is wrong with it until the next `start_row`.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.number = 0
        self.first = 1
        self.problem: str | None = None
        self._stream = stream
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
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            line = raw.decode(errors="replace")
            self.problem = _not_utf8(raw, error)
        if "\0" in line:
            self.problem = "a NUL byte stands in the text. Remove it"
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


def _unpacked(stream: BinaryIO) -> BinaryIO:
    if _peek(stream).startswith(_GZIP):
        unpacked = gzip.GzipFile(fileobj=stream)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER))
    return stream


def _peek(stream: BinaryIO) -> bytes:
    """The bytes that lie ready, without taking them; at most one read of a pipe."""
    return cast(io.BufferedReader, stream).peek()


def _refuse_foreign(head: bytes, name: str) -> None:
    """Raise a DataError when a file that should be text begins like something else."""
    for magic, meaning in _NOT_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {meaning}")
    if head.startswith(_PARQUET):
        raise DataError(f"{name} is a Parquet file. Give it a name that ends in .parquet.")
    sample = head[:4096]
    if 3 * sample.count(0) > len(sample):
        raise DataError(f"{name} is a binary file or text in UTF-16. {_CSV_REMEDY}")
    controls = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in sample)
    if 20 * controls > len(sample) and not _is_utf8(sample):
        raise DataError(f"{name} is a binary file, not a file of rows.")
    if b"\r" in sample and b"\n" not in head:
        raise DataError(f"{name} ends its lines as old Macs did (CR only). Save it again as 'CSV UTF-8'.")


def _is_utf8(sample: bytes) -> bool:
    """Whether these are the first bytes of a UTF-8 text; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(raw: bytes, error: UnicodeDecodeError) -> str:
    guess = raw[max(0, error.start - 12) : error.end + 12].decode("cp1252", errors="replace").strip()
    return (
        f"byte 0x{raw[error.start]:02X} is not UTF-8 (in Windows-1252 it would read '{guess}'). Save the file as UTF-8"
    )


def _is_object(lines: list[bytes]) -> bool:
    if len(lines) == 1:
        return True
    try:
        return isinstance(json.loads(lines[0]), dict)
    except ValueError:
        return False


def place(name: str, number: int, line: int) -> str:
    """How a row is called in messages: 'reviews.csv, row 17 (line 18)'."""
    return f"{name}, row {number} (line {line})" if line else f"{name}, row {number}"
