"""Labels: read once from their column, named once in the training data, stored with the model, never guessed again."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headway.errors import DataError
from headway.sources.table import Table

__all__ = ["MAX_LABELS", "Labels", "RawLabels", "label_name", "learn_labels", "read_labels"]

MAX_LABELS = 1000
"""More different labels than this are taken for free text or numbers to be predicted, which is another task."""

_YES_NO = {"0": False, "1": True, "False": False, "True": True, "false": False, "true": True}

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def label_name(value: object) -> str | None:
    """The name of a label: texts without surrounding spaces, 1 and 1.0 → "1", True → "True"; None when empty."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


@dataclass(frozen=True)
class RawLabels:
    """The labels of all rows of a table as they are written, before anyone says which names count.

    Attributes:
        source: What the table is called.
        column: The label column, or all label columns joined by commas.
        values: The different labels, as written.
        codes: For each label its index in `values`. *Shape:* (labels,)
        owners: For each label its row. *Shape:* (labels,)
        given: Whether the row has a label; a list may be empty and still is one. *Shape:* (rows,)
        lists: Whether a row may have several labels.
        ordered_names: Names that come with the data, in their order: a hub data set's classes, or 0/1 columns.
    """

    source: str
    column: str
    values: tuple[object, ...]
    codes: IntArray
    owners: IntArray
    given: BoolArray
    lists: bool
    ordered_names: tuple[str, ...] | None = None

    @cached_property
    def names(self) -> list[str | None]:
        """The name of each of `values`."""
        return [label_name(value) for value in self.values]

    @cached_property
    def counts(self) -> IntArray:
        """How often each of `values` occurs. *Shape:* (values,)."""
        return np.bincount(self.codes, minlength=len(self.values))

    def any(self) -> bool:
        """Whether any row has a label."""
        return bool(self.given.any())


@dataclass(frozen=True)
class Labels:
    """The names of the classes.

    Attributes:
        names: The names; their order is the class index.
        multi: Whether an example may have any number of them.
    """

    names: tuple[str, ...]
    multi: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, raw: RawLabels, where: Any, *, skip_bad_rows: bool = False) -> tuple[NDArray[Any], BoolArray]:
        """The class of every row.

        Args:
            raw: The labels as read.
            where: What a row is called, by its index.
            skip_bad_rows: Mark rows with unknown labels as unlabelled instead of failing.

        Returns:
            (rows,) int64 class indices, or (rows, labels) bool for multi-label; and (rows,) which rows have a label.

        Raises:
            DataError: A label was not seen in training, or single labels stand where lists are wanted, or vice versa.
        """
        given = raw.given.copy()
        if raw.any() and raw.lists != self.multi:
            kinds = ("one label", "a list of labels")
            row = where(int(np.flatnonzero(given)[0]))
            raise DataError(f"{row}: column '{raw.column}' has {kinds[raw.lists]}; expected {kinds[self.multi]}.")
        index_of = {name: index for index, name in enumerate(self.names)}
        classes = np.array([index_of.get(name or "", -1) for name in raw.names], dtype=np.int64)
        codes = classes[raw.codes] if len(classes) else raw.codes
        unknown = np.flatnonzero(codes < 0)
        if len(unknown) and not skip_bad_rows:
            first = int(unknown[0])
            name = str(raw.names[raw.codes[first]])
            raise DataError(
                f"{where(int(raw.owners[first]))}: label '{name[:80]}' was not seen in training. {self._hint(name)}"
            )
        given[raw.owners[unknown]] = False
        known = codes >= 0
        if self.multi:
            matrix = np.zeros((len(given), len(self)), dtype=bool)
            matrix[raw.owners[known], codes[known]] = True
            return matrix, given
        targets = np.zeros(len(given), dtype=np.int64)
        targets[raw.owners[known]] = codes[known]
        return targets, given

    def _hint(self, name: str) -> str:
        folded = {other.casefold(): other for other in self.names}
        near = difflib.get_close_matches(name.casefold(), folded, 1)
        shown = ", ".join(f"'{other[:80]}'" for other in self.names[:8]) + (", …" if len(self.names) > 8 else "")
        return (f"Did you mean '{folded[near[0]]}'? " if near else "") + f"The labels are {shown}."


