"""From a file's name to its text: names, compression, encoding, each a table to which one entry adds one more.

bytes → unpacked (`COMPRESSIONS`) → decoded (`ENCODINGS`, applied line by line in `formats.lines`). What cannot be a
file of examples is refused here, with a sentence that says what it is instead.
"""

import bz2
import gzip
import io
import lzma
import re
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from headway.errors import DataError
from headway.sources.file_kinds import PARQUET, refuse_foreign
from headway.sources.pipe_kinds import kind_of_pipe

__all__ = [
    "BATCH_BYTES",
    "BATCH_ROWS",
    "COMPRESSIONS",
    "ENCODINGS",
    "FIELD_LIMIT",
    "SUFFIXES",
    "Compression",
    "DataFile",
    "Encoding",
    "Format",
    "encoding_of",
    "format_of_name",
    "open_file",
    "open_pipe",
    "peek",
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

FIELD_LIMIT = 1 << 24
"""The longest field of a CSV in characters, and text of a Parquet file in bytes. A longer one in a CSV is a quote that
nobody closed."""

BATCH_ROWS = 4096
BATCH_BYTES = 1 << 25
"""Some thousand rows are handled together, fewer where they are long."""

_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Compression:
    """One way in which files are compressed.

    Attributes:
        suffix: What a file's name then ends in.
        magic: The bytes that every such file begins with, as a regular expression.
        open: From the compressed stream to one of the bytes within.
        errors: What reading raises where the file is damaged.
    """

    suffix: str
    magic: re.Pattern[bytes]
    open: Callable[[BinaryIO], object]
    errors: tuple[type[Exception], ...] = ()


COMPRESSIONS = (
    Compression(
        ".gz", re.compile(rb"\x1f\x8b"), lambda stream: gzip.GzipFile(fileobj=stream), (gzip.BadGzipFile, zlib.error)
    ),
    Compression(".bz2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.BZ2File),
    Compression(".xz", re.compile(rb"\xfd7zXZ\0"), lzma.LZMAFile, (lzma.LZMAError,)),
)
_DAMAGED: tuple[type[Exception], ...] = (
    EOFError,
    *(error for compression in COMPRESSIONS for error in compression.errors),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way in which text is encoded; a line must end with the byte 0x0A.

    Attributes:
        name: What Python calls it.
        mark: The byte order mark that may stand at the beginning.
    """

    name: str
    mark: bytes = b""


ENCODINGS = (Encoding("utf-8", b"\xef\xbb\xbf"),)
"""The first is taken where no mark says otherwise."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of examples: where it lies, what it is called in messages, and its format."""

    path: Path
    name: str
    format: Format


def format_of_name(path: Path) -> Format | None:
    """The format that a file's name promises (`reviews.csv.gz` → "csv"), or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (compression.suffix for compression in COMPRESSIONS):
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def encoding_of(head: bytes) -> Encoding:
    """The encoding of a text that begins with `head`."""
    return next((encoding for encoding in ENCODINGS if encoding.mark and head.startswith(encoding.mark)), ENCODINGS[0])


@contextmanager
def open_file(file: DataFile) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it is compressed; Parquet is seekable also then.

    Raises:
        DataError: The file is missing, may not be read, is truncated, or is not what its name says.
    """
    try:
        with file.path.open("rb", buffering=_BUFFER) as plain:
            stream = _unpacked(plain)
            if file.format != "parquet":
                refuse_foreign(peek(stream), file.name)
                yield stream
            elif stream is plain:
                yield plain
            elif not peek(stream).startswith(PARQUET):  # before it fills the disk
                raise DataError(f"{file.name} is not a readable Parquet file. Write or download it again.")
            else:
                with tempfile.TemporaryFile() as whole:  # Parquet is read from its end
                    while block := stream.read(_BUFFER):
                        whole.write(block)
                    whole.seek(0)
                    yield cast(BinaryIO, whole)
    except FileNotFoundError:
        raise DataError(f"{file.path}: no such file.") from None
    except PermissionError:
        raise DataError(f"{file.path}: you may not read it. Change its permissions.") from None
    except IsADirectoryError:
        raise DataError(f"{file.path} is a folder, not a file.") from None
    except _DAMAGED as error:
        raise _damaged(file.name) from error
    except OSError as error:
        if error.errno is None:  # bz2's complaint about its content
            raise _damaged(file.name) from error
        raise DataError(f"{file.path}: could not be read: {error.strerror or error}. Try again.") from error


def open_pipe(
    pipe: BinaryIO, name: str, format: Format | None, columns: Collection[str] = ()
) -> tuple[BinaryIO, Format]:
    """A pipe, unpacked if compressed, and its format: the one given, else JSON lines, a table or plain text.

    Waits for the first bytes only, so that a row can be answered as soon as it has come. A table is recognised by a
    header that names one of `columns` (in lower case).

    Raises:
        DataError: It cannot be what it seems to be; see `kind_of_pipe`.
    """
    stream = pipe if hasattr(pipe, "peek") else cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, pipe)))
    stream = _unpacked(stream)
    head = peek(stream)
    if format != "parquet":
        refuse_foreign(head, name)
    if format is None:
        encoding = encoding_of(head)
        format = kind_of_pipe(head.removeprefix(encoding.mark).decode(encoding.name, "replace"), name, columns)
    return stream, format


def peek(stream: BinaryIO) -> bytes:
    """The bytes that lie ready, without taking them; at most one read of a pipe."""
    return cast(io.BufferedReader, stream).peek()


def _unpacked(stream: BinaryIO) -> BinaryIO:
    head = peek(stream)
    for compression in COMPRESSIONS:
        if compression.magic.match(head):
            return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, compression.open(stream)), _BUFFER))
    return stream


def _damaged(name: str) -> DataError:
    return DataError(f"{name}: the compressed file is damaged or cut short. Download or pack it again.")
