"""Rows of CSV, TSV, JSON lines and plain text, one at a time and strictly: every row or a reason why not.

Nothing is guessed about values: a CSV's fields are texts as they stand ("NA", "null" and "007" stay what they are).
"""

import json
from collections.abc import Iterator
from typing import BinaryIO

from headway.errors import DataError
from headway.sources.bad_rows import BadRowPolicy, place
from headway.sources.formats.csv_rows import csv_rows
from headway.sources.formats.lines import Lines, Row
from headway.sources.opening import Format

__all__ = ["rows_of"]


def rows_of(stream: BinaryIO, name: str, format: Format, policy: BadRowPolicy) -> Iterator[Row]:
    """The rows of an open file or pipe of any format but Parquet.

    Raises:
        DataError: The file has no usable header, or a row cannot be used and `policy` does not skip.
    """
    if format == "jsonl":
        return _json_rows(Lines(stream, name), policy)
    if format == "text":
        return _text_rows(Lines(stream, name), policy)
    return csv_rows(stream, name, policy, "\t" if format == "tsv" else None)


def _text_rows(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    for line in lines:
        if lines.problem:
            policy.report(place(lines.name, lines.number, 0), lines.problem, lines.number)
        else:
            yield Row(lines.number, 0, len(line), {"text": line.rstrip("\r\n")})
        lines.start_row()


def _json_rows(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    number = 0
    for line in lines:
        if not line.isspace():
            number += 1
            values = _json_object(line)
            problem = lines.problem or (values if isinstance(values, str) else None)
            if number == 1 and isinstance(values, str):
                _refuse_whole_json(line, lines.name)
            if problem is not None:
                policy.report(place(lines.name, number, lines.number), problem, number)
            elif isinstance(values, dict):
                yield Row(number, lines.number, len(line), values)
        lines.start_row()


def _json_object(line: str) -> dict[str, object] | str:
    """The object that a line holds, or what is wrong with it."""
    try:
        value = json.loads(line.rstrip())
        if "\\ud" in line or "\\uD" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        return f"this is not JSON ({error.msg[:1].lower()}{error.msg[1:]}, at character {error.colno}). Fix the line"
    except UnicodeEncodeError:
        return "the text contains an unpaired surrogate such as \\ud83d. Fix the line"
    except (ValueError, RecursionError):
        return "a number or a nesting in this line is too large to read. Fix the line"
    if not isinstance(value, dict):
        return 'this is JSON, but not an object such as {"text": "…", "label": "…"}. Fix the line'
    return value


def _refuse_whole_json(line: str, name: str) -> None:
    if line.lstrip().startswith("[") or line.strip() == "{":
        items = ".[]" if line.lstrip().startswith("[") else "."
        way = f"{name} > {name.split('.')[0]}-lines.jsonl" if "." in name else "FILE"
        raise DataError(
            f"{name} is one JSON document over the whole file; Headway reads JSON lines, one object per line. "
            f"Convert it: jq -c '{items}' {way}"
        )