def learn_labels(raw: RawLabels, used: BoolArray | None = None) -> Labels:
    """The names of the labels in the training data, and their order.

    Numbers are sorted as numbers and texts as texts; the names of a hub data set's classes and several 0/1 columns keep
    their order.

    Args:
        raw: The labels of the training table.
        used: Which rows count; all when not given. *Shape:* (rows,)

    Raises:
        DataError: There is no label, only one class, or so many different labels that they cannot be classes.
    """
    codes = raw.codes if used is None else raw.codes[used[raw.owners]]
    counts: Counter[str] = Counter()
    for value, count in zip(raw.names, np.bincount(codes, minlength=len(raw.values)), strict=True):
        if count:
            counts[str(value)] += int(count)
    _check_variety(raw, counts)
    names = raw.ordered_names or tuple(sorted(counts, key=_sort_key(counts)))
    return Labels(names, multi=raw.lists)


def _check_variety(raw: RawLabels, counts: Counter[str]) -> None:
    if not counts and not raw.ordered_names:
        raise DataError(f"{raw.source}: column '{raw.column}' has no labels. Choose another with --set label_column=….")
    if label_name(raw.column) in counts:
        raise DataError(
            f"{raw.source}: the first line seems to be an example already: '{raw.column}' in it is one of the labels. "
            "Put a header line such as text,label above it."
        )
    if len(counts) < 2 and not raw.lists:
        raise DataError(
            f"{raw.source}: all labels in column '{raw.column}' are '{next(iter(counts), '')}'. "
            "To learn a difference, examples of at least two classes are needed."
        )
    total = counts.total()
    too_many = len(counts) > MAX_LABELS or (total >= 20 and 2 * len(counts) > total)
    if too_many and not raw.ordered_names:
        raise DataError(
            f"{raw.source}: column '{raw.column}' has {len(counts):,} different values in {total:,} rows, such as "
            f"'{next(iter(counts))[:40]}'. Those are texts or measurements, not classes. "
            "Choose another column with --set label_column=…, or group the values into classes."
        )


def _sort_key(names: Counter[str]) -> Any:
    """Whole numbers are sorted as numbers, everything else as text."""
    numbers = all(name.lstrip("+-").isdecimal() for name in names)
    return int if numbers else str


def read_labels(table: Table, columns: Sequence[str], *, skip_bad_rows: bool = False) -> RawLabels:
    """Read the labels of a table, in one pass over their column.

    Args:
        table: The rows.
        columns: The label column, or several columns of 0 and 1, each a label.
        skip_bad_rows: Mark rows whose 0/1 columns hold something else as unlabelled instead of failing.

    Raises:
        DataError: The values are no labels.
    """
    if len(columns) > 1:
        return _read_indicators(table, columns, skip_bad_rows)
    [column] = columns
    index_of: dict[object, int] = {}
    codes, owners, given, lists = list[IntArray](), list[IntArray](), list[BoolArray](), None
    start = 0
    for batch in _batches(table, column):
        places = np.array([index_of.setdefault(_key(value), len(index_of)) for value in batch.values], dtype=np.int64)
        codes.append(places[batch.codes] if len(places) else batch.codes)
        owners.append(start + batch.owners)
        given.append(batch.given)
        lists = batch.lists if lists is None else lists
        start += len(batch.given)
    classes = table.class_names(column)
    return RawLabels(
        table.source,
        column,
        tuple(key[1] for key in index_of),  # type: ignore[index]
        np.concatenate(codes) if codes else np.zeros(0, dtype=np.int64),
        np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64),
        np.concatenate(given) if given else np.zeros(0, dtype=bool),
        bool(lists),
        tuple(classes) if classes else None,
    )


