"""From what the user names to tables on disk (`read`), or to rows one at a time (`stream`).

A source is a file (CSV, TSV, JSON lines, Parquet, each also gzipped), a folder of such files, `hub:NAME[:config]`, or
`sample:NAME`, one of the data sets that Headway carries.
"""

import importlib.resources
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from headway.errors import DataError, reason_of
from headway.sources.opening import DataFile, Format, format_of_name, open_file, open_pipe
from headway.sources.rows import BadRow, BadRowPolicy, BadRows, rows_of
from headway.sources.table import Places, Table

if TYPE_CHECKING:
    import datasets

__all__ = ["BadRow", "BadRowPolicy", "BadRows", "Table", "read", "require", "stream"]

_SPLITS = {"train": "train", "valid": "validation", "dev": "validation", "val": "validation", "test": "test"}
_READABLE = "CSV, TSV, JSON lines (.jsonl) and Parquet, each also gzipped (.gz)"


def read(source: str, *, skip_bad_rows: bool = False) -> dict[str, Table]:
    """Read a data set: its splits by name ("train", "validation", "test"), memory-mapped from disk.

    A single file is {"train": …}. A folder whose files are called train…, valid… (or dev…, val…) and test… gives those
    splits; all files of any other folder are one "train", one after the other in the order of their names.

    Args:
        source: A file, a folder, `hub:NAME[:config]` or `sample:NAME`.
        skip_bad_rows: Leave out rows that cannot be read, and list them in `Table.bad_rows`, instead of failing.

    Raises:
        DataError: There is no such data, it cannot be read, or a row is bad and not to be skipped.
        HeadwayError: The rows cannot be stored in the cache (`HF_DATASETS_CACHE`).
    """
    if source.startswith("hub:"):
        return _read_hub(source)
    from headway.sources.table_cache import read_table

    splits = _files_by_split(source)
    return {name: read_table(source, files, skip_bad_rows=skip_bad_rows) for name, files in splits.items()}


def require(source: str) -> None:
    """Make sure that there is something to read, without reading it; what the hub has is not asked for.

    Raises:
        DataError: There is no such file, folder or sample, or no file of rows.
    """
    if not source.startswith("hub:"):
        _files_by_split(source)


def stream(
    source: str | Path | BinaryIO, *, format: Format | None = None, faults: BadRowPolicy | None = None
) -> Iterator[dict[str, object]]:
    """Read rows lazily, in order and in constant memory, for prediction.

    Args:
        source: As for `read`, or a text file (.txt: one text per line, in the column "text"), or an open binary file,
            or "-" for the standard input. A row of a pipe is given as soon as its line has come.
        format: What the file is; by default its name decides, and for a pipe its first line: JSON lines or plain text.
        faults: What happens to rows that cannot be read, and where those that are skipped are remembered; by default
            the first one is an error.

    Yields:
        One row: column name -> value; texts only from CSV, any JSON value from JSON lines.

    Raises:
        DataError: As for `read`.
    """
    faults = faults or BadRowPolicy()
    if isinstance(source, str | Path) and str(source) != "-":
        yield from _stream_named(str(source), format, faults)
        return
    # Not sys.stdin.buffer: should another thread wait for it when Python ends, Python aborts.
    pipe = open(sys.stdin.fileno(), "rb", closefd=False) if isinstance(source, str | Path) else source  # noqa: SIM115
    name = "standard input" if isinstance(source, str | Path) else str(getattr(source, "name", "the pipe"))
    opened, found = open_pipe(pipe, name, format)
    for row in rows_of(opened, name, found, faults):
        yield row.values


def _stream_named(source: str, format: Format | None, faults: BadRowPolicy) -> Iterator[dict[str, object]]:
    if source.startswith("hub:"):
        for table in _read_hub(source).values():
            yield from table.rows
        return
    if format is not None and not source.startswith("sample:"):
        files = [DataFile(Path(source), Path(source).name, format)]
    else:
        files = [file for split in _files_by_split(source, with_text=True).values() for file in split]
    for file in files:
        with open_file(file) as opened:
            for row in rows_of(opened, file.name, file.format, faults):
                yield row.values


