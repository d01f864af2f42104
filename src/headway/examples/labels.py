"""Labels: their names and order, found once in the training data, stored with the model and never guessed again."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from headway.errors import DataError
from headway.examples.fields import Columns
from headway.sources.table import Table

__all__ = ["MAX_LABELS", "Labels", "find_labels", "is_labelled", "label_name", "raw_labels", "read_targets"]

MAX_LABELS = 1000
"""More different labels than this are taken for free text or numbers to be predicted, which is another task."""

_YES_NO = {"0": False, "1": True, "False": False, "True": True, "false": False, "true": True}
_MISSING = -1


@dataclass(frozen=True)
class Labels:
    """The names of the classes.

    Attributes:
        names: The names; their order is the class index.
        multi: Whether a text may have any number of them.
    """

    names: tuple[str, ...]
    multi: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, value: object, where: str) -> int | tuple[int, ...]:
        """The class index of a label as it stands in a file; for multi-label the sorted indices of a list of labels.

        Raises:
            DataError: There is no label, it is a list where one label is wanted, or the training did not have it.
        """
        if self.multi:
            if not isinstance(value, list | tuple | set | np.ndarray):
                raise DataError(f"{where}: a list of labels is wanted, not {value!r}.")
            return tuple(sorted({self._index_of(item, where) for item in value}))
        return self._index_of(value, where)

    def _index_of(self, value: object, where: str) -> int:
        name = label_name(value)
        if name is None:
            raise DataError(f"{where}: the label is empty. Fill it in, or leave such rows out with --skip-bad-rows.")
        index = self._indices.get(name)
        if index is None:
            raise DataError(f"{where}: label '{name[:80]}' was not seen in training. {self._hint(name)}")
        return index

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def _hint(self, name: str) -> str:
        folded = {other.casefold(): other for other in self.names}
        near = difflib.get_close_matches(name.casefold(), folded, 1)
        shown = ", ".join(f"'{other[:80]}'" for other in self.names[:8]) + (", …" if len(self.names) > 8 else "")
        return (f"Did you mean '{folded[near[0]]}'? " if near else "") + f"The labels are {shown}."


def label_name(value: object) -> str | None:
    """The name of a label: texts without the spaces around them, 1 and 1.0 → "1", True → "True"; None when empty."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def find_labels(table: Table, columns: Columns) -> Labels:
    """The labels of a training table.

    Numbers are sorted as numbers and texts as texts; the names of a hub data set's classes keep their order; several
    0/1 columns are labels with the columns' names, in the order given. Lists, or several columns, make it multi-label.

    Raises:
        DataError: There is no label column or no label, only one class, a list among single labels, or so many
            different labels that they cannot be classes.
    """
    if not columns.labels:
        raise DataError(f"{table.source} has no labels to learn from. Name their column with --set label_column=….")
    if len(columns.labels) > 1:
        return Labels(columns.labels, multi=True)
    name = columns.labels[0]
    counts, lists = _counted(table, name)
    names = table.class_names(name) or sorted(counts, key=_sort_key(counts))
    if not names:
        raise DataError(
            f"{table.source}: column '{name}' has no label at all. Choose another with --set label_column=…."
        )
    if label_name(name) in counts:
        raise DataError(
            f"{table.source}: the first line seems to be an example already: '{name}' in it is one of the labels. "
            "Put a header line such as text,label above it."
        )
    if len(counts) < 2 and not lists:
        raise DataError(
            f"{table.source}: all labels in column '{name}' are '{next(iter(counts), names[0])}'. "
            "To learn a difference, examples of at least two classes are needed."
        )
    return Labels(tuple(names), multi=lists)


def is_labelled(table: Table, columns: Columns) -> bool:
    """Whether any row has a label. The test splits of many data sets have none, or not even the column."""
    names = [name for name in columns.labels if name in table.column_names]
    return any(batch.given.any() for name in names for batch in _label_batches(table, name))


def raw_labels(table: Table, columns: Columns) -> Counter[object]:
    """How often each label stands in the label column, exactly as written; empty for several 0/1 columns."""
    counts: Counter[object] = Counter()
    if len(columns.labels) == 1:
        for batch in _label_batches(table, columns.labels[0]):
            counts.update(dict(zip(batch.values, np.bincount(batch.codes, minlength=len(batch.values)), strict=True)))
    return counts