def _key(value: object) -> tuple[type, object]:
    """What tells values apart: 1 and True are equal in Python, and not the same label."""
    return type(value), value


def _read_indicators(table: Table, columns: Sequence[str], skip_bad_rows: bool) -> RawLabels:
    given = np.ones(len(table), dtype=bool)
    codes, owners = list[IntArray](), list[IntArray]()
    for index, column in enumerate(columns):
        raw = read_labels(table, [column])
        values = [_YES_NO.get(name or "") for name in raw.names]
        odd = np.array([value is None for value in values], dtype=bool)
        bad = np.flatnonzero(odd[raw.codes]) if len(values) else np.zeros(0, dtype=np.int64)
        if (len(bad) or raw.lists) and not skip_bad_rows:
            row = int(raw.owners[bad[0]]) if len(bad) else 0
            value = raw.values[raw.codes[bad[0]]] if len(bad) else "a list"
            raise DataError(
                f"{table.where(row)}: '{value}' in column '{column}', but of several label columns each must be 0 or 1."
            )
        given &= raw.given
        given[raw.owners[bad]] = False
        positive = np.array([value is True for value in values], dtype=bool)
        rows = raw.owners[positive[raw.codes]] if len(values) else raw.owners
        owners.append(rows)
        codes.append(np.full(len(rows), index, dtype=np.int64))
    names = tuple(columns)
    order = np.argsort(np.concatenate(owners), kind="stable")
    return RawLabels(
        table.source,
        ",".join(columns),
        names,
        np.concatenate(codes)[order],
        np.concatenate(owners)[order],
        given,
        lists=True,
        ordered_names=names,
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """The labels of some thousand rows.

    Different values, their codes and rows, which rows have one, and whether they are lists (None without any label).
    """

    values: list[Any]
    codes: IntArray
    owners: IntArray
    given: BoolArray
    lists: bool | None


def _batches(table: Table, column: str) -> Iterator[_Batch]:
    classes = table.class_names(column)
    start = 0
    for rows in table.batches([column]):
        array = rows.column(column)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        if column in table.mixed:
            array = _unmixed(table, column, array.to_pylist(), start)
        given = np.array(array.is_valid())
        owners = np.arange(len(array))
        lists = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
        if lists:
            lengths = np.where(given, np.asarray(array.value_lengths().fill_null(0)), 0)
            owners, array = np.repeat(owners, lengths), array.flatten()
        encoded = (array if isinstance(array, pa.Array) else array.combine_chunks()).dictionary_encode()
        codes = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)
        values = encoded.dictionary.to_pylist()
        if classes:
            values = [classes[value] if value is not None and value >= 0 else None for value in values]
        empty = np.array([label_name(value) is None for value in values] + [True])  # the last is for code −1
        if not lists:
            given[owners[empty[codes]]] = False
        kept = ~empty[codes]
        yield _Batch(values, codes[kept], owners[kept], given, lists if given.any() else None)
        start += len(given)


def _unmixed(table: Table, column: str, texts: list[Any], start: int) -> Any:
    """Labels of different types as texts, or as lists of texts."""
    values = table.decoded(column, texts)
    lists = [isinstance(value, list) for value in values if value is not None]
    for index, value in enumerate(values):
        flat = value if isinstance(value, list) else [value]
        if any(isinstance(item, list | dict) for item in flat):
            raise DataError(
                f"{table.where(start + index)}: the label {str(value)[:80]} is neither a label nor a list of them."
            )
        if value is not None and isinstance(value, list) != lists[0]:
            raise DataError(
                f"{table.where(start + index)}: column '{column}' mixes single labels and lists of labels. "
                "Write all of them as lists, or none."
            )
    if any(lists):
        named = [None if value is None else [label_name(item) for item in value] for value in values]
        return pa.array(named, pa.list_(pa.string()))
    return pa.array([label_name(value) for value in values], pa.string())
