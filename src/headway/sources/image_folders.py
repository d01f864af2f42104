"""Folders of images: `images/cat/1.jpg` is a row whose image is "cat/1.jpg" and whose label is "cat".

Above the classes there may be a level of splits (train, validation, test). Hidden files, what operating systems and
notebooks leave behind, and files that are no images are left out, and counted in `Table.notes`.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from headway.errors import DataError
from headway.files import is_image_name
from headway.sources.names import SPLITS, is_litter, split_of
from headway.sources.table import Places, Table

__all__ = ["has_images", "image_tables", "table_of_images"]


class _Image(NamedTuple):
    """A file: its path below the folder, in parts, and what changes when its content does."""

    parts: tuple[str, ...]
    size: int
    changed: int

    @property
    def path(self) -> str:
        return "/".join(self.parts)


class _Other(NamedTuple):
    """A file that is no image, or a folder without images."""

    path: str
    is_empty_folder: bool = False


@dataclass
class _Listing:
    """What a folder holds: images in the order of their paths, paths left out, and folders without any image."""

    images: list[_Image] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def has_images(folder: Path) -> bool:
    """Whether any image lies in the folder or below it."""
    return any(isinstance(found, _Image) for found in _walk(folder))


def image_tables(source: str, folder: Path) -> dict[str, Table]:
    """A folder of images by split, with the columns `image` (a path below the folder) and, with class folders, `label`.

    Images beside class folders are left out; images without any class folder have no label.

    Raises:
        DataError: There are no images, or some of the folders are splits and some are not.
    """
    listing = _list(folder)
    if not listing.images:
        raise DataError(f"{folder}: no images in this folder.")
    depth = 1 if _splits_above(folder, listing) else 0
    by_split: dict[str, list[_Image]] = {}
    for image in listing.images:
        split = split_of(image.parts[0]) if depth and len(image.parts) > 1 else "" if depth else "train"
        by_split.setdefault(split or "", []).append(image)
    loose = by_split.pop("", [])
    tables = {}
    for name in (name for name in SPLITS if name in by_split):
        in_classes = [image for image in by_split[name] if len(image.parts) > depth + 1]
        if in_classes:
            loose += [image for image in by_split[name] if len(image.parts) <= depth + 1]
        tables[name] = _table(source, folder, in_classes or by_split[name], depth if in_classes else None)
    first = next(iter(tables))
    tables[first] = replace(tables[first], notes=_notes(folder, listing, loose, depth))
    return tables


def table_of_images(source: str, paths: Sequence[Path]) -> Table:
    """Single images, for prediction: the column `image` holds their paths."""
    data = pa.table({"image": pa.array([str(path) for path in paths], pa.string())})
    places = Places(tuple(path.name for path in paths), range(len(paths)), rows_are_files=True)
    return Table(source, data, tuple(map(str, paths)), places=places)


def _list(folder: Path) -> _Listing:
    listing = _Listing()
    for found in _walk(folder):
        if isinstance(found, _Image):
            listing.images.append(found)
        else:
            (listing.empty if found.is_empty_folder else listing.left_out).append(found.path)
    return listing


def _walk(folder: Path, inside: tuple[str, ...] = (), above: frozenset[str] = frozenset()) -> Iterator[_Image | _Other]:
    """Everything below a folder in the order of its names; a link to a folder that it lies in is not followed."""
    real = os.path.realpath(folder)
    if real in above:
        yield _Other("/".join(inside))
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}. Change its permissions.") from error
    empty = True
    for entry in entries:
        parts = (*inside, entry.name)
        path = "/".join(parts).encode(errors="backslashreplace").decode()  # no text can hold bytes that are not UTF-8
        if is_litter(entry.name) or path != "/".join(parts):
            yield _Other(path)
        elif entry.is_dir():
            for found in _walk(Path(entry.path), parts, above | {real}):
                empty = empty and not isinstance(found, _Image)
                yield found
        elif is_image_name(entry.name) and entry.is_file():  # a link whose target is gone is no file
            empty = False
            state = entry.stat()
            yield _Image(parts, state.st_size, state.st_mtime_ns)
        else:
            yield _Other(path)
    if empty and inside:
        yield _Other("/".join(inside), is_empty_folder=True)


def _splits_above(folder: Path, listing: _Listing) -> bool:
    """Whether the first level of folders are splits, not classes.

    Raises:
        DataError: Some are splits, with classes in them, and some are not.
    """
    names = dict.fromkeys(image.parts[0] for image in listing.images if len(image.parts) > 1)
    if not any(split_of(name) == "train" for name in names):
        return False
    others = [name for name in names if split_of(name) is None]
    if others and any(split_of(image.parts[0]) == "train" and len(image.parts) > 2 for image in listing.images):
        raise DataError(
            f"{folder}: {_some(others)}: to which split? Call each folder train, validation or test, or move it."
        )
    return not others


def _table(source: str, folder: Path, images: Sequence[_Image], label_depth: int | None) -> Table:
    """Images as a table; `label_depth` says which part of their paths is the label."""
    columns = {"image": pa.array([image.path for image in images], pa.string())}
    if label_depth is not None:
        columns["label"] = pa.array([image.parts[label_depth] for image in images], pa.string())
    digest = hashlib.sha256(str(label_depth).encode())
    for image in images:  # their pixels are not read for this
        digest.update(f"{image.path}\0{image.size}\0{image.changed}\n".encode())
    names = tuple(f"{folder.name}/{image.path}" for image in images)
    places = Places(names, range(len(names)), rows_are_files=True)
    return Table(source, pa.table(columns), (str(folder),), places=places, folder=folder, digest=digest.hexdigest())


def _notes(folder: Path, listing: _Listing, loose: Sequence[_Image], depth: int) -> tuple[str, ...]:
    notes = []
    if listing.left_out:
        count = f"{len(listing.left_out):,} files or folders that are no images were"
        count = "a file or folder that is no image was" if len(listing.left_out) == 1 else count
        notes.append(f"{folder}: {count} left out: {_some(listing.left_out)}.")
    if loose:
        count = "an image was" if len(loose) == 1 else f"{len(loose):,} images were"
        notes.append(f"{folder}: {count} left out, in no class folder: {_some([image.path for image in loose])}.")
    empty = [path for path in listing.empty if path.count("/") == depth]
    if empty:
        notes.append(f"{folder}: no images in {_some(empty)}, so there is no such class.")
    return tuple(notes)


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5:,} more" if len(paths) > 5 else "")
