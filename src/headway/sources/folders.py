"""Which files a path names: a file, the files of a folder by split, or one of the samples that Headway carries."""

import importlib.resources
from collections.abc import Iterable
from pathlib import Path

from headway.errors import DataError
from headway.sources.names import SPLITS, is_litter, split_of
from headway.sources.opening import (
    COMPRESSIONS,
    FASTTEXT_MARK,
    ZIP,
    DataFile,
    format_of_file,
    format_of_name,
    open_file,
    peek,
)

__all__ = ["READABLE", "data_file", "folder_files", "sample_file"]

_PACKED = ", ".join([*(compression.suffix for compression in COMPRESSIONS), ZIP])
READABLE = f"CSV, TSV, JSON, Parquet, Excel (.xlsx) and fastText's lines, each also compressed ({_PACKED})"


def data_file(path: Path, *, with_text: bool = False) -> DataFile:
    """The file at `path`, with the format that its name promises; plain text only where a text per line is enough.

    Raises:
        DataError: There is no such file, or it is no file of rows.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.{_similar(path)}")
    format = format_of_file(path)
    if format in (None, "text") and path.is_file():
        with open_file(DataFile(path, path.name, "text")) as opened:  # an image or archive is called what it is
            if format == "text" and peek(opened).lstrip().startswith(FASTTEXT_MARK.encode()):
                format = "fasttext"
    if format is None or (format == "text" and not with_text):
        reason = "plain text has no labels" if format == "text" else "its name does not end like a file of rows"
        raise DataError(f"{path.name}: {reason}. Headway reads {READABLE}; rename or convert the file.")
    return DataFile(path, path.name, format)


def folder_files(folder: Path) -> dict[str, list[DataFile]]:
    """The tables of a folder by split; empty when there are none.

    Files called train…, valid… (or dev…, val…) and test… give those splits, as do tables within folders of those names;
    all files of any other folder are one "train". Hidden files and files of other kinds are not looked at.

    Raises:
        DataError: Which file belongs to which split cannot be told.
    """
    files = _tables_in(folder)
    if not files:
        return _files_of_split_folders(folder)
    splits: dict[str, list[DataFile]] = {}
    for file in files:
        splits.setdefault(split_of(file.name) or "", []).append(file)
    if set(splits) == {""}:
        return {"train": files}
    if "train" not in splits:
        raise DataError(f"{folder}: which file is for training? Call it train{''.join(files[0].path.suffixes)}.")
    if "" in splits:
        others = ", ".join(file.name for file in splits[""][:3])
        raise DataError(
            f"{folder}: {others}: to which split? Begin the name with train, validation or test, or move it."
        )
    return _in_order(splits)


def sample_file(source: str) -> DataFile:
    """The file of `sample:NAME`.

    Raises:
        DataError: There is no such sample.
    """
    name = source.removeprefix("sample:")
    folder = importlib.resources.files("headway") / "samples"
    path = Path(str(folder / f"{name}.csv.gz"))
    if not path.is_file():
        entries = folder.iterdir() if folder.is_dir() else ()
        found = sorted(entry.name.split(".")[0] for entry in entries if entry.name.endswith(".csv.gz"))
        raise DataError(f"{source}: there is no such sample. There are: {', '.join(found) or 'none'}.")
    return DataFile(path, source, "csv")


def _files_of_split_folders(folder: Path) -> dict[str, list[DataFile]]:
    splits: dict[str, list[DataFile]] = {}
    for inner in sorted(folder.iterdir()):
        split = split_of(inner.name) if inner.is_dir() else None
        if split is not None and (files := _tables_in(inner)):
            splits.setdefault(split, []).extend(files)
    return _in_order(splits) if "train" in splits else {}


def _tables_in(folder: Path) -> list[DataFile]:
    paths = sorted(path for path in folder.iterdir() if not is_litter(path.name) and path.is_file())
    formats = {path: format_of_name(path) for path in paths}
    return [DataFile(path, path.name, kind) for path, kind in formats.items() if kind not in (None, "text")]


def _in_order(splits: dict[str, list[DataFile]]) -> dict[str, list[DataFile]]:
    return {name: splits[name] for name in SPLITS if name in splits}


def _similar(path: Path) -> str:
    import difflib

    try:
        names: Iterable[str] = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, list(names), 1, cutoff=0.7)
    return f" Did you mean {path.parent / near[0]}?" if near else ""
