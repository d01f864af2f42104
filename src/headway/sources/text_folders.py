"""Folders of texts: `reviews/pos/1.txt` is a row whose text is the file's content and whose label is "pos".

Above the classes there may be a level of splits (train, validation, test), as in the Large Movie Review Dataset.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from headway.errors import DataError
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.formats.lines import Lines
from headway.sources.names import SPLITS, is_litter, split_of
from headway.sources.opening import DataFile, Dialect, open_file
from headway.sources.table import Places, Table

__all__ = ["has_class_folders_of_texts", "text_tables"]

_UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
"""Folders whose texts have no class."""


def has_class_folders_of_texts(folder: Path) -> bool:
    """Whether the folder, or a split within it, has folders of .txt files."""
    return folder.is_dir() and any(map(_class_folders, _splits(folder).values()))


def text_tables(source: str, folder: Path, dialect: Dialect, *, skip_bad_rows: bool) -> dict[str, Table]:
    """A folder of texts by split, with the columns `text` and `label`.

    Raises:
        DataError: A file cannot be read, and bad rows are not skipped; or all are.
    """
    splits = _splits(folder)
    return {
        name: _table(source, folder, splits[name], dialect, BadRowPolicy(skip_bad_rows))
        for name in SPLITS
        if name in splits
    }


def _splits(folder: Path) -> dict[str, Path]:
    """The folders that hold classes, by split; the folder itself where it has no splits."""
    inner = [place for place in _entries(folder) if place.is_dir()]
    splits = {split: place for place in inner if (split := split_of(place.name)) and _class_folders(place)}
    return splits if "train" in splits else {"train": folder}


def _class_folders(folder: Path) -> list[Path]:
    """The folders of .txt files, without those of unlabelled texts."""
    return [place for place in _entries(folder) if place.is_dir() and not _is_unlabelled(place) and any(_texts(place))]


def _is_unlabelled(folder: Path) -> bool:
    return folder.name.lower() in _UNLABELLED


def _texts(folder: Path) -> Iterator[Path]:
    """The .txt files of a folder, in no order."""
    return (
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() == ".txt" and not is_litter(entry.name) and entry.is_file()
    )


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not is_litter(entry.name))


def _table(source: str, root: Path, folder: Path, dialect: Dialect, policy: BadRowPolicy) -> Table:
    texts, labels, names = [], [], []
    told: list[str] = []
    for place in _class_folders(folder):
        for file in sorted(_texts(place)):
            text = _text(file, dialect, policy, told)
            if text is not None:
                texts.append(text)
                labels.append(place.name)
                names.append(str(file.relative_to(root)))
    bad_rows = policy.seen()
    if not texts:
        raise bad_rows.all_of(str(folder))
    if told:
        policy.tell(told[0] + (f" So it is for {len(told) - 1:,} more files." if len(told) > 1 else ""))
    left_out = [place.name for place in _entries(folder) if place.is_dir() and _is_unlabelled(place)]
    if left_out:
        policy.tell(f"{folder}: the texts in {', '.join(left_out)} have no class and were left out.")
    data = pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels, pa.string())})
    places = Places(tuple(names), starts=tuple(range(len(names))), rows_are_files=True)
    return Table(source, data, bad_rows=bad_rows, places=places, notes=tuple(policy.notes))


def _text(file: Path, dialect: Dialect, policy: BadRowPolicy, told: list[str]) -> str | None:
    """The content of a file; None where it is bad and skipped. What is found out about it is added to `told`."""
    parts: list[str] = []
    try:
        with open_file(DataFile(file, str(file), "text", dialect), told.append) as opened:
            lines = Lines(opened, str(file), dialect.line_encoding, told.append)
            for line in lines:
                if lines.problem:
                    policy.report(f"{file}, line {lines.number}", lines.problem)
                    return None
                parts.append(line)
    except DataError as error:
        if not policy.skip:
            raise
        policy.report(str(file), str(error))
        return None
    return "".join(parts)
