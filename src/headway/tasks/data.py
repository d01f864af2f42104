"""From what the user names to split examples: one way for training, evaluation and checks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headway.errors import DataError
from headway.examples.examples import Examples, make_examples
from headway.examples.fields import Columns, Field, find_columns
from headway.examples.splits import Splits, make_splits
from headway.settings import DataSettings, Settings
from headway.sources.read import Source, describe, read
from headway.sources.table import Table
from headway.tasks.task import Task

__all__ = ["TaskData", "columns_told", "read_scored", "read_tables", "read_task_data"]

MAX_HELD_OUT_ROWS = 10_000
"""More held-out rows than this hardly narrow any interval, and cost time at every validation."""


@dataclass(frozen=True)
class TaskData:
    """Everything that a model is trained and measured on."""

    splits: Splits
    columns: Columns
    spec: Any
    sources: dict[str, str]
    """What the user wrote, by split."""
    notes: tuple[str, ...]
    """What the user should know about how the data was read."""

    def fingerprint(self) -> str:
        """A number that changes when the rows, their labels or their split do."""
        digest = hashlib.sha256(repr((self.columns, self.spec)).encode())
        for examples in self.splits.parts().values():
            digest.update(np.ascontiguousarray(examples.rows).tobytes())
            digest.update(examples.table.fingerprint().encode())
        return digest.hexdigest()


def read_tables(
    data: Source, validation: Source | None, test: Source | None, *, skip_bad_rows: bool
) -> tuple[dict[str, Table], dict[str, str]]:
    """The tables by split, and what the user wrote for each.

    Raises:
        DataError: A file cannot be used; the message says which, where and what to do.
    """
    tables = read(data, skip_bad_rows=skip_bad_rows)
    sources = dict.fromkeys(tables, describe(data))
    for split, source in (("validation", validation), ("test", test)):
        if source is not None:
            tables[split] = _only_table(source, split, skip_bad_rows)
            sources[split] = describe(source)
    if "train" not in tables:
        raise DataError(f"{describe(data)} has no training split, only {', '.join(tables)}.")
    return tables, sources


def read_task_data(
    task: Task[Any, Any, Any], tables: Mapping[str, Table], sources: dict[str, str], settings: Settings
) -> TaskData:
    """Find columns, learn what the task needs to know, and split.

    Raises:
        DataError: A column is missing, or rows cannot be used.
    """
    columns = find_columns(tables["train"], task.fields, columns_told(task, settings.data))
    skip = settings.data.skip_bad_rows
    rows = {
        split: make_examples(table, task.fields, columns if split == "train" else _same_columns(task, table, columns))
        for split, table in tables.items()
    }
    spec = task.learn_spec(rows["train"], settings)
    given = {"train", *(split for split in sources if sources[split] != sources["train"])}
    bound = {
        split: task.bind(part, spec, skip_bad_rows=skip)
        for split, part in rows.items()
        if split in given or task.has_targets(part)  # hub data sets often hide the targets of the test rows
    }
    splits = _split(task, bound, settings)
    hidden = [split for split in tables if split not in bound]
    if hidden:
        told = f" The {' and '.join(hidden)} rows of {sources['train']} have no labels and were left out."
        splits = replace(splits, description=splits.description + told)
    notes = tuple(note for table in tables.values() for note in table.notes)
    return TaskData(splits, columns, spec, sources, notes)


def read_scored(
    task: Task[Any, Any, Any], source: Source, spec: Any, trained: Columns | None, settings: Settings
) -> Examples:
    """Rows to measure a model on: the columns of its training, or those that are found.

    Raises:
        DataError: A column is missing, or a target was not seen in training.
    """
    table = _only_table(source, "test", settings.data.skip_bad_rows)
    told = dict(columns_told(task, settings.data))
    for one in task.fields:
        columns = _known_columns(one, trained, table) if trained else ()
        if columns:
            told.setdefault(one.name, columns)
    rows = make_examples(table, task.fields, find_columns(table, task.fields, told))
    return task.bind(rows, spec, skip_bad_rows=settings.data.skip_bad_rows)


def columns_told(task: Task[Any, Any, Any], settings: DataSettings) -> dict[str, Sequence[str]]:
    """The columns that the user named, by field."""
    told = {one.name: getattr(settings, one.setting, None) for one in task.fields}
    several = {one.name for one in task.fields if one.kind == "label" or one.many}
    return {
        name: columns.split(",") if name in several else [columns]
        for name, columns in told.items()
        if columns is not None
    }


def _same_columns(task: Task[Any, Any, Any], table: Table, columns: Columns) -> Columns:
    """The columns of the training as another table has them; its targets may be missing.

    Raises:
        DataError: It lacks an input.
    """
    lowered = _lowered(table.column_names)
    known = {one.name: _known_columns(one, columns, table) for one in task.fields}
    wanted = {
        one.name: known[one.name]
        for one in task.fields
        if known[one.name] and (one.role == "input" or _lowered(known[one.name]) <= lowered)
    }
    told = [one for one in task.fields if one.name in wanted]
    return find_columns(table, told, wanted)


def _known_columns(one: Field, columns: Columns, table: Table) -> tuple[str, ...]:
    """The columns of a field in training; where it may have many values, those of them that another table has."""
    if not one.many:
        return columns[one.name]
    return tuple(name for name in columns[one.name] if _lowered([name]) <= _lowered(table.column_names))


def _lowered(names: Sequence[str]) -> set[str]:
    return {name.strip().lower() for name in names}


def _split(task: Task[Any, Any, Any], bound: Mapping[str, Examples], settings: Settings) -> Splits:
    cap = MAX_HELD_OUT_ROWS / len(bound["train"])
    return make_splits(
        bound["train"],
        bound.get("validation"),
        bound.get("test"),
        groups=task.groups,
        strata=task.strata,
        validation_fraction=min(settings.data.validation_fraction, cap),
        test_fraction=min(settings.data.test_fraction, cap),
        seed=settings.training.seed,
    )


def _only_table(source: Source, split: str, skip_bad_rows: bool) -> Table:
    tables = read(source, skip_bad_rows=skip_bad_rows)
    return tables[split] if split in tables else next(iter(tables.values()))