def read_targets(
    table: Table, columns: Columns, labels: Labels, *, skip_bad_rows: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The class of every row.

    Returns:
        (rows,) int64 class indices, or (rows, labels) bool for multi-label; and (rows,) bool: which rows have a label.

    Raises:
        DataError: A label was not seen in training (unless bad rows are skipped), or is not of the right kind.
    """
    given = np.ones(len(table), dtype=bool)
    if not labels.multi:
        targets = np.zeros(len(table), dtype=np.int64)
        for rows, codes, batch in _encoded(table, columns.labels[0], labels, given, skip_bad_rows):
            targets[rows] = codes[batch.codes]
        return targets, given
    matrix = np.zeros((len(table), len(labels)), dtype=bool)
    if len(columns.labels) > 1:
        for name in columns.labels:
            index = labels.encode([name], f"{table.source}, column '{name}'")
            for rows, codes, batch in _encoded(table, name, None, given, skip_bad_rows):
                matrix[rows, index] = codes[batch.codes] == 1
        return matrix, given
    for rows, codes, batch in _encoded(table, columns.labels[0], labels, given, skip_bad_rows):
        known = codes[batch.codes] >= 0
        matrix[rows[known], codes[batch.codes][known]] = True
    return matrix, given


@dataclass(frozen=True, slots=True)
class _LabelBatch:
    """The labels of some thousand rows.

    Attributes:
        start: The first row's index in the table.
        values: The different labels, hub classes by name.
        codes: For each label of the batch its index in `values`.
        owners: For each label of the batch its row, counted from `start`.
        given: (rows,) bool: whether the row has a label; a list may be empty and still is one.
        lists: Whether the labels stand in lists; None when no row has a label.
    """

    start: int
    values: list[Any]
    codes: np.ndarray
    owners: np.ndarray
    given: np.ndarray
    lists: bool | None


def _label_batches(table: Table, column: str) -> Iterator[_LabelBatch]:
    classes = table.class_names(column)
    start = 0
    for rows in table.batches([column]):
        array = rows.column(column).combine_chunks()
        if column in table.mixed:
            array = _unmixed(table, column, array.to_pylist(), start)
        given = np.asarray(array.is_valid())
        owners = np.arange(len(array))
        lists = pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
        if lists:
            lengths = np.where(given, np.asarray(array.value_lengths().fill_null(0)), 0)
            owners, array = np.repeat(owners, lengths), array.flatten()
        encoded = (array if isinstance(array, pa.Array) else array.combine_chunks()).dictionary_encode()
        codes = np.asarray(encoded.indices.fill_null(_MISSING)).astype(np.int64)
        values = encoded.dictionary.to_pylist()
        if classes:
            values = [classes[value] if value is not None and value >= 0 else None for value in values]
        empty = np.array([label_name(value) is None for value in values] + [True])  # the last is for code −1
        if not lists:
            given[owners[empty[codes]]] = False
        kept = ~empty[codes]
        yield _LabelBatch(start, values, codes[kept], owners[kept], given, lists if given.any() else None)
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


def _encoded(
    table: Table, column: str, labels: Labels | None, given: np.ndarray, skip_bad_rows: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, _LabelBatch]]:
    """For each batch: the row of each label, the class of each different label (−1 unknown), and the batch.

    Without `labels` the column is one of several 0/1 columns. Rows without a usable label are marked in `given`.
    """
    for batch in _label_batches(table, column):
        codes = np.full(len(batch.values), _MISSING, dtype=np.int64)
        for code in np.unique(batch.codes):
            rows = batch.start + batch.owners[batch.codes == code]
            try:
                codes[code] = _class_of(batch.values[code], labels, column, table.where(int(rows[0])), batch.lists)
            except DataError:
                if not skip_bad_rows:
                    raise
                given[rows] = False
        given[batch.start : batch.start + len(batch.given)] &= batch.given
        yield batch.start + batch.owners, codes, batch


def _class_of(value: object, labels: Labels | None, column: str, where: str, lists: bool | None) -> int:
    if labels is None:
        answer = _YES_NO.get(label_name(value) or "")
        if answer is None or lists:
            raise DataError(
                f"{where}: '{value}' in column '{column}', but of several label columns each must be 0 or 1."
            )
        return int(answer)
    if bool(lists) != labels.multi:
        kinds = ("one label", "a list of labels")
        raise DataError(f"{where}: column '{column}' has {kinds[bool(lists)]}, but {kinds[labels.multi]} is wanted.")
    code = labels.encode([value] if labels.multi else value, where)
    return code[0] if isinstance(code, tuple) else code


def _counted(table: Table, column: str) -> tuple[Counter[str], bool]:
    """How often each label occurs, and whether the labels stand in lists.

    Raises:
        DataError: There are too many different ones.
    """
    counts: Counter[str] = Counter()
    lists = False
    for batch in _label_batches(table, column):
        lists = lists or bool(batch.lists)
        for value, count in zip(batch.values, np.bincount(batch.codes, minlength=len(batch.values)), strict=True):
            if count:
                counts[str(label_name(value))] += int(count)
        if len(counts) > MAX_LABELS:
            break
    total = counts.total()
    if len(counts) > MAX_LABELS or (total >= 20 and 2 * len(counts) > total and not table.class_names(column)):
        many = f"more than {MAX_LABELS:,}" if len(counts) > MAX_LABELS else f"{len(counts):,}"
        raise DataError(
            f"{table.source}: column '{column}' has {many} different values in {total:,} rows, such as "
            f"'{str(next(iter(counts)))[:40]}'. Those are texts or measurements, not classes. "
            "Choose another column with --set label_column=…, or group the values into classes."
        )
    return counts, lists


def _sort_key(names: Iterable[str]) -> Any:
    """Whole numbers are sorted as numbers, everything else as text."""
    numbers = all(name.lstrip("+-").isdecimal() for name in names)
    return int if numbers else str
