"""Examples: the rows of a table as the fields of a task, fetched from disk when they are needed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.errors import DataError
from headway.examples.fields import Columns, Field
from headway.examples.labels import Labels, RawLabels, read_labels
from headway.examples.row_keys import RowKeys, read_keys
from headway.examples.values import read_images, read_references, read_texts
from headway.sources.bad_rows import BadRows
from headway.sources.table import Table

__all__ = ["Example", "Examples", "LeftOut", "make_examples"]

_CHUNK = 1000

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Example:
    """What one row gives the model, and what it should answer.

    Attributes:
        values: By field: a text; an image (a path, bytes, or a PIL image); a class index, or for multi-label a sorted
            tuple of them; a tuple of texts where a field has several. A field without a value is missing.
        row: Its row in `table`.
        table: Where it comes from; none for what was made by hand.
    """

    values: Mapping[str, Any]
    row: int = 0
    table: Table | None = field(default=None, compare=False, repr=False)

    def __getitem__(self, name: str) -> Any:
        """The value of a field."""
        return self.values[name]

    def get(self, name: str) -> Any:
        """The value of a field, or None."""
        return self.values.get(name)

    @property
    def where(self) -> str:
        """'reviews.csv, row 17 (line 18)', formatted only when somebody asks."""
        return f"row {self.row + 1}" if self.table is None else self.table.where(self.row)

    def with_values(self, **values: Any) -> "Example":
        """The same example with other values: a part of a long text, say."""
        return replace(self, values={**self.values, **values})


@dataclass(frozen=True)
class LeftOut:
    """Rows of a table that became no examples: indices of those without input or a usable label; damaged files."""

    empty_inputs: IntArray
    empty_labels: IntArray
    damaged: BadRows = field(default_factory=BadRows)


class Examples:
    """A sequence of examples that stays on disk; a row is read when it is fetched.

    Attributes:
        table: Where the rows are.
        fields: The fields of the task.
        columns: Which columns hold them.
        rows: The examples' rows in the table. *Shape:* (examples,)
        left_out: The rows of the table that became no examples.
        reader: What the task reads inputs with that lie outside the table, such as images; it goes with the rows.
    """

    def __init__(
        self,
        table: Table,
        fields: Sequence[Field],
        columns: Columns,
        *,
        rows: IntArray | None = None,
        left_out: LeftOut | None = None,
        labels: Labels | None = None,
        codes: NDArray[Any] | None = None,
        keys: RowKeys | None = None,
        raw_labels: RawLabels | None = None,
        reader: Any = None,
    ) -> None:
        nothing = np.zeros(0, dtype=np.int64)
        self.table, self.fields, self.columns = table, tuple(fields), columns
        self.rows = np.arange(len(table)) if rows is None else np.asarray(rows, dtype=np.int64)
        self.left_out = left_out or LeftOut(nothing, nothing)
        self._labels, self._codes, self._keys, self._raw_labels = labels, codes, keys, raw_labels
        self.reader = reader

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Example]:
        for chunk in self.chunks(_CHUNK):
            yield from chunk

    def chunks(self, size: int) -> Iterator[list[Example]]:
        """All examples in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.fetch(np.arange(start, min(start + size, len(self))))

    def fetch(self, positions: Sequence[int] | IntArray | range, role: str | None = None) -> list[Example]:
        """The examples at `positions`, in that order, read from disk; with a `role`, only those of their fields."""
        rows = self.rows[np.asarray(positions, dtype=np.int64)]
        if len(rows) == 0:
            return []
        wanted = [one for one in self.fields if role in (None, one.role)]
        by_field = {one.name: values for one in wanted if (values := self._values(one, rows)) is not None}
        return [
            Example(
                {name: values[index] for name, values in by_field.items() if values[index] is not None},
                int(row),
                self.table,
            )
            for index, row in enumerate(rows)
        ]

    def select(self, positions: IntArray) -> "Examples":
        """The examples at `positions`, in that order; nothing is copied but their numbers."""
        return self._with(rows=self.rows[np.asarray(positions, dtype=np.int64)])

    def without(self, rows: NDArray[np.bool_], empty_labels: IntArray) -> "Examples":
        """The examples whose rows are not marked; `empty_labels` are remembered as left out for want of a label."""
        left_out = replace(self.left_out, empty_labels=empty_labels)
        return self._with(rows=self.rows[~rows[self.rows]], left_out=left_out)

    def undamaged(self, reader: Any, damaged: NDArray[np.bool_], listed: BadRows) -> "Examples":
        """The examples that `reader` can read: those not marked as damaged. *Shape of `damaged`:* (examples,)."""
        return self._with(rows=self.rows[~damaged], left_out=replace(self.left_out, damaged=listed), reader=reader)

    def labelled(self, labels: Labels, *, skip_bad_rows: bool = False) -> "Examples":
        """The examples with classes; rows without a label are an error, or left out when bad rows are skipped.

        Raises:
            DataError: A label is empty or was not seen in training.
        """
        codes, given = labels.encode(self.raw_labels, self.table.where, skip_bad_rows=skip_bad_rows)
        missing = self.rows[~given[self.rows]]
        if len(missing) and not skip_bad_rows:
            raise _empty_target(self.table, missing, "the label")
        encoded = self._with(labels=labels, codes=codes)
        left = encoded.without(~given, missing)
        if not len(left):
            raise DataError(f"{self.table.source}: none of the {len(self.table):,} rows has both an input and a label.")
        return left

    def with_texts(self, one: Field, *, skip_bad_rows: bool = False) -> "Examples":
        """The examples that have a text to answer with; the others are an error, or left out when bad rows are skipped.

        Raises:
            DataError: A row has none, or the table has no such column.
        """
        columns = self.columns[one.name]
        if not columns:
            raise DataError(f"{self.table.source} has no {one.name}. Name their column with --set {one.setting}=….")
        missing = np.zeros(len(self.table), dtype=bool)
        for start in range(0, len(self), _CHUNK):
            rows = self.rows[start : start + _CHUNK]
            missing[rows] = [not texts for texts in read_references(self.table, columns, rows)]
        empty = self.rows[missing[self.rows]]
        if len(empty) and not skip_bad_rows:
            raise _empty_target(self.table, empty, ", ".join(f"'{name}'" for name in columns))
        left = self.without(missing, empty)
        if not len(left):
            raise DataError(f"{self.table.source}: no row has both an input and {one.name}.")
        return left

    @property
    def labels(self) -> Labels:
        """The names of the classes of `labelled` examples."""
        assert self._labels is not None, "these examples have no classes yet"
        return self._labels

    def targets(self) -> NDArray[Any]:
        """Class indices, (examples,) int64; or for multi-label 0 and 1, (examples, labels) float32."""
        assert self._codes is not None, "these examples have no classes yet"
        codes = self._codes[self.rows]
        return codes.astype(np.float32) if codes.ndim == 2 else codes

    def counts(self) -> IntArray:
        """How many examples each label has. *Shape:* (labels,)."""
        targets = self.targets()
        if targets.ndim == 2:
            return targets.sum(axis=0).astype(np.int64)
        return np.bincount(targets, minlength=len(self.labels))

    @property
    def raw_labels(self) -> RawLabels:
        """The labels of the whole table, as written."""
        if self._raw_labels is None:
            column = next(field for field in self.fields if field.kind == "label")
            if not self.columns[column.name]:
                raise DataError(f"{self.table.source} has no labels. Name their column with --set {column.setting}=….")
            self._raw_labels = read_labels(self.table, self.columns[column.name])
        return self._raw_labels

    @cached_property
    def keys(self) -> RowKeys:
        """What tells equal inputs without keeping them: for finding those that are the same."""
        if self._keys is None:
            self._keys = read_keys(self.table, self.fields, self.columns)
        return self._keys.select(self.rows)

    def texts(self) -> Iterator[str]:
        """The input texts of all examples, those of one example joined."""
        names = [one.name for one in self.fields if one.kind == "text" and one.role == "input"]
        for example in self:
            yield joined(example, names)

    def _values(self, one: Field, rows: IntArray) -> Sequence[Any] | None:
        """The values of a field in some rows of the table; None where no column holds it."""
        columns = self.columns[one.name]
        if one.kind == "label":
            return None if self._codes is None else _classes(self._codes[rows])
        if not columns:
            return None
        if one.kind == "image":
            return read_images(self.table, columns[0], rows)
        return read_references(self.table, columns, rows) if one.many else read_texts(self.table, columns[0], rows)

    def _with(self, **changes: Any) -> "Examples":
        kept: dict[str, Any] = {
            "rows": self.rows,
            "left_out": self.left_out,
            "labels": self._labels,
            "codes": self._codes,
            "keys": self._keys,
            "raw_labels": self._raw_labels,
            "reader": self.reader,
        }
        return Examples(self.table, self.fields, self.columns, **(kept | changes))


