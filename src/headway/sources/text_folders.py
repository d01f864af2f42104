"""Folders of texts: `reviews/pos/1.txt` is a row whose text is the file's content and whose label is "pos".

Above the classes there may be a level of splits (train, validation, test), as in the Large Movie Review Dataset.
"""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from headway.errors import DataError
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.encodings import named_in_words, told_from
from headway.sources.names import SPLITS, is_litter, split_of
from headway.sources.opening import UTF8_MARK, DataFile, Dialect, open_file
from headway.sources.table import Places, Table

__all__ = ["has_class_folders_of_texts", "text_tables"]

_UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
"""Folders whose texts have no class."""
_LARGEST = 1 << 26


def has_class_folders_of_texts(folder: Path) -> bool:
    """Whether the folder, or a split within it, has folders of .txt files."""
    return folder.is_dir() and any(len(_classes(place)) > 0 for place in _splits(folder).values())


def text_tables(source: str, folder: Path, dialect: Dialect) -> dict[str, Table]:
    """A folder of texts by split, with the columns `text` and `label`.

    Raises:
        DataError: A file cannot be read, or there is no training split.
    """
    places = {name: place for name, place in _splits(folder).items() if _classes(place)}
    if "train" not in places:
        raise DataError(f"{folder}: which folder is for training? Call it train.")
    return {name: _table(source, folder, places[name], dialect) for name in SPLITS if name in places}


def _splits(folder: Path) -> dict[str, Path]:
    """The folders that hold classes, by split; the folder itself where it has no splits."""
    inner = [place for place in _entries(folder) if place.is_dir()]
    splits = {split: place for place in inner if (split := split_of(place.name)) and _classes(place)}
    return splits if "train" in splits else {"train": folder}


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The .txt files of each class, in the order of their names; without folders of unlabelled texts."""
    found = {}
    for place in _entries(folder):
        if place.is_dir() and place.name.lower() not in _UNLABELLED:
            files = [file for file in _entries(place) if file.suffix.lower() == ".txt" and file.is_file()]
            if files:
                found[place.name] = files
    return found


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not is_litter(entry.name))


def _table(source: str, root: Path, folder: Path, dialect: Dialect) -> Table:
    policy = BadRowPolicy()
    texts, labels, names = [], [], []
    for label, files in _classes(folder).items():
        for file in files:
            texts.append(_text(file, dialect, policy))
            labels.append(label)
            names.append(str(file.relative_to(root)))
    others = [place.name for place in _entries(folder) if place.is_dir() and place.name.lower() in _UNLABELLED]
    if others:
        policy.tell(f"{folder}: the texts in {', '.join(others)} have no class and were left out.")
    places = Places(tuple(names), starts=tuple(range(len(names))), rows_are_files=True)
    data = pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels, pa.string())})
    return replace(Table(source, data, places=places), notes=tuple(policy.notes))


def _text(file: Path, dialect: Dialect, policy: BadRowPolicy) -> str:
    """The content of a file.

    Raises:
        DataError: It is no text, or in an encoding that cannot be told.
    """
    with open_file(DataFile(file, file.name, "text", dialect), policy.tell) as opened:
        content = opened.read(_LARGEST)
    encoding = dialect.line_encoding or "utf-8"
    try:
        return content.removeprefix(UTF8_MARK).decode(encoding)
    except UnicodeDecodeError:
        found = None if dialect.encoding else told_from(content)
        if found is None:
            raise DataError(
                f"{file}: not {named_in_words(encoding)}. Say which encoding: --set encoding=NAME."
            ) from None
        policy.tell(f"Some files of {file.parent} are not UTF-8; they are read as {named_in_words(found)}.")
        return content.decode(found)
