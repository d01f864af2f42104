"""From a file's name to its text: names, compression, encoding, each a table to which one entry adds one more.

bytes → unpacked (`COMPRESSIONS`, or the only file of a ZIP archive) → UTF-8 (UTF-16 is recoded here; of other encodings
each line is decoded in `formats.lines`). What cannot be a file of examples is refused here, with a sentence that says
what it is instead.
"""

import bz2
import gzip
import io
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from headway.errors import DataError
from headway.sources.encodings import in_utf8, named_in_words, utf16_of
from headway.sources.file_kinds import PARQUET, refuse_foreign
from headway.sources.names import is_litter
from headway.sources.pipe_kinds import kind_of_pipe

__all__ = [
    "BATCH_BYTES",
    "BATCH_ROWS",
    "COMPRESSIONS",
    "FASTTEXT_MARK",
    "FIELD_LIMIT",
    "SUFFIXES",
    "UTF8_MARK",
    "Compression",
    "DataFile",
    "Dialect",
    "Format",
    "format_of_file",
    "format_of_name",
    "open_file",
    "open_pipe",
    "peek",
]

Format = Literal["csv", "tsv", "jsonl", "parquet", "text", "fasttext", "excel"]
FASTTEXT_MARK = "__label__"
"""What a label begins with in a line of fastText."""

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".xlsx": "excel",
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


def _open_zstd(stream: BinaryIO) -> object:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")


