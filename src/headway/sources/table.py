"""A table of rows over Arrow: memory-mapped from the cache, so that its size is the disk's business, or in memory."""

import bisect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headway.sources.bad_rows import BadRows, place
from headway.sources.digest import ContentDigest

__all__ = ["Places", "Table"]

_DIGEST_ROWS = 4096
_DIGEST_BYTES = 1 << 25
"""A table in memory is digested in pieces of so many rows and, about, bytes."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where each row of a table came from; the words are put together only when somebody asks.

    Attributes:
        names: What the files are called in messages.
        starts: For each file the index of its first row.
        numbers: (rows, 2): the row's number within its file, counted from 1, and its line (0 where there are no lines).
            None when rows are simply counted from 1.
        offset: The index of the table's first row, for a table that is a part of what this describes.
        rows_are_files: Each row is a file of its own, so that its name says all.
    """

    names: Sequence[str]
    starts: Sequence[int] = (0,)
    numbers: np.ndarray | None = None
    offset: int = 0
    rows_are_files: bool = False

    def number(self, index: int) -> int:
        """The number of row `index` within its file, counted from 1, with those that were skipped."""
        index += self.offset
        if self.rows_are_files:
            return index + 1
        if self.numbers is not None:
            return int(self.numbers[index, 0])
        return index - self.starts[bisect.bisect_right(self.starts, index) - 1] + 1

    def where(self, index: int) -> str:
        """'reviews.csv, row 17 (line 18)'."""
        index += self.offset
        file = bisect.bisect_right(self.starts, index) - 1
        if self.rows_are_files:
            return self.names[file]
        if self.numbers is None:
            return place(self.names[file], index - self.starts[file] + 1, 0)
        number, line = self.numbers[index]
        return place(self.names[file], int(number), int(line))


@dataclass(frozen=True)
class Table:
    """The rows of one split.

    Attributes:
        source: What the user asked for ("reviews.csv", "hub:imdb", "DataFrame").
        data: The rows, a `pyarrow.Table`.
        files: The files that they were read from.
        bad_rows: What was skipped on the way.
        places: Where each row came from.
        mixed: Columns whose values have different types and are therefore kept as JSON; `values` gives them back.
        folder: What relative paths of images in this table are relative to; None: the working directory.
        notes: What else the user should know of the reading: files left out, classes without an image.
        digest: The fingerprint, where it is known already.
    """

    source: str
    data: Any = field(repr=False)
    files: tuple[str, ...] = ()
    bad_rows: BadRows = field(default=BadRows())
    places: Places = field(default=Places(("",)), repr=False)
    mixed: frozenset[str] = frozenset()
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    digest: str = field(default="", repr=False)

    def __len__(self) -> int:
        return int(self.data.num_rows)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(self.data.column_names)

    def where(self, index: int) -> str:
        """What row `index` (counted from 0) is called in messages: 'reviews.csv, row 17 (line 18)'."""
        return self.places.where(index)

    def number(self, index: int) -> int:
        """The number of row `index` within its file, counted from 1; rows that were skipped have one, too."""
        return self.places.number(index)

    def class_names(self, column: str) -> list[str] | None:
        """The names that a data set of the hub brings along for a column of class indices, or of lists of them."""
        kind = self.data.schema.field(column).type
        if _is_list(kind):
            kind = kind.value_type
        metadata = (self.data.schema.metadata or {}).get(b"huggingface")
        if metadata is None or column in self.mixed or not pa.types.is_integer(kind):
            return None
        try:
            feature = json.loads(metadata)["info"]["features"][column]
        except (ValueError, KeyError, TypeError):
            return None
        return _names_of(feature)

    def batches(self, columns: Sequence[str], size: int = 4096) -> Iterator[Any]:
        """The given columns of all rows in order, as pyarrow tables of at most `size` rows."""
        data = self.data.select(list(columns))
        for start in range(0, len(self), size):
            yield data.slice(start, size)

    def take(self, indices: Sequence[int] | np.ndarray, columns: Sequence[str]) -> Any:
        """The rows at `indices`, in that order, as a pyarrow table; only these rows are read from disk.

        Raises:
            IndexError: There is no such row.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"{self.source} has {len(self)} rows; asked for {rows.min()} to {rows.max()}")
        data = self.data.select(list(columns))
        if not len(rows):
            return data.schema.empty_table()
        order = np.argsort(rows, kind="stable")
        batches, starts = self._batches
        ordered = rows[order]
        batch_of = np.searchsorted(starts, ordered, side="right") - 1
        used, begins = np.unique(batch_of, return_index=True)
        pieces = [
            batches[number].select(data.column_names).take(pa.array(piece - starts[number]))
            for number, piece in zip(used, np.split(ordered, begins[1:]), strict=True)
        ]
        taken = pa.Table.from_batches(pieces, data.schema)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return taken.take(pa.array(back))

    def values(self, column: str, indices: Sequence[int] | np.ndarray) -> list[Any]:
        """The values of one column at `indices`, as they stood in the file."""
        return self.decoded(column, self.take(indices, [column]).column(0).to_pylist())

    def decoded(self, column: str, values: Sequence[Any]) -> list[Any]:
        """Values that were read from `data` as they stood in the file."""
        if column in self.mixed:
            return [value if value is None else json.loads(value) for value in values]
        return list(values)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows in order, each as a dict from column to value as it stood in the file."""
        for batch in self.batches(self.column_names):
            columns = [self.decoded(name, batch.column(name).to_pylist()) for name in self.column_names]
            for values in zip(*columns, strict=True):
                yield dict(zip(self.column_names, values, strict=True))

    def fingerprint(self) -> str:
        """A number, in hexadecimal, that changes when any value does; where and how the rows lie does not matter."""
        return self.digest or self._computed_digest

    def part(self, start: int, size: int) -> "Table":
        """`size` rows from `start` on; nothing is copied."""
        places = replace(self.places, offset=self.places.offset + start)
        return replace(self, data=self.data.slice(start, size), places=places, digest="")

    @cached_property
    def _batches(self) -> tuple[list[Any], np.ndarray]:
        """The record batches of which `data` consists, without copying, and the index of each one's first row."""
        batches = self.data.to_batches()
        sizes = np.array([batch.num_rows for batch in batches], dtype=np.int64)
        return batches, np.cumsum(sizes) - sizes

    @cached_property
    def _computed_digest(self) -> str:
        digest = ContentDigest()
        mean = self.data.nbytes // max(1, len(self))
        for rows in self.batches(self.column_names, max(1, min(_DIGEST_ROWS, _DIGEST_BYTES // max(1, mean)))):
            for batch in rows.combine_chunks().to_batches():
                digest.add(batch)
        return digest.hex()


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _names_of(feature: Any) -> list[str] | None:
    """The names of a ClassLabel as `datasets` describes it, also within lists."""
    if isinstance(feature, list) and feature:
        return _names_of(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return [str(name) for name in names] if isinstance(names, list) and names else None
    return _names_of(feature.get("feature"))
