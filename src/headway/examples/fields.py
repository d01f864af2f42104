"""Which columns hold the text and the label: as told, by the field's usual names, or by what stands in them."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from headway.errors import DataError
from headway.sources.table import Table

__all__ = ["TEXT_KEYS", "Columns", "find_columns", "find_inputs"]

_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("question1", "question2"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("sentence_a", "sentence_b"),
    ("question", "sentence"),
    ("question", "passage"),
    ("query", "passage"),
    ("query", "document"),
)
# Several tiers: a name of an earlier one wins over all later ones; within one tier they compete.
_TEXT_NAMES = (
    ("text",),
    (
        *("review", "review_text", "reviewtext", "sentence", "content", "comment", "comment_text", "tweet", "body"),
        *("message", "document", "post", "utterance", "article", "review_body", "full_text", "clean_text", "sms"),
    ),
    ("title", "headline", "description", "question", "query", "subject", "summary", "phrase", "input", "prompt"),
)
_LABEL_NAMES = (
    ("label", "labels"),
    ("sentiment", "class", "category", "target", "polarity", "stars", "rating", "tag", "tags", "categories", "classes"),
    ("intent", "emotion", "emotions", "topic", "topics", "overall", "score", "genre", "genres", "is_spam", "spam"),
)
TEXT_KEYS = ("text_column", "text_pair_column")
_SAMPLE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that matter: the text, the second text of a pair, and the label or several 0/1 labels."""

    text: str
    text_pair: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text columns: one, or two for pairs."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)


def find_columns(
    table: Table,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | Sequence[str] | None = None,
    need_label: bool = True,
) -> Columns:
    """Find the text and label columns of a table.

    Args:
        table: The rows.
        text: The text column, when the user named it.
        text_pair: The column of the second text, when the user named it.
        label: The label column, or several (a sequence, or one string with commas), when the user named them.
        need_label: Whether a table without a label column is an error; otherwise `Columns.labels` is then empty.

    Raises:
        DataError: A named column does not exist, none fits, or several do: the message says which, and the setting that
            decides.
    """
    told = [label] if isinstance(label, str) and label in table.column_names else label
    told = told.split(",") if isinstance(told, str) else list(told or ())
    labels = tuple(_named(table, name.strip(), "label_column") for name in told)
    texts = [
        None if name is None else _named(table, name, key)
        for name, key in zip((text, text_pair), TEXT_KEYS, strict=True)
    ]
    if texts[0] is None:
        texts[0], found_pair = _find_text(table, taken={*labels, texts[1]})
        texts[1] = texts[1] or found_pair
    elif texts[1] is None:
        texts[1] = _partner(table, texts[0], taken=set(labels))
    if not labels:
        found = _find_label(table, taken=set(texts), need_label=need_label)
        labels = () if found is None else (found,)
    return _checked(table, Columns(str(texts[0]), texts[1], labels))


def find_inputs(column_names: Sequence[str], wanted: Columns) -> Columns:
    """The columns of rows to be predicted that take the place of the training's text columns.

    A column may be spelled in another case; for a model of single texts a lone column, or one called "text", will do
    (plain text files have just that).

    Returns:
        The columns, without labels.

    Raises:
        DataError: A text column of the training is missing.
    """
    found: list[str] = []
    for name in wanted.texts:
        match = _same_name(column_names, name)
        if match is None and wanted.text_pair is None:
            match = column_names[0] if len(column_names) == 1 else _same_name(column_names, "text")
        if match is None:
            pair = " and ".join(f"'{text}'" for text in wanted.texts)
            raise DataError(
                f"there is no column '{name}'. The model was trained on {pair}; "
                f"here the columns are {_listing(column_names)}. {_did_you_mean(column_names, name)}Rename the column."
            )
        found.append(match)
    return Columns(found[0], found[1] if len(found) > 1 else None)


def _named(table: Table, name: str, key: str) -> str:
    if name in table.column_names:
        return name
    match = _same_name(table.column_names, name)
    if match is not None:
        return match
    raise DataError(
        f"{table.source} has no column '{name}' ({key}). {_did_you_mean(table.column_names, name)}"
        f"Its columns are {_listing(table.column_names)}."
    )


def _find_text(table: Table, taken: set[str | None]) -> tuple[str, str | None]:
    names = [name for name in table.column_names if name not in taken]
    if _same_name(names, "text") is None:
        for one, other in _PAIRS:
            pair = _same_name(names, one), _same_name(names, other)
            if pair[0] is not None and pair[1] is not None:
                return pair[0], pair[1]
    found = _by_name(table, names, _TEXT_NAMES, "text_column")
    if found is None:
        labels = {_same_name(names, name) for tier in _LABEL_NAMES[:2] for name in tier}
        found = _text_by_content(table, [name for name in names if name not in labels], taken)
    return found, None


def _partner(table: Table, text: str, taken: set[str]) -> str | None:
    """The second text that usually comes with a text column of this name."""
    names = [name for name in table.column_names if name not in taken]
    partners = (other for one, other in _PAIRS if one == text.lower())
    return next((match for other in partners if (match := _same_name(names, other))), None)


