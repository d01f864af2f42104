"""Rows of CSV and TSV: header, delimiter and quotes as spreadsheets and people write them."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from headway.errors import DataError, cut
from headway.sources.bad_rows import BadRowPolicy, place
from headway.sources.formats.lines import Lines, Row
from headway.sources.opening import FIELD_LIMIT

__all__ = ["csv_rows"]

_NAME = re.compile(r"(?!unnamed_\d)[\w.\-]+")
NAME_LIMIT = 1000
"""The longest name of a column of a CSV, in characters. Anything longer is text: the file has no header."""


def csv_rows(lines: Lines, head: bytes, policy: BadRowPolicy, delimiter: str | None) -> Iterator[Row]:
    """The rows of an open CSV; without a `delimiter` its header decides.

    Args:
        lines: The file.
        head: The bytes that it begins with, to see how it is written.
        policy: What happens to bad rows, and who is told what was found.
        delimiter: What stands between fields.

    Raises:
        DataError: The header cannot be used, or a row cannot and `policy` does not skip it.
    """
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    sample = head.decode(errors="replace").removeprefix("\ufeff")
    if delimiter is None:
        delimiter, announced = _delimiter(sample)
        if announced:
            next(lines)
            sample = sample.partition("\n")[2]
    style = _style(sample, delimiter)
    if "escapechar" in style:
        policy.tell(f"{lines.name}: a backslash before a quotation mark is taken for its escape, and left out.")
    reader = csv.reader(lines, **style)
    header = _header(reader, lines)
    _refuse_preamble(sample, style, header, lines.name)
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
            policy.report(place(lines.name, number, lines.first), _explain(error), number)
            continue
        if not fields or (len(fields) == 1 < len(header) and not fields[0].strip()):
            continue
        number += 1
        where = place(lines.name, number, lines.first)
        if len(fields) == len(header) + 1 and not fields[-1].strip():
            policy.tell(f"{lines.name}: a delimiter stands at the end of lines; the empty field behind it is left out.")
            fields = fields[:-1]
        if lines.problem or len(fields) != len(header):
            policy.report(where, lines.problem or _ragged(fields, header, delimiter), number)
        elif len(header) > 1 and [field.strip() for field in fields] == header:
            policy.tell(f"{where} repeats the header and was left out.")
        else:
            yield Row(number, lines.first, lines.bytes_in_row, dict(zip(header, fields, strict=True)))


def _style(sample: str, delimiter: str) -> dict[str, Any]:
    """How a CSV is quoted, as arguments of `csv.reader`, by its first lines."""
    if delimiter == "\t" and _quotes_are_letters(sample):
        return {"delimiter": delimiter, "quoting": csv.QUOTE_NONE}
    style: dict[str, Any] = {"delimiter": delimiter, "strict": True}
    if delimiter != " " and re.search(re.escape(delimiter) + r' +"', sample):
        style["skipinitialspace"] = True
    if '\\"' in sample:  # quotation marks within texts may be written with a backslash instead of twice
        escaped = {**style, "escapechar": "\\", "doublequote": '""' in sample}
        if _rows_that_fit(sample, escaped) > _rows_that_fit(sample, style):
            return escaped
    return style


def _rows_that_fit(sample: str, style: dict[str, Any]) -> int:
    """How many rows of a sample, up to the first that is no CSV, have as many fields as its header."""
    widths = [len(fields) for _, fields in _sample_rows(sample, style)]
    return sum(width == widths[0] for width in widths)


def _sample_rows(sample: str, style: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a sample and their lines, up to the first that is no CSV; without the last line, which may be cut."""
    whole = sample if sample.count("\n") < 2 else sample[: sample.rfind("\n") + 1]
    reader = csv.reader(io.StringIO(whole, newline=""), **style)
    try:
        yield from ((reader.line_num, fields) for fields in reader if fields)
    except csv.Error:
        return


def _refuse_preamble(sample: str, style: dict[str, Any], header: list[str], name: str) -> None:
    """Refuse a file whose table begins further down.

    Where the first line consists of names, it is the header, whatever the others are like: texts may contain the
    delimiter without quotation marks around them.

    Raises:
        DataError: The first line has fewer fields than nearly all of the others.
    """
    if all(map(_NAME.fullmatch, header)):
        return
    for delimiter in style["delimiter"] if _width(header) > 1 else ",;\t|":
        rows = list(_sample_rows(sample, {**style, "delimiter": delimiter}))
        widths = [_width(fields) for _, fields in rows[1:]]
        usual = max(set(widths), key=widths.count, default=0)
        if usual <= _width(rows[0][1] if rows else header) or 10 * widths.count(usual) < 8 * len(widths):
            continue
        line, likely = next((line, fields) for line, fields in rows if _width(fields) == usual)
        if not all(map(str.strip, likely)):  # what is empty in it is no name
            continue
        names = cut(", ".join(field.strip() for field in likely), 60)
        raise DataError(f"{name}: the header seems to be line {line} ({names}). Remove the lines above it.")


def _width(fields: list[str]) -> int:
    """Fields up to the last that is not empty."""
    return max((place for place, field in enumerate(fields, 1) if field.strip()), default=0)


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
        return "a quoted field ends in the middle: quotation marks within a text must be written twice. Fix the row"
    return f"this row is not CSV ({text}). Fix it"


def _ragged(fields: list[str], header: list[str], delimiter: str) -> str:
    sign = {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(delimiter, f"'{delimiter}'")
    found = f"{len(fields)} field{'s' if len(fields) > 1 else ''} where the header has {len(header)}"
    names = ", ".join(name[:40] for name in header[:6]) + (", …" if len(header) > 6 else "")
    if len(fields) > len(header):
        return f"{found} ({names}). Put quotation marks around texts that contain {sign}"
    return f"{found} ({names}). Add what is missing"
