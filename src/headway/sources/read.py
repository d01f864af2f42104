"""From what the user names to tables: all at once (`read`) for training, block by block (`stream`) for prediction.

A source is a file (CSV, TSV, JSON, Parquet, Excel, fastText; also compressed), a folder of such files, of images or of
.txt files by class, several files, `hub:NAME[:config]`, or `sample:NAME`, one of the data sets that Headway carries. In
Python it is also a DataFrame, a `datasets.Dataset` or `DatasetDict`, a dict of columns, or dicts, one for each row.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard, cast

from headway.errors import DataError
from headway.files import is_image_name
from headway.sources import frames, hub
from headway.sources import stream as streaming
from headway.sources.bad_rows import BadRow, BadRowPolicy, BadRows
from headway.sources.folders import READABLE, data_file, folder_files, sample_file
from headway.sources.image_folders import has_images, image_tables, table_of_images
from headway.sources.names import is_litter, split_of
from headway.sources.opening import DataFile, Dialect, Format
from headway.sources.table import Table
from headway.sources.table_cache import read_table
from headway.sources.text_folders import has_class_folders_of_texts, text_tables

__all__ = [
    "BadRow",
    "BadRowPolicy",
    "BadRows",
    "Dialect",
    "Source",
    "Table",
    "describe",
    "is_table",
    "read",
    "require",
    "stream",
]

Source = Any
"""str | Path | pandas.DataFrame | datasets.Dataset | DatasetDict | Mapping[str, Sequence] | Iterable[Mapping] |
Sequence[str | Path]. The libraries of these types are not imported here, so they cannot be written down."""


def read(
    source: Source,
    *,
    skip_bad_rows: bool = False,
    dialect: Dialect = Dialect(),
) -> dict[str, Table]:
    """Read a data set: its splits by name ("train", "validation", "test"); files are memory-mapped from the cache.

    A single file, and whatever has no splits, is {"train": …}. A folder whose files or folders are called train…,
    valid… (or dev…, val…) and test… gives those splits; all files of any other folder, and several files given
    together, are one "train", one after the other.

    Args:
        source: What to read; an iterator of rows is used up.
        skip_bad_rows: Leave out rows that cannot be read, and list them in `Table.bad_rows`, instead of failing.
        dialect: What is known of how text files are written.

    Raises:
        DataError: There is no such data, it cannot be read, or a row is bad and not to be skipped.
        HeadwayError: The rows cannot be stored in the cache (`HF_DATASETS_CACHE`).
        TypeError: The source is none of those that can be read.
    """
    name = describe(source)
    if isinstance(source, str | Path):
        return _read_named(str(source), skip_bad_rows, dialect)
    if _are_paths(source):
        files = [data_file(Path(path).expanduser()) for path in source]
        return {"train": read_table(name, _with(dialect, files), skip_bad_rows=skip_bad_rows)}
    if isinstance(source, Mapping) and _are_splits(source):
        return hub.split_tables(name, source, lambda part, part_name: _in_memory(part_name, part))
    return {"train": _in_memory(name, source)}


def require(source: Source) -> None:
    """Make sure that there is something to read, without reading it; what the hub has is not asked for.

    Raises:
        DataError: There is no such file, folder or sample, or no file of rows.
        TypeError: The source is none of those that can be read.
    """
    describe(source)  # refuses what cannot be read
    if isinstance(source, str | Path):
        _require_named(str(source))
    elif _are_paths(source):
        for path in source:
            data_file(Path(path).expanduser())


def stream(
    source: Source | BinaryIO,
    *,
    format: Format | None = None,
    policy: BadRowPolicy | None = None,
    columns: Collection[str] = (),
    dialect: Dialect = Dialect(),
) -> Iterator[Table]:
    """Read rows lazily, in order and in constant memory, for prediction.

    Args:
        source: As for `read`, or a text file (.txt: one text per line, in the column "text"), an image or several, an
            open binary file, or "-" for the standard input.
        format: What the file is; by default its name decides, and for a pipe what comes first: JSON lines, a table or
            plain text.
        policy: What happens to rows that cannot be read, and where those that are skipped are remembered; by default
            the first one is an error.
        columns: Names of columns (in lower case) by which a table in a pipe is recognised.
        dialect: What is known of how text files are written.

    Yields:
        Blocks of at most 2,048 rows, fewer where they are long. A block of a pipe is whatever has come: a row typed by
        hand is given at once. In JSON lines, a block has the columns that have come so far.

    Raises:
        DataError: As for `read`, after the rows before the bad one have been given.
        TypeError: The source is none of those that can be read.
    """
    policy = policy or BadRowPolicy()
    name = describe(source)
    if name == "standard input" and isinstance(source, str | Path):
        # Not sys.stdin.buffer: should another thread wait for it when Python ends, Python aborts.
        pipe = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
        return streaming.stream_pipe(pipe, name, format, policy, columns, dialect)
    if isinstance(source, str | Path):
        return _stream_named(str(source), format, policy, dialect)
    if _is_pipe(source):
        return streaming.stream_pipe(source, name, format, policy, columns, dialect)
    if _are_paths(source):
        return _stream_paths(name, [Path(path).expanduser() for path in source], format, policy, dialect)
    if isinstance(source, Mapping) or is_table(source):
        return streaming.stream_tables(read(source).values())
    return streaming.stream_rows(name, cast(Iterable[Any], source))


def describe(source: Source | BinaryIO) -> str:
    """What messages call a source: "reviews.csv", "hub:imdb", "DataFrame".

    Raises:
        TypeError: The source is none of those that can be read.
    """
    if isinstance(source, str | Path):
        return "standard input" if str(source) == "-" else str(source)
    if _are_paths(source):
        return ", ".join(map(str, source[:3])) + (f" and {len(source) - 3:,} more" if len(source) > 3 else "")
    if is_table(source) or isinstance(source, Mapping):
        return type(source).__name__
    if _is_pipe(source):
        name = getattr(source, "name", None)
        return name if isinstance(name, str) else "the pipe"
    if isinstance(source, bytes | bytearray) or hasattr(source, "dtype") or not isinstance(source, Iterable):
        raise TypeError(
            f"A {type(source).__name__} is no source of rows: give a path, a DataFrame, a datasets.Dataset, "
            "a dict of columns, or dicts, one for each row."
        )
    return type(source).__name__


def _read_named(source: str, skip_bad_rows: bool, dialect: Dialect) -> dict[str, Table]:
    if source.startswith("hub:"):
        return hub.read_hub(source)
    path = Path(source).expanduser()
    if path.is_dir() and hub.is_saved(path):
        return hub.read_saved(source, path)
    files = _files(source, path)
    if files:
        return {
            name: read_table(source, _with(dialect, part), skip_bad_rows=skip_bad_rows) for name, part in files.items()
        }
    if not has_images(path) and has_class_folders_of_texts(path):  # beside images, texts only describe them
        return text_tables(source, path, dialect, skip_bad_rows=skip_bad_rows)
    _require_images(path)
    return image_tables(source, path)


def _with(dialect: Dialect, files: Sequence[DataFile]) -> list[DataFile]:
    return [replace(file, dialect=dialect) for file in files]


def _require_named(source: str) -> None:
    path = Path(source).expanduser()
    if source.startswith("hub:") or (path.is_dir() and hub.is_saved(path)) or _files(source, path):
        return
    if not has_class_folders_of_texts(path):
        _require_images(path)


def _stream_named(source: str, format: Format | None, policy: BadRowPolicy, dialect: Dialect) -> Iterator[Table]:
    path = Path(source).expanduser()
    if source.startswith(("hub:", "sample:")) or path.is_dir():
        files = {} if source.startswith("hub:") or hub.is_saved(path) else _files(source, path)
        if not files:
            return streaming.stream_tables(_read_named(source, False, dialect).values())
        every = [file for part in files.values() for file in part]
        return streaming.stream_files(source, _with(dialect, every), policy)
    return _stream_paths(source, [path], format, policy, dialect)


def _stream_paths(
    source: str, paths: Sequence[Path], format: Format | None, policy: BadRowPolicy, dialect: Dialect
) -> Iterator[Table]:
    if format is None and all(map(is_image_name, paths)) and all(path.is_file() for path in paths):
        return streaming.stream_tables([table_of_images(source, paths)])
    if format is not None:
        files = [DataFile(path, path.name, format) for path in paths]
    else:
        files = [data_file(path, with_text=True) for path in paths]
    return streaming.stream_files(source, _with(dialect, files), policy)


def _files(source: str, path: Path) -> dict[str, list[DataFile]]:
    """The tables that a name stands for, by split; empty for a folder without tables."""
    if source.startswith("sample:"):
        return {"train": [sample_file(source)]}
    return folder_files(path) if path.is_dir() else {"train": [data_file(path)]}


def _require_images(folder: Path) -> None:
    if not has_images(folder):
        names = sorted(entry.name for entry in folder.iterdir() if not is_litter(entry.name))
        inside = f"only {', '.join(names[:3])}" if names else "no files"
        raise DataError(
            f"{folder}: no data in this folder ({inside}). Headway reads {READABLE}, and class folders of images or of "
            ".txt files."
        )


def _in_memory(name: str, source: Any) -> Table:
    if hub.is_dataset(source):
        return hub.dataset_table(name, source, name)
    if frames.is_frame(source):
        return frames.frame_table(name, source)
    if frames.is_arrow(source):
        return frames.arrow_table(name, source)
    return frames.columns_table(name, source) if isinstance(source, Mapping) else frames.rows_table(name, source)


def is_table(source: object) -> bool:
    """Whether this is a DataFrame, a `datasets.Dataset`, or a table of Arrow."""
    return hub.is_dataset(source) or frames.is_frame(source) or frames.is_arrow(source)


def _is_pipe(source: object) -> TypeGuard[BinaryIO]:
    return callable(getattr(source, "read", None)) and not is_table(source)


def _are_paths(source: object) -> TypeGuard[Sequence[str | Path]]:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(item, str | Path) for item in source)


def _are_splits(source: Mapping[Any, Any]) -> bool:
    """Whether a dict holds tables by split; otherwise it holds columns."""
    return bool(source) and all(
        is_table(part)
        or (split_of(str(name)) and isinstance(part, list | tuple) and part and isinstance(part[0], Mapping))
        for name, part in source.items()
    )
