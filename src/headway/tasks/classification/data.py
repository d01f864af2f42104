"""From files to split, checked examples."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headway.batching.text_encoder import TextEncoder
from headway.errors import DataError
from headway.examples.checks.label_checks import Finding, check
from headway.examples.examples import Example, Examples, make_examples
from headway.examples.fields import Columns, find_columns
from headway.examples.labels import Labels, find_labels, is_labelled
from headway.examples.splits import Splits, make_splits
from headway.settings import Settings
from headway.sources.readers import read
from headway.sources.table import Table

__all__ = ["ClassificationData", "read_classification_data", "read_labelled"]

MAX_HELD_OUT_ROWS = 10_000
"""Held-out rows beyond this make no interval narrower that anyone would notice, and cost time at every validation."""


@dataclass(frozen=True)
class ClassificationData:
    """Everything a classifier is trained and measured on."""

    splits: Splits
    columns: Columns
    labels: Labels
    sources: dict[str, str]
    """What the user wrote, by split."""

    def findings(self, encoder: TextEncoder) -> tuple[Finding, ...]:
        """What the checks say, with the tokenizer's view of lengths and unknown words."""

        def lengths_of(examples: Sequence[Example]) -> list[tuple[int, int]]:
            return [(sequence.full_length, sequence.num_unknown) for sequence in encoder.encode(examples)]

        return check(self.splits, lengths_of, encoder.max_length)

    def fingerprint(self) -> str:
        """A number that changes when the rows, their labels or their split do."""
        digest = hashlib.sha256(repr((self.columns, self.labels)).encode())
        for examples in (self.splits.train, self.splits.validation, self.splits.test):
            digest.update(np.ascontiguousarray(examples.indices).tobytes())
            digest.update(np.ascontiguousarray(examples.targets()).tobytes())
            for file in examples.table.files:
                digest.update(str(Path(file).stat().st_size if Path(file).is_file() else 0).encode())
        return digest.hexdigest()


def read_classification_data(
    data: str, validation: str | None, test: str | None, settings: Settings
) -> ClassificationData:
    """Read, find columns and labels, and split.

    Raises:
        DataError: A file cannot be used; the message says which, where and what to do.
    """
    tables = read(data, skip_bad_rows=settings.skip_bad_rows)
    sources = dict.fromkeys(tables, data)
    for split, source in (("validation", validation), ("test", test)):
        if source is not None:
            tables[split] = _only_table(source, split, settings.skip_bad_rows)
            sources[split] = source
    if "train" not in tables:
        raise DataError(f"{data}: there is no training split, only {', '.join(tables)}.")
    columns = find_columns(
        tables["train"],
        text=settings.text_column,
        text_pair=settings.text_pair_column,
        label=settings.label_column,
    )
    labels = find_labels(tables["train"], columns)
    examples = {
        split: make_examples(table, _same_columns(table, columns), labels, skip_bad_rows=settings.skip_bad_rows)
        for split, table in tables.items()
        if sources[split] != data or is_labelled(table, columns)  # hub data sets often hide the labels of the test rows
    }
    share_cap = MAX_HELD_OUT_ROWS / len(examples["train"])
    splits = make_splits(
        examples["train"],
        examples.get("validation"),
        examples.get("test"),
        validation_fraction=min(settings.validation_fraction, share_cap),
        test_fraction=min(settings.test_fraction, share_cap),
        seed=settings.seed,
    )
    unlabelled = [split for split in tables if split not in examples]
    if unlabelled:
        told = f" The {' and '.join(unlabelled)} rows of {data} have no labels and were left aside."
        splits = replace(splits, description=splits.description + told)
    return ClassificationData(splits, columns, labels, sources)


def read_labelled(source: str, columns: Columns | None, labels: Labels, settings: Settings) -> Examples:
    """Read labelled rows to measure a model on: the columns of its training, or those that are found.

    Raises:
        DataError: A column is missing or a label was not seen in training.
    """
    table = _only_table(source, "test", settings.skip_bad_rows)
    found = find_columns(
        table,
        text=settings.text_column or (columns.text if columns else None),
        text_pair=settings.text_pair_column or (columns.text_pair if columns else None),
        label=settings.label_column or (columns.labels if columns else None) or None,
    )
    return make_examples(table, found, labels, skip_bad_rows=settings.skip_bad_rows)


def _same_columns(table: Table, columns: Columns) -> Columns:
    """The columns of the training as another table has them.

    Raises:
        DataError: It lacks one.
    """
    return find_columns(table, text=columns.text, text_pair=columns.text_pair, label=columns.labels)


def _only_table(source: str, split: str, skip_bad_rows: bool) -> Table:
    tables = read(source, skip_bad_rows=skip_bad_rows)
    if split in tables:
        return tables[split]
    return next(iter(tables.values()))
