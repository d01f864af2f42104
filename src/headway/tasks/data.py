"""From what the user names to split examples: one way for training, evaluation and checks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headway.errors import DataError
from headway.examples.examples import Examples, make_examples
from headway.examples.fields import Columns, find_columns
from headway.examples.splits import Splits, make_splits
from headway.settings import DataSettings, Settings
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.encodings import codec_named
from headway.sources.read import Dialect, Source, describe, read
from headway.sources.table import Table
from headway.tasks.task import ModelSource, Task

__all__ = ["TaskData", "columns_told", "dialect_of", "read_scored", "read_tables", "read_task_data"]

MAX_HELD_OUT_ROWS = 10_000
"""More held-out rows than this hardly narrow any interval, and cost time at every validation."""


_CHUNK = 64
"""So many inputs are read at a time when damaged ones are looked for."""


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
    data: Source, validation: Source | None, test: Source | None, settings: DataSettings
) -> tuple[dict[str, Table], dict[str, str]]:
    """The tables by split, and what the user wrote for each.

    Raises:
        DataError: A file cannot be used; the message says which, where and what to do.
    """
    tables = _read(data, settings)
    sources = dict.fromkeys(tables, describe(data))
    for split, source in (("validation", validation), ("test", test)):
        if source is not None:
            tables[split] = _only_table(source, split, settings)
            sources[split] = describe(source)
    if "train" not in tables:
        raise DataError(f"{describe(data)} has no training split, only {', '.join(tables)}.")
    return tables, sources


def read_task_data(
    task: Task[Any, Any, Any],
    tables: Mapping[str, Table],
    sources: dict[str, str],
    settings: Settings,
    model: ModelSource,
) -> TaskData:
    """Find columns, find damaged files, learn what the task needs to know, and split.

    Raises:
        DataError: A column is missing, or rows cannot be used.
    """
    columns = find_columns(tables["train"], task.fields, columns_told(task, settings.data))
    skip = settings.data.skip_bad_rows
    rows = {
        split: make_examples(table, task.fields, columns if split == "train" else _same_columns(task, table, columns))
        for split, table in tables.items()
    }
    reader = task.reader(model, rows["train"], settings)
    rows = {split: _undamaged(task, reader, part, skip=skip) for split, part in rows.items()}
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
    task: Task[Any, Any, Any],
    source: Source,
    spec: Any,
    trained: Columns | None,
    settings: Settings,
    reader: Any = None,
) -> Examples:
    """Rows to measure a model on: the columns of its training, or those that are found.

    Args:
        task: What the model does.
        source: The rows.
        spec: What the model knows about its data.
        trained: The columns of its training.
        settings: Which columns the user names, and whether bad rows are skipped.
        reader: The model's.

    Raises:
        DataError: A column is missing, or a target was not seen in training.
    """
    table = _only_table(source, "test", settings.data)
    told = dict(columns_told(task, settings.data))
    for name, columns in (_as_named(task, table, trained).by_field if trained else {}).items():
        told.setdefault(name, columns)
    skip = settings.data.skip_bad_rows
    rows = make_examples(table, task.fields, find_columns(table, task.fields, told))
    return task.bind(_undamaged(task, reader, rows, skip=skip), spec, skip_bad_rows=skip)


def columns_told(task: Task[Any, Any, Any], settings: DataSettings) -> dict[str, Sequence[str]]:
    """The columns that the user named, by field."""
    told = {one.name: getattr(settings, one.setting, None) for one in task.fields}
    several = {one.name for one in task.fields if one.kind == "label" or one.many}
    return {
        name: columns.split(",") if name in several else [columns]
        for name, columns in told.items()
        if columns is not None
    }


def _undamaged(task: Task[Any, Any, Any], reader: Any, rows: Examples, *, skip: bool) -> Examples:
    """The rows whose inputs can be read, each of which is tried once: the others are all named.

    Raises:
        DataError: Some cannot, and bad rows are not skipped; or none can.
    """
    if reader is None:
        return rows
    damaged = np.zeros(len(rows), dtype=bool)
    faults = BadRowPolicy(skip=True)
    for position, bad in enumerate(task.damaged(reader, rows.chunks(_CHUNK))):
        if bad is not None:
            damaged[position] = True
            faults.report(bad.where, bad.reason)
    found = faults.seen()
    if damaged.all():
        raise found.all_of(rows.table.source)
    if found.count and not skip:
        listed = "".join(f"\n  {bad.where}: {bad.reason}" for bad in found.listed)
        more = f"\n  and {found.count - len(found.listed):,} more" if found.count > len(found.listed) else ""
        raise DataError(
            f"{rows.table.source}: {found.count:,} of {len(rows):,} rows cannot be used:{listed}{more}\n"
            "Fix them, or leave such rows out with --skip-bad-rows."
        )
    return rows.undamaged(reader, damaged, found)


def _same_columns(task: Task[Any, Any, Any], table: Table, columns: Columns) -> Columns:
    """The columns of the training as another table has them; its targets may be missing.

    Raises:
        DataError: It lacks an input.
    """
    columns = _as_named(task, table, columns)
    lowered = _lowered(table.column_names)
    wanted = {
        one.name: columns[one.name]
        for one in task.fields
        if columns[one.name] and (one.role == "input" or _lowered(columns[one.name]) <= lowered)
    }
    told = [one for one in task.fields if one.name in wanted]
    return find_columns(table, told, wanted)


def _as_named(task: Task[Any, Any, Any], table: Table, trained: Columns) -> Columns:
    """The columns of the training as another table may have them.

    A folder of images has no names of its own: its columns are called as the fields. Of a field with many values, those
    columns that the table has will do.
    """
    lowered = _lowered(table.column_names)
    named: dict[str, tuple[str, ...]] = {}
    for one in task.fields:
        columns = trained[one.name]
        if table.places.rows_are_files and one.name in table.column_names:
            columns = (one.name,)
        named[one.name] = tuple(name for name in columns if not one.many or _lowered([name]) <= lowered)
    return Columns({name: columns for name, columns in named.items() if columns})


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


def _read(source: Source, settings: DataSettings) -> dict[str, Table]:
    return read(source, skip_bad_rows=settings.skip_bad_rows, dialect=dialect_of(settings))


def dialect_of(settings: DataSettings) -> Dialect:
    """What the user says about how files are written.

    Raises:
        SettingsError: There is no such encoding.
    """
    encoding = None if settings.encoding is None else codec_named(settings.encoding)
    return Dialect(encoding, settings.delimiter)


def _only_table(source: Source, split: str, settings: DataSettings) -> Table:
    tables = _read(source, settings)
    return tables[split] if split in tables else next(iter(tables.values()))
