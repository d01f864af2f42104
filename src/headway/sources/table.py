"""A table of rows on disk: memory-mapped, so its size is the disk's business and not the memory's."""

import bisect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.sources.opening import place
from headway.sources.rows import BadRows

if TYPE_CHECKING:
    import datasets

__all__ = ["Places", "Table"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where each row of a table came from.

    Attributes:
        names: What the files are called in messages.
        starts: For each file the index of its first row in the table.
        numbers: (rows, 2): the row's number within its file, counted from 1, and its line (0 where there are no lines).
            None when rows are simply counted from 1.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...] = (0,)
    numbers: np.ndarray | None = None

    def where(self, index: int) -> str:
        """'reviews.csv, row 17 (line 18)'."""
        name = self.names[bisect.bisect_right(self.starts, index) - 1]
        if self.numbers is None:
            return place(name, index + 1, 0)
        number, line = self.numbers[index]
        return place(name, int(number), int(line))


@dataclass(frozen=True)
class Table:
    """The rows of one split.

    Attributes:
        source: What the user asked for ("reviews.csv", "hub:imdb").
        rows: The rows, memory-mapped from disk.
        files: The files that they were read from.
        bad_rows: What was skipped on the way.
        places: Where each row came from.
        mixed: Columns whose values have different types and are therefore kept as JSON; `values` gives them back.
    """

    source: str
    rows: "datasets.Dataset"
    files: tuple[str, ...]
    bad_rows: BadRows = field(default=BadRows())
    places: Places = field(default=Places(("",)), repr=False)
    mixed: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(self.rows.column_names)

    def where(self, index: int) -> str:
        """What row `index` (counted from 0) is called in messages: 'reviews.csv, row 17 (line 18)'."""
        return self.places.where(index)

    def batches(self, columns: Sequence[str], size: int = 4096) -> Iterator[Any]:
        """The given columns of all rows in order, as pyarrow tables of at most `size` rows."""
        yield from self.rows.select_columns(list(columns)).with_format("arrow").iter(batch_size=size)

    def values(self, column: str, indices: Sequence[int] | np.ndarray) -> list[Any]:
        """The values of one column at `indices`, as they stood in the file."""
        values = self.rows.select_columns([column])[np.asarray(indices, dtype=np.int64)][column]
        return self.decoded(column, values)

    def decoded(self, column: str, values: Sequence[Any]) -> list[Any]:
        """Values that were read from `rows` as they stood in the file."""
        if column in self.mixed:
            return [value if value is None else json.loads(value) for value in values]
        return list(values)
