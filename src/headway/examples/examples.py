"""Examples: the rows of a table as texts and classes, fetched from disk when they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headway.errors import DataError
from headway.examples.fields import Columns
from headway.examples.labels import Labels, read_targets
from headway.examples.text_keys import TextKeys, as_texts, read_keys
from headway.sources.table import Table

__all__ = ["Example", "Examples", "LeftOut", "make_examples"]

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Example:
    """One text, or pair of texts, and its class.

    Attributes:
        text: The text.
        text_pair: The second text of a pair.
        label: An index into `Labels.names`; for multi-label a sorted tuple of them; None when unlabelled.
        where: 'reviews.csv, row 17 (line 18)'.
    """

    text: str
    text_pair: str | None = None
    label: int | tuple[int, ...] | None = None
    where: str = ""


@dataclass(frozen=True)
class LeftOut:
    """Rows of a table (indices) that became no examples: those without any text, and those without a usable label."""

    empty_texts: np.ndarray
    empty_labels: np.ndarray


class Examples:
    """A sequence of examples that stays on disk; a row is read when it is fetched.

    Attributes:
        table: Where the rows are.
        columns: Which columns hold the texts and labels.
        labels: The names of the classes; None when unlabelled.
        indices: (examples,) int64, the examples' rows in the table.
        left_out: The rows of the table that became no examples.
    """

    def __init__(
        self, table: Table, columns: Columns, labels: Labels | None = None, indices: np.ndarray | None = None
    ) -> None:
        self.table = table
        self.columns = columns
        self.labels = labels
        self.indices = np.arange(len(table)) if indices is None else np.asarray(indices, dtype=np.int64)
        nothing = np.zeros(0, dtype=np.int64)
        self.left_out = LeftOut(nothing, nothing)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Example]:
        for start in range(0, len(self), _CHUNK):
            yield from self.fetch(np.arange(start, min(start + _CHUNK, len(self))))

    def fetch(self, positions: Sequence[int] | np.ndarray) -> list[Example]:
        """The examples at `positions`, in that order, read from disk."""
        positions = np.asarray(positions, dtype=np.int64)
        if len(positions) == 0:
            return []
        rows = self.indices[positions]
        read = self.table.take(rows, self.columns.texts)
        texts = [as_texts(read.column(name), self.table, name, 0).to_pylist() for name in self.columns.texts]
        labels = self._labels_at(positions)
        pairs = texts[1] if len(texts) > 1 else [None] * len(rows)
        return [
            Example(text, pair, label, self.table.where(int(row)))
            for text, pair, label, row in zip(texts[0], pairs, labels, rows, strict=True)
        ]

    def targets(self) -> np.ndarray:
        """(examples,) int64 class indices, or (examples, labels) float32 of 0 and 1 for multi-label.

        Raises:
            DataError: The examples have no labels, or one that the training did not have.
        """
        return self._classes.astype(np.float32) if self._classes.ndim == 2 else self._classes

    def counts(self) -> np.ndarray:
        """(labels,) int64: how many examples each label has."""
        if self._classes.ndim == 2:
            return self._classes.sum(axis=0, dtype=np.int64)
        return np.bincount(self._classes, minlength=len(self.labels or ()))

    def select(self, positions: np.ndarray) -> "Examples":
        """The examples at `positions`, in that order; nothing is copied but their numbers."""
        positions = np.asarray(positions, dtype=np.int64)
        chosen = Examples(self.table, self.columns, self.labels, self.indices[positions])
        chosen.left_out = self.left_out
        for name in ("_classes", "keys"):
            if name in self.__dict__:
                value = self.__dict__[name]
                chosen.__dict__[name] = value.select(positions) if isinstance(value, TextKeys) else value[positions]
        return chosen

    @cached_property
    def keys(self) -> TextKeys:
        """What is known of each example's text without keeping it: for finding those that are the same."""
        return read_keys(self.table, self.columns).select(self.indices)

    @cached_property
    def _classes(self) -> np.ndarray:
        """(examples,) int64, or (examples, labels) bool for multi-label."""
        if self.labels is None:
            raise DataError(f"{self.table.source} has no labels. Name their column with --set label_column=….")
        targets, given = read_targets(self.table, self.columns, self.labels)
        missing = self.indices[~given[self.indices]]
        if len(missing):
            raise _empty_label(self.table, missing)
        return targets[self.indices]

    def _labels_at(self, positions: np.ndarray) -> Sequence[int | tuple[int, ...] | None]:
        if self.labels is None:
            return [None] * len(positions)
        classes = self._classes[positions]
        if classes.ndim == 2:
            return [tuple(np.flatnonzero(row).tolist()) for row in classes]
        answer: list[int] = classes.tolist()
        return answer


def make_examples(table: Table, columns: Columns, labels: Labels | None, *, skip_bad_rows: bool = False) -> Examples:
    """The usable rows of a table as examples: those that have a text and, if `labels` are given, a label.

    Rows without any text are left out and remembered in `Examples.left_out`; rows without a label are an error, unless
    bad rows are to be skipped.

    Raises:
        DataError: A label is empty or was not seen in training, or no row is usable.
    """
    whole = Examples(table, columns, labels)
    usable = ~whole.keys.blank
    missing = np.zeros(0, dtype=np.int64)
    if labels is not None:
        targets, given = read_targets(table, columns, labels, skip_bad_rows=skip_bad_rows)
        missing = np.flatnonzero(usable & ~given)
        if len(missing) and not skip_bad_rows:
            raise _empty_label(table, missing)
        whole.__dict__["_classes"] = targets
        usable &= given
    if not usable.any():
        raise DataError(f"{table.source}: none of the {len(table):,} rows has both a text and a label.")
    whole.left_out = LeftOut(np.flatnonzero(whole.keys.blank), missing)
    return whole.select(np.flatnonzero(usable))


def _empty_label(table: Table, missing: np.ndarray) -> DataError:
    more = f" (and in {len(missing) - 1:,} more rows)" if len(missing) > 1 else ""
    return DataError(
        f"{table.where(int(missing[0]))}: the label is empty{more}. "
        "Fill it in, or leave such rows out with --skip-bad-rows."
    )
