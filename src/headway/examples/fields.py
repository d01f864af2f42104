"""Which column is what: as the user says, by the field's usual names, or by what the column holds."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from headway.errors import DataError
from headway.files import is_image_name
from headway.sources.table import Table

__all__ = ["Columns", "Field", "find_columns", "find_inputs", "looks_like_images"]

Kind = Literal["text", "image", "label"]

_SAMPLE_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Field:
    """Something that a task reads from each row: a text, an image, or a label."""

    name: str
    """What the task calls it."""
    kind: Kind
    """What its values are."""
    role: Literal["input", "target"] = "input"
    """Whether the model is given it, or should answer with it."""
    setting: str
    """The setting that names its column."""
    usual_names: tuple[tuple[str, ...], ...] = ()
    """Usual names of its column, in tiers: a name of an earlier tier wins over all later ones; within a tier they
    compete."""
    partners: tuple[tuple[str, str], ...] = ()
    """For the second of two inputs: usual names of the first input's column, each with this one's."""
    optional: bool = False
    """Whether a table may lack it."""
    many: bool = False
    """Whether several columns, or a list in each row, may hold several values per row."""


@dataclass(frozen=True)
class Columns:
    """The columns that hold each field."""

    by_field: Mapping[str, tuple[str, ...]]

    def __getitem__(self, field: str) -> tuple[str, ...]:
        """The columns of a field; none where the table lacks it."""
        return tuple(self.by_field.get(field, ()))

    def of(self, fields: Sequence[Field], *, role: str | None = None, kind: str | None = None) -> tuple[str, ...]:
        """The columns of all fields of a role or kind, in the fields' order."""
        chosen = (one for one in fields if role in (None, one.role) and kind in (None, one.kind))
        return tuple(column for one in chosen for column in self[one.name])


def find_columns(
    table: Table,
    fields: Sequence[Field],
    told: Mapping[str, Sequence[str]] | None = None,
    *,
    targets: bool = True,
) -> Columns:
    """Find the columns of a table that hold the fields.

    Args:
        table: The rows.
        fields: What is looked for.
        told: The columns that the user named, by field.
        targets: Whether fields that the model should answer with are looked for and needed.

    Raises:
        DataError: A named column does not exist, none fits, or several do: the message says which, and the setting that
            decides.
    """
    found: dict[str, tuple[str, ...]] = {}
    for field in fields:
        if told and told.get(field.name):
            found[field.name] = tuple(_named(table, name.strip(), field) for name in told[field.name])
    order = sorted(fields, key=lambda field: field.role == "target")
    for field in order:
        if field.name in found or (field.role == "target" and not targets):
            continue
        taken = {column for columns in found.values() for column in columns}
        columns_found = _find(table, field, fields, found, taken)
        if columns_found:
            found[field.name] = columns_found
    columns = Columns({field.name: found[field.name] for field in fields if field.name in found})
    _check(table, fields, columns)
    return columns


def find_inputs(
    names: Sequence[str], fields: Sequence[Field], trained: Columns, told: Columns | None = None
) -> Columns:
    """The input columns of rows to be answered: those of the training, or the only ones that can be meant.

    A column may be spelled in another case. For a model with one input, a column with one of the field's usual names
    or a lone column will do.

    Args:
        names: The columns that there are.
        fields: The task's fields.
        trained: The columns of the training.
        told: Columns that the user named.

    Raises:
        DataError: An input column is missing.
    """
    inputs = [field for field in fields if field.role == "input" and (trained[field.name] or not field.optional)]
    found: dict[str, tuple[str, ...]] = {}
    for field in inputs:
        named = told[field.name] if told else ()
        wanted = named or trained[field.name] or (field.name,)
        match = _same_name(names, wanted[0])
        if match is None and not named and len(inputs) == 1:
            match = _stand_in(names, field)
        if match is None:
            columns = " and ".join(f"'{name}'" for one in inputs for name in trained[one.name] or (one.name,))
            raise DataError(
                f"there is no column '{wanted[0]}'. The model was trained on {columns}; here the columns are "
                f"{_listing(names)}. {_did_you_mean(names, wanted[0])}Rename the column, or name the right one with "
                f"--{field.setting.replace('_', '-')}"
            )
        found[field.name] = (match,)
    return Columns(found)


def _stand_in(names: Sequence[str], field: Field) -> str | None:
    if len(names) == 1:
        return names[0]
    matches = [name for name in names if any(_plain(name) in tier for tier in field.usual_names)]
    return matches[0] if len(matches) == 1 else _same_name(names, field.name)


def _find(
    table: Table, field: Field, fields: Sequence[Field], found: Mapping[str, tuple[str, ...]], taken: set[str]
) -> tuple[str, ...]:
    names = [name for name in table.column_names if name not in taken]
    if field.partners:
        first = next(iter(found.values()))[0]
        partners = (other for one, other in field.partners if one == first.lower())
        return next(((match,) for other in partners if (match := _same_name(names, other))), ())
    if field.role == "input" and _same_name(names, field.name) is None:
        pairs = (pair for other in fields for pair in other.partners if other.kind == field.kind)
        for one, other in pairs:
            if (match := _same_name(names, one)) is not None and _same_name(names, other) is not None:
                return (match,)
    named = _by_name(table, names, field)
    if named or field.optional:
        return named
    if field.role == "input":
        others = {name for other in fields if other.role == "target" for tier in other.usual_names[:2] for name in tier}
        names = [name for name in names if _plain(name) not in others]
    return (_by_content(table, names, field, taken),)


