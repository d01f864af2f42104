"""What comes through a pipe, which has no name: JSON lines, a table, or one text per line; told by its beginning."""

import csv
import json
import re
from collections.abc import Collection, Sequence
from typing import Literal

from headway.errors import DataError, cut

__all__ = ["kind_of_pipe"]

_DELIMITERS = {",": "csv", "\t": "tsv", ";": "csv", "|": "csv"}
_NAME = re.compile(r"[\w.\-/#]{1,40}")
_FEW_WORDS = 4
_CHECKED_LINES = 20


def kind_of_pipe(head: str, name: str, columns: Collection[str]) -> Literal["csv", "tsv", "jsonl", "text"]:
    """The format of what begins with `head`.

    A table is recognised by a header that names one of `columns`. What only looks like a table is refused: taken for
    texts, its header and raw lines would be answered.

    Args:
        head: The first characters, without a byte order mark; the last line may be cut.
        name: What the pipe is called in messages.
        columns: Names of columns that a header would have, in lower case.

    Raises:
        DataError: It is a JSON document that holds no rows, or seems to be a table without any of these columns.
    """
    first, *rest = head.lstrip().split("\n")
    first = first.strip()
    if _is_json(first, bool(rest)) or re.match(r"\[\s*\{", head.lstrip()):
        return "jsonl"
    if _is_array(first, bool(rest)):
        raise DataError(
            f"{name} is one JSON document, not one object per line. Convert it on the way: … | jq -c '.[]' | headway "
            "predict …, or use --input-format text if each line is a text."
        )
    lines = [line.rstrip("\r") for line in rest[:-1] if line.strip()][:_CHECKED_LINES]
    delimiter = max(_DELIMITERS, key=first.count)
    header = _cells(first, delimiter)
    agree = all(len(_cells(line, delimiter)) == len(header) for line in lines)
    known = _names_one_of(header, columns)
    if re.fullmatch(r"(?i)sep=.", first) or (known and (agree or len(header) > 1)):
        return "tsv" if _DELIMITERS[delimiter] == "tsv" else "csv"
    if known or (len(header) > 1 and lines and agree and all(_NAME.fullmatch(cell) for cell in header)):
        raise DataError(
            f"{name} seems to be a table with the columns {cut(', '.join(header), 80)}, not one text per line. Say "
            "what it is: --input-format csv (and --text-column NAME), or --input-format text if each line is a text."
        )
    return "text"


def _is_json(first: str, whole: bool) -> bool:
    """Whether the first line is an object, or the beginning of one; a cut line is judged by its beginning."""
    return first == "{" or (first.startswith("{") and (not whole or _parses(first, dict)))


def _is_array(first: str, whole: bool) -> bool:
    return first == "[" or (first.startswith("[") and _parses(first, list)) or (first.startswith('["') and not whole)


def _parses(text: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except (ValueError, RecursionError):
        return False


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def _names_one_of(header: Sequence[str], columns: Collection[str]) -> bool:
    """Whether these cells are names of columns, one of them known, and no sentence that begins with such a word."""
    cells = [cell.strip().lower() for cell in header]
    short = all(cell and len(cell) <= 40 and len(cell.split()) <= _FEW_WORDS for cell in cells)
    return short and len(set(cells)) == len(cells) and any(cell in columns for cell in cells)