COMPRESSIONS = (
    Compression(
        ".gz", re.compile(rb"\x1f\x8b"), lambda stream: gzip.GzipFile(fileobj=stream), (gzip.BadGzipFile, zlib.error)
    ),
    Compression(".bz2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.BZ2File),
    Compression(".xz", re.compile(rb"\xfd7zXZ\0"), lzma.LZMAFile, (lzma.LZMAError,)),
    Compression(".zst", re.compile(rb"\x28\xb5\x2f\xfd"), _open_zstd),
)
ZIP = ".zip"
_DAMAGED: tuple[type[Exception], ...] = (
    EOFError,
    zipfile.BadZipFile,
    *(error for compression in COMPRESSIONS for error in compression.errors),
)

UTF8_MARK = b"\xef\xbb\xbf"
"""What a file in UTF-8 may begin with."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the user knows about how text files are written; the rest is found out.

    Attributes:
        encoding: Python's name of their encoding.
        delimiter: What stands between the fields of a CSV.
    """

    encoding: str | None = None
    delimiter: str | None = None

    @property
    def is_recoded(self) -> bool:
        """Whether its lines do not end with the byte 0x0A, so that the whole text is recoded."""
        return self.encoding is not None and "\n".encode(self.encoding) != b"\n"

    @property
    def line_encoding(self) -> str | None:
        """What each line is decoded from; None where that is to be found out."""
        return "utf-8" if self.is_recoded else self.encoding


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of examples: where it lies, what it is called in messages, and its format."""

    path: Path
    name: str
    format: Format
    dialect: Dialect = Dialect()


def format_of_name(path: Path) -> Format | None:
    """The format that a file's name promises (`reviews.csv.gz` → "csv"), or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (ZIP, *(compression.suffix for compression in COMPRESSIONS)):
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def format_of_file(path: Path) -> Format | None:
    """The format that a file's name promises, or that of the only file of an archive, or None.

    Raises:
        DataError: The archive is damaged, or holds several files.
    """
    found = format_of_name(path)
    if found is None and path.suffix.lower() == ZIP and path.is_file():
        with suppress(OSError), path.open("rb") as plain:  # why it cannot be read is told where it is opened
            archive = _zipped(plain, path.name)
            found = None if archive is None else format_of_name(Path(archive[1]))
    return found


@contextmanager
def open_file(file: DataFile, tell: Callable[[str], None] = lambda text: None) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it is compressed; Parquet is seekable also then.

    Args:
        file: The file.
        tell: Is told an encoding that was recognised.

    Raises:
        DataError: The file is missing, may not be read, is truncated, or is not what its name says.
    """
    try:
        with file.path.open("rb", buffering=_BUFFER) as plain:
            archive = _zipped(plain, file.name)
            stream = _unpacked(plain) if archive is None else archive[0]
            if file.format not in ("parquet", "excel"):
                stream = _in_utf8(stream, file.name, file.dialect, tell)
                refuse_foreign(peek(stream), file.name)
                yield stream
            elif stream is plain:
                yield plain
            elif file.format == "parquet" and not peek(stream).startswith(PARQUET):  # before it fills the disk
                raise DataError(f"{file.name} is not a readable Parquet file. Write or download it again.")
            else:
                with tempfile.TemporaryFile() as whole:  # these formats are read from their end
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
    pipe: BinaryIO,
    name: str,
    format: Format | None,
    columns: Collection[str] = (),
    dialect: Dialect = Dialect(),
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[BinaryIO, Format]:
    """A pipe, unpacked if compressed, and its format: the one given, else JSON lines, a table or plain text.

    Waits for the first bytes only, so that a row can be answered as soon as it has come. A table is recognised by a
    header that names one of `columns` (in lower case).

    Raises:
        DataError: It cannot be what it seems to be; see `kind_of_pipe`.
    """
    stream = pipe if hasattr(pipe, "peek") else cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, pipe)))
    stream = _unpacked(stream)
    if format != "parquet" and not peek(stream).startswith(PARQUET):
        stream = _in_utf8(stream, name, dialect, tell)
    head = peek(stream)
    if format != "parquet":
        refuse_foreign(head, name)
    if format is None:
        text = head.removeprefix(UTF8_MARK).decode(dialect.line_encoding or "utf-8", "replace")
        format = kind_of_pipe(text, name, columns)
    return stream, format


def peek(stream: BinaryIO) -> bytes:
    """The bytes that lie ready, without taking them; at most one read of a pipe."""
    return cast(io.BufferedReader, stream).peek()


def _zipped(plain: BinaryIO, name: str) -> tuple[BinaryIO, str] | None:
    """The only file of a ZIP archive, opened, and its name; None where the file is no archive.

    Raises:
        DataError: The archive is damaged, encrypted, or holds several files.
    """
    if Path(name).suffix.lower() != ZIP or not peek(plain).startswith(b"PK\x03\x04"):
        return None
    try:
        archive = zipfile.ZipFile(plain)
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        names = [inner for inner in names if not any(map(is_litter, Path(inner).parts))]
        if len(names) != 1:
            listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise DataError(f"{name} is a ZIP archive of {len(names)} files ({listed}). Unpack it and name the file.")
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, archive.open(names[0])), _BUFFER)), names[0]
    except (zipfile.BadZipFile, RuntimeError, IndexError, ValueError) as error:  # so it complains of odd entries
        raise DataError(f"{name}: this ZIP archive cannot be read ({error}). Unpack it yourself.") from None


def _in_utf8(stream: BinaryIO, name: str, dialect: Dialect, tell: Callable[[str], None]) -> BinaryIO:
    """A text in UTF-16 (or another encoding whose lines do not end with the byte 0x0A) recoded; others as they are."""
    if dialect.encoding is not None:
        return in_utf8(stream, dialect.encoding, name) if dialect.is_recoded else stream
    found = utf16_of(peek(stream))
    if found is None:
        return stream
    tell(f"{name} is read as {named_in_words(found)}.")
    return in_utf8(stream, found, name)


def _unpacked(stream: BinaryIO) -> BinaryIO:
    head = peek(stream)
    for compression in COMPRESSIONS:
        if compression.magic.match(head):
            return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, compression.open(stream)), _BUFFER))
    return stream


def _damaged(name: str) -> DataError:
    return DataError(f"{name}: the compressed file is damaged or cut short. Download or pack it again.")