def _by_name(table: Table, names: Sequence[str], field: Field) -> tuple[str, ...]:
    """The column with a usual name; where a field may have many values, all of reference1, reference2 and so on."""
    for tier in field.usual_names:
        found = [name for name in names if _plain(name) in tier or (field.many and _without_number(name) in tier)]
        if len(found) > 1 and not field.many:
            raise _ambiguous(table, found, field)
        if found:
            return tuple(found)
    return ()


def _by_content(table: Table, names: Sequence[str], field: Field, taken: set[str]) -> str:
    """The one column whose values look like the field's; of several texts, the one that is by far the longest."""
    rows = np.unique(np.linspace(0, len(table) - 1, _SAMPLE_ROWS).astype(np.int64))
    scores = {name: _likeness(table.values(name, rows), field.kind) for name in names}
    candidates = sorted((name for name in names if scores[name] > 0), key=lambda name: -scores[name])
    if not candidates:
        raise DataError(
            f"{table.source} has no column that looks like {_a(field)}{_apart_from(taken)}. Its columns are "
            f"{_listing(table.column_names)}; name the right one with --set {field.setting}=…."
            + (" If its first line is already an example, put a header line such as text,label above it.")
            * (not names or field.kind == "text")
        )
    rivals = [name for name in candidates if 2 * scores[name] > scores[candidates[0]]]
    if len(rivals) > 1:
        raise _ambiguous(table, rivals, field)
    return candidates[0]


def _likeness(values: Sequence[Any], kind: Kind) -> float:
    """How much values look like texts (their mean length in characters), images or labels (1); 0 when they do not."""
    if kind == "text":
        return _text_length(values)
    if kind == "image":
        return float(looks_like_images(values))
    return float(_looks_like_labels(values))


def _text_length(values: Sequence[Any]) -> float:
    """The mean length in characters of a column's values; 0 when they are no free text."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if not texts or 2 * len(texts) < len(values):
        return 0.0
    with_spaces = sum(" " in text.strip() for text in texts)
    return sum(map(len, texts)) / len(texts) if 2 * with_spaces >= len(texts) else 0.0


def looks_like_images(values: Sequence[Any]) -> bool:
    """Bytes, structs of bytes and paths, or names that end as those of images do."""
    given = [value for value in values if value not in (None, "")]
    alike = [
        isinstance(value, bytes)
        or (isinstance(value, dict) and set(value) <= {"bytes", "path"})
        or (isinstance(value, str) and is_image_name(value))
        for value in given
    ]
    return bool(given) and 2 * sum(alike) > len(given)


def _looks_like_labels(values: Sequence[Any]) -> bool:
    """Few different, short values that come again and again."""
    given = [value for value in values if value is not None and value != ""]
    if any(isinstance(value, list) for value in given):
        given = [item for value in given if isinstance(value, list) for item in value]
    if any(isinstance(value, dict | list | bytes) or (isinstance(value, float) and value % 1) for value in given):
        return False
    different = set(map(str, given))
    return 2 <= len(different) <= max(2, min(50, len(given) // 2)) and max(map(len, different)) <= 60


def _check(table: Table, fields: Sequence[Field], columns: Columns) -> None:
    """Refuse a column that is used twice, and texts that are no texts."""
    uses: dict[str, list[str]] = {}
    for field in fields:
        for name in columns[field.name]:
            uses.setdefault(name, []).append(field.setting)
            if len(uses[name]) > 1:
                raise DataError(
                    f"{table.source}: column '{name}' is taken twice, as {' and as '.join(uses[name])}. Name another "
                    f"column for one of them, or leave that setting out; the columns are "
                    f"{_listing(table.column_names)}."
                )
            if field.kind == "text" and not field.many:
                _check_text(table, name, field)


def _check_text(table: Table, name: str, field: Field) -> None:
    kind = table.data.schema.field(name).type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        what = "lists or objects" if pa.types.is_nested(kind) else "bytes"
        raise DataError(
            f"{table.source}: column '{name}' holds {what}, not texts. Choose another with --set {field.setting}=…."
        )


def _named(table: Table, name: str, field: Field) -> str:
    match = _same_name(table.column_names, name)
    if match is not None:
        return match
    raise DataError(
        f"{table.source} has no column '{name}' ({field.setting}). {_did_you_mean(table.column_names, name)}"
        f"Its columns are {_listing(table.column_names)}."
    )


def _same_name(names: Sequence[str], name: str) -> str | None:
    if name in names:
        return name
    return next((other for other in names if other.strip().lower() == name.strip().lower()), None)


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _without_number(name: str) -> str:
    return _plain(name).rstrip("0123456789").rstrip("_")


def _a(field: Field) -> str:
    return {"text": "text", "image": "an image", "label": "a label"}[field.kind]


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:40]}'" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _apart_from(taken: set[str]) -> str:
    return f", apart from {_listing(sorted(taken))}, which is taken" if taken else ""


def _did_you_mean(names: Sequence[str], name: str) -> str:
    lowered = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), lowered, 1)
    return f"Did you mean '{lowered[near[0]]}'? " if near else ""


def _ambiguous(table: Table, names: Sequence[str], field: Field) -> DataError:
    more = {
        "text": " (and text_pair_column=… if both belong to an example)",
        "label": "; several 0/1 columns with commas between them",
    }.get(field.kind, "")
    return DataError(
        f"{table.source}: several columns could be the {field.name}: {_listing(names)}. "
        f"Say which with --set {field.setting}={names[0]}{more}."
    )
