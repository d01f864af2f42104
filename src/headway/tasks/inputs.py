"""What a user hands to `predict` in Python, as examples: texts, images, pairs, rows, or a table."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from headway.errors import DataError
from headway.examples.examples import Example, Examples
from headway.examples.fields import Columns, Field, find_inputs
from headway.sources.read import read
from headway.sources.table import Table

__all__ = ["chunks_of_examples", "examples_of_table", "input_fields"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def input_fields(fields: Sequence[Field], trained: Columns | None) -> tuple[Field, ...]:
    """The inputs that a model takes: of a pair the second only if it was trained on pairs."""
    return tuple(
        one
        for one in fields
        if one.role == "input" and (not one.optional or (trained is not None and trained[one.name]))
    )


def chunks_of_examples(
    inputs: object, fields: Sequence[Field], trained: Columns | None, size: int
) -> Iterator[list[Example]]:
    """The examples that a user's inputs stand for, at most `size` at a time.

    Args:
        inputs: One input, an iterable of inputs or rows, or a table (a DataFrame, a `datasets.Dataset`, or a mapping of
            columns).
        fields: The task's fields.
        trained: The columns of the training.
        size: Examples at a time.

    Raises:
        TypeError: They are nothing of the kind.
        DataError: A column is missing, or a text contains an unpaired surrogate.
    """
    wanted = input_fields(fields, trained)
    if _is_table(inputs):
        table = next(iter(read(inputs).values()))
        yield from examples_of_table(table, fields, trained).chunks(size)
        return
    if isinstance(inputs, Mapping):
        yield [_of_row(inputs, fields, trained)]
        return
    if _is_one(inputs, wanted):
        yield [_example(inputs, wanted)]
        return
    if not isinstance(inputs, Iterable):
        raise TypeError(f"predict takes {_kinds(wanted)}, not {type(inputs).__name__}: {inputs!r:.80}.")
    iterator = iter(inputs)
    first = next(iterator, None)
    if first is None:
        return
    of_item = _of_row if isinstance(first, Mapping) else None
    items = chain([first], iterator)
    while chunk := list(islice(items, size)):
        yield [_example(item, wanted) if of_item is None else of_item(item, fields, trained) for item in chunk]


def examples_of_table(
    table: Table, fields: Sequence[Field], trained: Columns | None, told: Columns | None = None
) -> Examples:
    """All rows of a table to be answered, also those without an input.

    Raises:
        DataError: An input column is missing.
    """
    trained = trained or Columns({one.name: (one.name,) for one in fields if one.role == "input" and not one.optional})
    return Examples(table, fields, find_inputs(table.column_names, fields, trained, told))


def _is_table(inputs: object) -> bool:
    """Whether it is a DataFrame, a `datasets.Dataset`, or a mapping of whole columns."""
    if isinstance(inputs, Mapping):
        return all(isinstance(value, list | tuple | np.ndarray) for value in inputs.values()) and bool(inputs)
    return hasattr(inputs, "column_names") or (hasattr(inputs, "columns") and hasattr(inputs, "iloc"))


def _is_one(inputs: object, wanted: Sequence[Field]) -> bool:
    """Whether it is one input and not several."""
    if len(wanted) > 1:
        return isinstance(inputs, tuple | list) and len(inputs) == len(wanted) and all(map(_is_value, inputs))
    return _is_value(inputs)


def _is_value(value: object) -> bool:
    """Whether it is a text or an image: a path, bytes, a PIL image or an array of pixels."""
    return isinstance(value, str | bytes | Path) or (hasattr(value, "mode") and hasattr(value, "size"))


def _example(item: object, wanted: Sequence[Field]) -> Example:
    names = [one.name for one in wanted]
    if len(wanted) > 1:
        if isinstance(item, str):
            raise DataError(
                f"This model was trained on pairs ({' and '.join(names)}); {item!r:.80} is a single text. "
                "Give pairs: a file with both columns, or tuples in Python."
            )
        if not isinstance(item, tuple | list) or len(item) != len(wanted):
            raise TypeError(f"predict takes {_kinds(wanted)}, not {type(item).__name__}: {item!r:.80}.")
        values = dict(zip(names, item, strict=True))
    else:
        values = {names[0]: item}
    for one in wanted:
        _check_value(values[one.name], one, wanted)
    return Example(values)


def _of_row(row: object, fields: Sequence[Field], trained: Columns | None) -> Example:
    if not isinstance(row, Mapping):
        raise TypeError(f"predict takes rows of one kind; after a mapping came {type(row).__name__}: {row!r:.80}.")
    wanted = input_fields(fields, trained)
    known = trained or Columns({one.name: (one.name,) for one in wanted})
    columns = find_inputs([str(name) for name in row], fields, known)
    values = {one.name: row[columns[one.name][0]] for one in wanted}
    for one in wanted:
        _check_value(values[one.name], one, wanted)
    return Example(values)


def _check_value(value: object, one: Field, wanted: Sequence[Field]) -> None:
    if one.kind == "image":
        if not _is_value(value) and not isinstance(value, np.ndarray):
            raise TypeError(f"predict takes {_kinds(wanted)}, not {type(value).__name__}: {value!r:.80}.")
        return
    if not isinstance(value, str):
        raise TypeError(f"predict takes {_kinds(wanted)}, not {type(value).__name__}: {value!r:.80}.")
    if _SURROGATE.search(value):
        raise DataError(f"{value!r:.80} contains an unpaired surrogate. Fix the text.")


def _kinds(wanted: Sequence[Field]) -> str:
    noun = "images" if wanted[0].kind == "image" else "texts"
    what = f"pairs of {noun}" if len(wanted) > 1 else noun
    return f"{what} or rows with {' and '.join(repr(one.name) for one in wanted)}"