def _files_by_split(source: str, *, with_text: bool = False) -> dict[str, list[DataFile]]:
    if source.startswith("sample:"):
        return {"train": [_sample(source)]}
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path)
    return {"train": [_file(path, with_text=with_text)]}


def _file(path: Path, *, with_text: bool) -> DataFile:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.{_similar(path)}")
    format = format_of_name(path)
    if format is None or (format == "text" and not with_text):
        with open_file(DataFile(path, path.name, "text")):  # an image or archive is called what it is
            pass
        reason = "plain text has no labels" if format == "text" else "its name does not end like a file of rows"
        raise DataError(f"{path.name}: {reason}. Headway reads {_READABLE}; rename or convert the file.")
    return DataFile(path, path.name, format)


def _similar(path: Path) -> str:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, 1, cutoff=0.7)
    return f" Did you mean {path.parent / near[0]}?" if near else ""


def _folder(folder: Path) -> dict[str, list[DataFile]]:
    """The files of a folder by split; hidden files and files of other kinds are not looked at."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    formats = {path: format_of_name(path) for path in paths}
    files = [DataFile(path, path.name, kind) for path, kind in formats.items() if kind not in (None, "text")]
    if not files:
        inside = f"only {', '.join(path.name for path in paths[:3])}" if paths else "no files"
        raise DataError(f"{folder}: no data in this folder ({inside}). Headway reads {_READABLE}.")
    splits: dict[str, list[DataFile]] = {}
    for file in files:
        splits.setdefault(_split_of(file.name) or "", []).append(file)
    if set(splits) == {""}:
        return {"train": files}
    if "train" not in splits:
        raise DataError(f"{folder}: which file is for training? Call it train{''.join(files[0].path.suffixes)}.")
    if "" in splits:
        others = ", ".join(file.name for file in splits[""][:3])
        raise DataError(
            f"{folder}: {others}: to which split? Begin the name with train, validation or test, or move it."
        )
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def _split_of(name: str) -> str | None:
    """The split that a name begins with: "train-00001.csv" is of "train", "testimonials.csv" of none."""
    match = re.match(r"(train|valid|dev|val|test)(ing|ation|elopment|set|data)?(?![a-z])", name.lower())
    return _SPLITS[match.group(1)] if match else None


def _sample(source: str) -> DataFile:
    name = source.removeprefix("sample:")
    folder = importlib.resources.files("headway") / "samples"
    path = Path(str(folder / f"{name}.csv.gz"))
    if not path.is_file():
        found = (
            sorted(entry.name.split(".")[0] for entry in folder.iterdir() if entry.name.endswith(".csv.gz"))
            if folder.is_dir()
            else []
        )
        raise DataError(f"{source}: there is no such sample. There are: {', '.join(found) or 'none'}.")
    return DataFile(path, source, "csv")


def _read_hub(source: str) -> dict[str, Table]:
    import datasets

    _, name, *config = source.split(":")
    if not name or len(config) > 1:
        raise DataError(f"'{source}' names no data set: write hub:NAME or hub:NAME:CONFIG, for example hub:glue:sst2.")
    try:
        found = datasets.load_dataset(name, *config)
    except Exception as error:  # the hub's library raises many kinds, also from below it
        reason = " ".join(reason_of(error).split())[:300] or type(error).__name__
        raise DataError(
            f"{source} could not be loaded from the hub: {reason.rstrip('.')}. "
            "Check the name and the network, or download the data set and give its file or folder."
        ) from error
    return _hub_tables(source, found)


def _hub_tables(source: str, found: "datasets.DatasetDict") -> dict[str, Table]:
    tables: dict[str, Table] = {}
    names: Sequence[str] = sorted(found, key=lambda name: name not in ("train", "validation", "test"))
    for name in names:
        split = _split_of(name) or ("train" if len(names) == 1 else None)
        if split is not None and split not in tables:
            rows: Any = found[name]
            tables[split] = Table(source, rows, (source,), places=Places((f"{source} ({name})",)))
    if "train" not in tables:
        raise DataError(f"{source} has no split for training, only {', '.join(names)}.")
    return {name: tables[name] for name in ("train", "validation", "test") if name in tables}
