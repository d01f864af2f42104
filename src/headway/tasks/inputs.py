"""What a user hands to `predict` in Python, as examples: texts, images, pairs, rows, or a table."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
from PIL import Image

from headway.errors import DataError
from headway.examples.examples import Example, Examples
from headway.examples.fields import Columns, Field, find_inputs
from headway.examples.values import image_of
from headway.files import is_image_name
from headway.sources.opening import format_of_name
from headway.sources.read import is_table, read
from headway.sources.table import Table

__all__ = ["answerable_rows", "chunks_of_examples", "input_fields"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_SUFFIX = re.compile(r"\.\w{2,8}$")
_LONGEST_NAME = 256
_AS_FILE = " (answer its rows with headway predict MODEL --input {}, or read it into a DataFrame)"


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
        DataError: A column is missing, an input of a table is empty, or a text contains an unpaired surrogate.
    """
    wanted = input_fields(fields, trained)
    _refuse_file(inputs, wanted)
    if callable(getattr(inputs, "to_pylist", None)) and not _is_table(inputs):
        inputs = inputs.to_pylist()  # type: ignore[attr-defined]  # a column of Arrow
    if _is_table(inputs):
        table = next(iter(read(inputs).values()))
        for start in range(0, len(table), size):
            part = table.part(start, min(size, len(table) - start))
            rows, reasons = answerable_rows(part, fields, trained)
            if reasons:
                index, reason = next(iter(reasons.items()))
                raise DataError(f"{part.where(index)}: {reason}.")
            yield rows.fetch(range(len(rows)))
        return
    if isinstance(inputs, Mapping):
        yield [_of_row(inputs, fields, trained)]
        return
    if _is_one(inputs, wanted):
        yield [_example(inputs, wanted)]
        return
    if not isinstance(inputs, Iterable) or getattr(inputs, "ndim", 1) == 0:
        raise TypeError(f"predict takes {_kinds(wanted)}, not {type(inputs).__name__}: {inputs!r:.80}.")
    iterator = iter(inputs)
    first = next(iterator, None)
    if first is None:
        return
    of_item = _of_row if isinstance(first, Mapping) else None
    items = chain([first], iterator)
    while chunk := list(islice(items, size)):
        yield [_example(item, wanted) if of_item is None else of_item(item, fields, trained) for item in chunk]


def answerable_rows(
    table: Table, fields: Sequence[Field], trained: Columns | None, told: Columns | None = None
) -> tuple[Examples, dict[int, str]]:
    """The rows of a table that can be answered; and, by index and in order, why the others cannot.

    An empty text can be answered. A row without the input cannot: somebody should know.
    """
    trained = trained or Columns({one.name: (one.name,) for one in fields if one.role == "input" and not one.optional})
    try:
        columns = find_inputs(table.column_names, fields, trained, told)
    except DataError as error:
        reasons = dict.fromkeys(range(len(table)), str(error))
        return Examples(table, fields, Columns({}), rows=np.zeros(0, dtype=np.int64)), reasons
    everything = np.arange(len(table))
    found: dict[int, str] = {}
    for one in fields:
        for column in columns[one.name]:
            for index, value in enumerate(table.values(column, everything)):
                if problem := _problem(value, one, table):
                    found.setdefault(index, f"'{column}' {problem}")
    usable = np.array([index for index in everything.tolist() if index not in found], dtype=np.int64)
    return Examples(table, fields, columns, rows=usable), dict(sorted(found.items()))


def _problem(value: object, one: Field, table: Table) -> str:
    """What is wrong with a value of a table; nothing where it can be used."""
    if (image_of(table, value) if one.kind == "image" else value) is None:
        return "is empty or missing. Fill it in"
    if one.kind == "text" and isinstance(value, list | dict | bytes):
        kind = {list: "a list", dict: "an object", bytes: "bytes"}[type(value)]
        return f"holds {kind}, not a text. Fix it"
    return ""


def _is_table(inputs: object) -> bool:
    """Whether it is a DataFrame, a `datasets.Dataset`, an Arrow table, or a mapping of whole columns."""
    if isinstance(inputs, Mapping):
        return bool(inputs) and all(map(_is_column, inputs.values()))
    return is_table(inputs)


def _is_column(value: object) -> bool:
    """Whether it is a column of a mapping, and not the value of a single row: a text, or an image."""
    pixels = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim > 1
    return isinstance(value, Iterable) and not (_is_value(value) or isinstance(value, Mapping) or pixels)


def _refuse_file(inputs: object, wanted: Sequence[Field]) -> None:
    """Refuse what stands for rows that nobody has read: a file, or several splits.

    Raises:
        TypeError: It is something of the kind; the message says what to give.
    """
    if callable(getattr(inputs, "read", None)) and not isinstance(inputs, Image.Image):
        raise TypeError(
            f"predict takes {_kinds(wanted)}, not an open file: read it, for example with pandas, or run "
            "headway predict MODEL --input FILE."
        )
    if isinstance(inputs, Mapping) and inputs and all(map(is_table, inputs.values())):
        first = next(iter(inputs))
        raise TypeError(f"predict takes one table, not {len(inputs)} splits: choose one, such as data[{first!r}].")


def _is_one(inputs: object, wanted: Sequence[Field]) -> bool:
    """Whether it is one input and not several."""
    if len(wanted) > 1:
        return isinstance(inputs, tuple | list) and len(inputs) == len(wanted) and all(map(_is_value, inputs))
    return _is_value(inputs)


def _is_value(value: object) -> bool:
    """Whether it is a text, or an image as a path, as bytes or decoded."""
    return isinstance(value, str | bytes | Path | Image.Image)


def _example(item: object, wanted: Sequence[Field]) -> Example:
    names = [one.name for one in wanted]
    if len(wanted) > 1:
        if isinstance(item, str):
            raise DataError(
                f"This model was trained on pairs ({' and '.join(names)}); {item!r:.80} is a single text. "
                "Give pairs: a file with both columns, or tuples in Python."
            )
        if not isinstance(item, tuple | list | np.ndarray) or len(item) != len(wanted):
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
        way = _AS_FILE.format(str(value)) if isinstance(value, Path) else ""
        raise TypeError(f"predict takes {_kinds(wanted)}, not {type(value).__name__}: {value!r:.80}{way}.")
    if _names_a_file(value):
        raise TypeError(f"predict takes {_kinds(wanted)}; {value!r:.80} is the name of a file{_AS_FILE.format(value)}.")
    if _SURROGATE.search(value):
        raise DataError(f"{value!r:.80} contains an unpaired surrogate. Fix the text.")


def _names_a_file(text: str) -> bool:
    """Whether a text is the name of a file of rows or of an image that is there: hardly what should be answered."""
    if len(text) >= _LONGEST_NAME or not _SUFFIX.search(text):
        return False
    known = format_of_name(Path(text)) is not None or is_image_name(text)
    return known and "\0" not in text and Path(text).is_file()


def _kinds(wanted: Sequence[Field]) -> str:
    noun = "images" if wanted[0].kind == "image" else "texts"
    what = f"pairs of {noun}" if len(wanted) > 1 else noun
    return f"{what} or rows with {' and '.join(repr(one.name) for one in wanted)}"
