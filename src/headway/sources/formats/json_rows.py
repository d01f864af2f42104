"""Rows of JSON: lines with an object each, an array of objects, or one document that holds a table.

A document is read as a whole and may therefore not be longer than `LINE_LIMIT`; lines, and arrays over several lines,
may be as many as there are.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from headway.errors import DataError
from headway.sources.bad_rows import BadRowPolicy, place
from headway.sources.formats.lines import LINE_LIMIT, Lines, Row

__all__ = ["json_rows"]

_DECODER = json.JSONDecoder()
_NO_OBJECT = 'not an object such as {"text": "…", "label": "…"}. Fix it'
_SURROGATE = "the text contains an unpaired surrogate such as \\ud83d"
_LONGEST_TOKEN = 16
"""An error so near to the end of what was read may be a cut number, word or escape, as in `fal` or `\\u00`."""
_BETWEEN = re.compile(r"[\s,]*")


def json_rows(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    """The rows of a JSON file, by how it begins.

    Raises:
        DataError: It is no JSON, or no table, or a row cannot be used and `policy` does not skip it.
    """
    for line in lines:
        if line.isspace():
            lines.start_row()
            continue
        beginning, value = line.strip(), _object(line)
        is_array = beginning.startswith("[")
        could_be_document = _holds_rows(value) if isinstance(value, dict) else beginning.startswith("{")
        # An object in the next line, too, means that each line is a row.
        following = next(lines, "") if could_be_document else ""
        lines.put_back()
        if is_array:
            return _of_array(lines, policy)
        if could_be_document and not isinstance(_object(following), dict):
            return _of_document(lines, policy)
        return _of_lines(lines, policy)
    return iter(())


def _of_lines(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    number = 0
    for line in lines:
        if not line.isspace():
            number += 1
            values = _object(line)
            problem = lines.problem or (values if isinstance(values, str) else None)
            if problem is not None:
                policy.report(place(lines.name, number, lines.number), problem, number)
            elif isinstance(values, dict):
                yield Row(number, lines.number, len(line), values)
        lines.start_row()


def _of_array(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    """The objects of an array, read piece by piece."""
    text, number, position = _next_piece(lines), 0, 1
    while True:
        position = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty text, too
        if text.startswith("]", position):
            break
        value, end = _next_value(text, position)
        if end > position:
            number += 1
            problem = _problem(value, text[position:end])
            if problem is not None:
                policy.report(place(lines.name, number, 0), problem, number)
            else:
                yield Row(number, 0, end - position, value)
            position = end
            lines.start_row()
            continue
        following = _next_piece(lines) if value is None else ""
        if not following or len(text) - position > LINE_LIMIT:
            raise DataError(
                f"{lines.name}: this JSON array breaks off or is damaged behind object {number:,}. Fix the file."
            )
        text, position = text[position:] + following, 0
    if text[position + 1 :].strip() or any(not line.isspace() for line in lines):
        raise DataError(f"{lines.name}: there is more behind the JSON array. Keep one array, or one object per line.")


def _next_piece(lines: Lines) -> str:
    """The next line of a document; "" at its end.

    Raises:
        DataError: It cannot be decoded.
    """
    line = next(lines, "")
    if lines.problem:
        raise DataError(f"{lines.name}, line {lines.number}: {lines.problem}.")
    return line


def _next_value(text: str, position: int) -> tuple[Any, int]:
    """The JSON value at a position, and its end.

    The end is the position itself where there is none: then the value is None if more of the text may complete it, and
    the reason if nothing can.
    """
    try:
        value, end = _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        may_go_on = error.msg.startswith("Unterminated string") or error.pos >= len(text) - _LONGEST_TOKEN
        return (None if may_go_on else error.msg), position
    except (ValueError, RecursionError):
        return "too large", position
    # A number at the very end may go on in the next piece.
    return (None, position) if end == len(text) and not isinstance(value, dict | list | str) else (value, end)


def _problem(value: Any, text: str) -> str | None:
    """What is wrong with a value of an array or document that should be a row, written as `text`."""
    if not isinstance(value, dict):
        return _NO_OBJECT
    return f"{_SURROGATE}. Fix it" if _has_lone_surrogate(value, text) else None


def _has_lone_surrogate(value: Any, text: str) -> bool:
    """Whether a value contains half of a character, which no text may."""
    if "\\ud" not in text and "\\uD" not in text:
        return False
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _of_document(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    """The rows of one JSON document: a table by column, as pandas writes it, or a list of objects under some name."""
    parts, size = [], 0
    while line := _next_piece(lines):
        parts.append(line)
        size += len(line)
        if size > LINE_LIMIT:
            raise DataError(f"{lines.name}: one JSON document of more than 64 MB. Write one object per line instead.")
    text = "".join(parts)
    objects = _objects_in_sequence(text)
    if objects is None:
        raise DataError(f"{lines.name}: {_why_no_json(text)}. Fix the file.")
    if len(objects) > 1:
        rows: list[Any] = objects
    else:
        rows = _table(objects[0], lines.name)
    for number, row in enumerate(rows, 1):
        problem = _problem(row, text)
        if problem is not None:
            policy.report(place(lines.name, number, 0), problem, number)
        else:
            yield Row(number, 0, size // len(rows), row)


def _objects_in_sequence(text: str) -> list[dict[str, Any]] | None:
    """Objects over several lines each, one after the other; None where something else stands there."""
    found: list[dict[str, Any]] = []
    position = 0
    while position < len(text):
        position = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        if position == len(text):
            break
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        found.append(value)
    return found or None


def _table(document: dict[str, Any], name: str) -> list[Any]:
    """The rows that a document holds.

    Raises:
        DataError: It holds none, or several lists of rows.
    """
    if _is_by_column(document):
        columns = {key: _cells(values) for key, values in document.items()}
        indices = list(dict.fromkeys(index for cells in columns.values() for index in cells))
        return [{key: cells.get(index) for key, cells in columns.items()} for index in indices]
    lists = _rows_within(document)
    if len(lists) == 1:
        return list(next(iter(lists.values())))
    if lists:
        raise DataError(f"{name}: several lists of rows ({', '.join(lists)}). Keep one, or write a file for each.")
    return [document]


def _holds_rows(document: dict[str, Any]) -> bool:
    """Whether an object seems to hold a table rather than to be a row."""
    return _is_by_column(document) or bool(_rows_within(document))


def _is_by_column(document: Mapping[str, Any]) -> bool:
    """Whether every value is a column: an object by row number, as pandas writes it, or a list; all equally long."""
    values = list(document.values())
    if not values:
        return False
    if all(isinstance(value, dict) and value and all(key.isdigit() for key in value) for value in values):
        return True
    lists = [value for value in values if isinstance(value, list) and len(value) > 1]
    alike = len(lists) == len(values) > 1 and len({len(value) for value in lists}) == 1
    # A row may consist of lists, too, but hardly of lists of texts as long as sentences.
    return alike and any(all(isinstance(item, str) and " " in item for item in value) for value in lists)


def _cells(values: Any) -> dict[str, Any]:
    return dict(values) if isinstance(values, dict) else {str(index): value for index, value in enumerate(values)}


def _rows_within(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The lists of objects in a document that is no row itself: nothing else in it is a text."""
    lists = {
        key: value
        for key, value in document.items()
        if isinstance(value, list) and len(value) > 1 and all(isinstance(item, dict) for item in value)
    }
    others = [value for key, value in document.items() if key not in lists]
    return {} if any(isinstance(value, str) and len(value.split()) > 3 for value in others) else lists


def _object(line: str) -> dict[str, object] | str:
    """The object that a line holds, or what is wrong with it."""
    try:
        value = json.loads(line.rstrip())
    except json.JSONDecodeError as error:
        return f"this is not JSON ({error.msg[:1].lower()}{error.msg[1:]}, at character {error.colno}). Fix the line"
    except (ValueError, RecursionError):
        return "a number or a nesting in this line is too large to read. Fix the line"
    if not isinstance(value, dict):
        return 'this is JSON, but not an object such as {"text": "…", "label": "…"}. Fix the line'
    return f"{_SURROGATE}. Fix the line" if _has_lone_surrogate(value, line) else value


def _why_no_json(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return (
            f"this is not JSON ({error.msg[:1].lower()}{error.msg[1:]}, line {error.lineno}, character {error.colno})"
        )
    except (ValueError, RecursionError):
        return "a number or a nesting in it is too large to read"
    return "this JSON holds no rows"