def joined(example: Example, names: Sequence[str]) -> str:
    """The texts of an example in one line, as messages and baselines read them."""
    return " ‖ ".join(example[name] for name in names if example.get(name) is not None)


def make_examples(table: Table, fields: Sequence[Field], columns: Columns) -> Examples:
    """The rows of a table that have an input; the others are left out and remembered in `Examples.left_out`.

    Raises:
        DataError: No row has an input, or a value is of the wrong kind.
    """
    whole = Examples(table, fields, columns)
    blank = whole.keys.blank
    if blank.all():
        raise DataError(f"{table.source}: none of the {len(table):,} rows has an input. Check the file.")
    nothing = np.zeros(0, dtype=np.int64)
    return Examples(
        table,
        fields,
        columns,
        rows=np.flatnonzero(~blank),
        left_out=LeftOut(np.flatnonzero(blank), nothing),
        keys=whole._keys,
    )


def _classes(codes: NDArray[Any]) -> list[int | tuple[int, ...]]:
    if codes.ndim == 2:
        return [tuple(np.flatnonzero(row).tolist()) for row in codes]
    answer: list[int | tuple[int, ...]] = codes.tolist()
    return answer


def _empty_target(table: Table, missing: IntArray, what: str) -> DataError:
    more = f" (and in {len(missing) - 1:,} more rows)" if len(missing) > 1 else ""
    return DataError(
        f"{table.where(int(missing[0]))}: {what} is empty{more}. "
        "Fill it in, or leave such rows out with --skip-bad-rows."
    )
