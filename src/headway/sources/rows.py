"""Rows of CSV, TSV, JSON lines, Parquet and plain text, one at a time and strictly: every row or a reason why not.

Nothing is guessed about values: a CSV's fields are texts as they stand ("NA", "null" and "007" stay what they are).
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NamedTuple

from headway.errors import DataError
from headway.sources.opening import FIELD_LIMIT, Format, Lines, place
from headway.sources.parquet import parquet_batches

__all__ = ["BadRow", "BadRowPolicy", "BadRows", "Row", "rows_of"]

NAME_LIMIT = 1000
"""The longest name of a column of a CSV, in characters. A longer one is a text: the file has no header."""

LISTED = 100
"""So many bad rows are kept with their reasons; all are counted."""

_SKIP = "or leave such rows out with --skip-bad-rows"


class Row(NamedTuple):
    """One row: its number among the data rows of its file, the line it begins on (0: none), its size, its values."""

    number: int
    line: int
    size: int
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was skipped, and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class BadRows:
    """The rows that were skipped: how many in all, and the first hundred."""

    count: int = 0
    listed: tuple[BadRow, ...] = ()

    def all_of(self, name: str) -> DataError:
        """The error when these are all rows that there are."""
        first = self.listed[0]
        return DataError(
            f"{name}: none of the {self.count:,} rows can be used. The first: {first.where}: {first.reason}."
        )


@dataclass
class BadRowPolicy:
    """What happens to a row that cannot be used: an error, or, when asked for, it is skipped and remembered."""

    skip: bool = False
    count: int = 0
    listed: list[BadRow] = field(default_factory=list)

    def report(self, where: str, reason: str) -> None:
        """Remember a bad row, or raise a DataError when bad rows are not to be skipped."""
        if not self.skip:
            raise DataError(f"{where}: {reason}, {_SKIP}.")
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(BadRow(where, reason))

    def seen(self) -> BadRows:
        """All bad rows so far."""
        return BadRows(self.count, tuple(self.listed))


def rows_of(stream: BinaryIO, name: str, format: Format, faults: BadRowPolicy) -> Iterator[Row]:
    """The rows of an open file or pipe.

    Raises:
        DataError: The file has no usable header, or a row cannot be used and `faults` does not skip.
    """
    if format == "parquet":
        return _parquet_rows(stream, name)
    readers: dict[Format, Callable[[Lines, BadRowPolicy], Iterator[Row]]] = {"jsonl": _json_rows, "text": _text_rows}
    if format in readers:
        return readers[format](Lines(stream, name), faults)
    return _csv_rows(stream, Lines(stream, name), faults, "\t" if format == "tsv" else None)


def _text_rows(lines: Lines, faults: BadRowPolicy) -> Iterator[Row]:
    for line in lines:
        if lines.problem:
            faults.report(place(lines.name, lines.number, 0), lines.problem)
        else:
            yield Row(lines.number, lines.number, len(line), {"text": line.rstrip("\r\n")})
        lines.start_row()


def _json_rows(lines: Lines, faults: BadRowPolicy) -> Iterator[Row]:
    number = 0
    for line in lines:
        if not line.isspace():
            number += 1
            values = _json_object(line)
            problem = lines.problem or (values if isinstance(values, str) else None)
            if number == 1 and isinstance(values, str):
                _refuse_whole_json(line, lines.name)
            if problem is not None:
                faults.report(place(lines.name, number, lines.number), problem)
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
        return f"this is not JSON ({error.msg[:1].lower()}{error.msg[1:]}, at character {error.colno}). Mend the line"
    except UnicodeEncodeError:
        return "half of a character (a lone surrogate such as \\ud83d) stands in the text. Mend the line"
    except (ValueError, RecursionError):
        return "a number or a nesting in this line is too large to read. Mend the line"
    if not isinstance(value, dict):
        return 'this is JSON, but not an object such as {"text": "…", "label": "…"}. Mend the line'
    return value


def _refuse_whole_json(line: str, name: str) -> None:
    if line.lstrip().startswith("[") or line.strip() == "{":
        items = ".[]" if line.lstrip().startswith("[") else "."
        raise DataError(
            f"{name} is one JSON document over the whole file; Headway reads JSON lines, one object a line. "
            f"Convert it: jq -c '{items}' {name} > {name.split('.')[0]}-lines.jsonl"
        )


def _csv_rows(stream: BinaryIO, lines: Lines, faults: BadRowPolicy, delimiter: str | None) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    sample = stream.peek().decode(errors="replace").removeprefix("\ufeff")  # type: ignore[attr-defined]
    if delimiter is None:
        delimiter, announced = _delimiter(sample)
        if announced:
            next(lines)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" and _quotes_are_letters(sample) else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=quoting == csv.QUOTE_MINIMAL)
    header = _header(reader, lines)
    number = 0
    while True:
        lines.start_row()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            lines.back_to_second_line()
            faults.report(place(lines.name, number, lines.first), _explain(error))
            continue
        if not fields or (len(fields) == 1 < len(header) and not fields[0].strip()):
            continue
        number += 1
        if lines.problem or len(fields) != len(header):
            reason = lines.problem or _ragged(fields, header, delimiter)
            faults.report(place(lines.name, number, lines.first), reason)
        else:
            yield Row(number, lines.first, lines.bytes_in_row, dict(zip(header, fields, strict=True)))


def _delimiter(sample: str) -> tuple[str, bool]:
    """The delimiter of a CSV by its header line, and whether a line `sep=;` (Excel's) announced it."""
    first = next((line for line in sample.splitlines() if line.strip()), "")
    if first[:4].lower() == "sep=" and len(first.strip()) == 5:
        return first.strip()[4], True
    unquoted = "".join(first.split('"')[::2])
    return max(",;\t|", key=unquoted.count), False


def _quotes_are_letters(sample: str) -> bool:
    """Whether the quotation marks of a TSV are part of its texts, as in GLUE, and not put around fields, as by Excel.

    They are when no field of the sample needs them: every line has as many tabs as the header, and somewhere a field
    that begins with a quotation mark does not end with one.
    """
    whole_lines = [line for line in sample.split("\n")[:-1] if line.strip()]
    if len({line.count("\t") for line in whole_lines}) != 1:
        return False
    fields = (field.strip("\r") for line in whole_lines for field in line.split("\t"))
    return any(
        field.startswith('"') and not (len(field) > 1 and field.endswith('"') and '"' not in _inside(field))
        for field in fields
    )


def _inside(field: str) -> str:
    return field[1:-1].replace('""', "")


def _header(reader: Iterator[list[str]], lines: Lines) -> list[str]:
    """The column names of a CSV, without the spaces around them.

    Raises:
        DataError: The file is empty, or the header is broken or names a column twice.
    """
    try:
        fields: list[str] = next((fields for fields in reader if any(map(str.strip, fields))), [])
    except csv.Error as error:
        raise DataError(f"{lines.name}, line {lines.first} (the header): {_explain(error)}.") from None
    if lines.problem:
        raise DataError(f"{lines.name}, line {lines.number} (the header): {lines.problem}.")
    if not fields:
        raise DataError(f"{lines.name} is empty. It needs a header line such as text,label and one row per example.")
    names = [name.strip() or f"unnamed_{position}" for position, name in enumerate(fields, 1)]
    longest = max(map(len, names))
    if longest > NAME_LIMIT:
        raise DataError(
            f"{lines.name}, line {lines.number} (the header): the name of a column has {longest:,} characters. "
            "The first line should name the columns, such as text,label: write it above the rows."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{lines.name}: two columns are called '{twice[:40]}'. Rename one of them in the header line.")
    return names


def _explain(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text or "field limit" in text:
        return "a quotation mark opens a field here and is never closed. Close it, or write quotes in texts twice"
    if "expected after" in text:
        return "a quoted field ends in the middle: quotation marks within a text must be written twice. Mend the row"
    return f"this row is not CSV ({text}). Mend it"


def _ragged(fields: list[str], header: list[str], delimiter: str) -> str:
    sign = {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(delimiter, f"'{delimiter}'")
    found = f"{len(fields)} field{'s' if len(fields) > 1 else ''} where the header has {len(header)}"
    names = ", ".join(name[:40] for name in header[:6]) + (", …" if len(header) > 6 else "")
    if len(fields) > len(header):
        return f"{found} ({names}). Put quotation marks around texts that contain {sign}"
    return f"{found} ({names}). Add what is missing"


def _parquet_rows(stream: BinaryIO, name: str) -> Iterator[Row]:
    number = 0
    for batch in parquet_batches(stream, name):
        for values in batch.to_pylist():
            number += 1
            yield Row(number, 0, 0, values)