def _find_label(table: Table, taken: set[str | None], *, need_label: bool) -> str | None:
    names = [name for name in table.column_names if name not in taken]
    found = _by_name(table, names, _LABEL_NAMES, "label_column")
    if found is not None or not need_label:
        return found
    candidates = [name for name in names if _looks_like_labels(table.values(name, _sample(table)))]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise _ambiguous(table, candidates, "label_column", more="; several 0/1 columns with commas between them")
    hint = "" if names else " If its first line is already an example, put a header line such as text,label above it."
    raise DataError(
        f"{table.source} has no column that looks like a label{_apart_from(taken)}. "
        f"Its columns are {_listing(table.column_names)}; name the one that is meant with --set label_column=….{hint}"
    )


def _by_name(table: Table, names: Sequence[str], tiers: Sequence[Sequence[str]], key: str) -> str | None:
    for tier in tiers:
        found = [name for name in names if name.strip().lower().replace("-", "_").replace(" ", "_") in tier]
        if len(found) > 1:
            raise _ambiguous(table, found, key)
        if found:
            return found[0]
    return None


def _text_by_content(table: Table, names: Sequence[str], taken: set[str | None]) -> str:
    """The one column of free text; of several the one that is by far the longest."""
    lengths = {name: length for name in names if (length := _text_length(table.values(name, _sample(table)))) > 0}
    by_length = sorted(lengths, key=lambda name: -lengths[name])
    if not by_length:
        raise DataError(
            f"{table.source} has no column that looks like text{_apart_from(taken)}. "
            f"Its columns are {_listing(table.column_names)}; name the one that is meant with --set text_column=…. "
            "If its first line is already an example, put a header line such as text,label above it."
        )
    rivals = [name for name in by_length if 2 * lengths[name] > lengths[by_length[0]]]
    if len(rivals) > 1:
        raise _ambiguous(table, rivals, "text_column", more=" (and text_pair_column=… if both belong to an example)")
    return by_length[0]


def _text_length(values: Sequence[Any]) -> float:
    """The mean length in characters of a column's values; 0 when they are no free text."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if not texts or 2 * len(texts) < len(values):
        return 0.0
    with_spaces = sum(" " in text.strip() for text in texts)
    return sum(map(len, texts)) / len(texts) if 2 * with_spaces >= len(texts) else 0.0


def _looks_like_labels(values: Sequence[Any]) -> bool:
    """Few different, short values that come again and again."""
    given = [value for value in values if value is not None and value != ""]
    if any(isinstance(value, list) for value in given):
        given = [item for value in given if isinstance(value, list) for item in value]
    if any(isinstance(value, dict | list) or (isinstance(value, float) and value % 1) for value in given):
        return False
    different = set(map(str, given))
    return 2 <= len(different) <= max(2, min(50, len(given) // 2)) and max(map(len, different)) <= 60


def _checked(table: Table, columns: Columns) -> Columns:
    """The columns, if texts are texts and none is used twice."""
    uses: dict[str, list[str]] = {}
    keys = [*TEXT_KEYS[: len(columns.texts)], *["label_column"] * len(columns.labels)]
    for name, key in zip((*columns.texts, *columns.labels), keys, strict=True):
        uses.setdefault(name, []).append(key)
        if len(uses[name]) > 1:
            raise DataError(
                f"{table.source}: column '{name}' is taken twice, as {' and as '.join(uses[name])}. Name another "
                f"column for one of them, or leave that setting out; the columns are {_listing(table.column_names)}."
            )
    for name, key in zip(columns.texts, TEXT_KEYS, strict=False):
        kind = table.data.schema.field(name).type
        tests: tuple[Callable[[Any], bool], ...] = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary)
        if any(test(kind) for test in tests):
            what = "lists or objects" if pa.types.is_nested(kind) else "bytes"
            raise DataError(f"{table.source}: column '{name}' holds {what}, not texts. Choose one with --set {key}=….")
    return columns


def _sample(table: Table) -> np.ndarray:
    return np.unique(np.linspace(0, len(table) - 1, _SAMPLE_ROWS).astype(np.int64))


def _same_name(names: Sequence[str], name: str) -> str | None:
    if name in names:
        return name
    return next((other for other in names if other.strip().lower() == name.strip().lower()), None)


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:40]}'" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _apart_from(taken: set[str | None]) -> str:
    names = sorted(name for name in taken if name is not None)
    return f", not counting {_listing(names)}, which is taken" if names else ""


def _did_you_mean(names: Sequence[str], name: str) -> str:
    lowered = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), lowered, 1)
    return f"Did you mean '{lowered[near[0]]}'? " if near else ""


def _ambiguous(table: Table, names: Sequence[str], key: str, more: str = "") -> DataError:
    what = "text" if key == "text_column" else "label"
    return DataError(
        f"{table.source}: several columns could be the {what}: {_listing(names)}. "
        f"Say which with --set {key}={names[0]}{more}."
    )
