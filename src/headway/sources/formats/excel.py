"""Rows of a spreadsheet (.xlsx): the first sheet that has any, its first row the header.

Numbers that are whole are read as whole numbers, dates as ISO 8601.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, BinaryIO

from headway.errors import DataError
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.formats.lines import Row

__all__ = ["excel_rows"]


def excel_rows(stream: BinaryIO, name: str, policy: BadRowPolicy) -> Iterator[Row]:
    """The rows of an open spreadsheet.

    Raises:
        DataError: It is none, has no rows or no usable header, or the package that reads it is missing.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise DataError(
            f"{name}: spreadsheets need one more package: pip install 'headway[excel]'. Or save the table as CSV."
        ) from None
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))  # it is read from its end
        sheets = [(sheet, book.get_sheet_by_name(sheet).to_python()) for sheet in book.sheet_names]
    except CalamineError as error:
        raise DataError(f"{name}: this spreadsheet cannot be read ({error}). Save it again, or as CSV.") from None
    filled = [(sheet, rows) for sheet, rows in sheets if rows]
    if not filled:
        raise DataError(f"{name}: the spreadsheet is empty. It needs a header row and one row per example.")
    sheet, rows = filled[0]
    if len(filled) > 1:
        policy.tell(f"{name}: the sheet {sheet!r} is read; {len(filled) - 1} more have rows that are not.")
    header = _header(rows[0], name)
    for number, values in enumerate(rows[1:], 1):
        cells = {column: _plain(value) for column, value in zip(header, values, strict=False) if column is not None}
        if any(value is not None for value in cells.values()):
            yield Row(number, number + 1, sum(len(str(value)) for value in values), cells)


def _header(values: list[Any], name: str) -> list[str | None]:
    """The names of the columns; None for those without one.

    Raises:
        DataError: No cell has a name, or two have the same.
    """
    names = [str(_plain(value)).strip() if value != "" else None for value in values]
    given = [each for each in names if each]
    if not given:
        raise DataError(f"{name}: the first row should name the columns, such as text and label.")
    twice = next((each for each in given if given.count(each) > 1), None)
    if twice is not None:
        raise DataError(f"{name}: two columns are called '{twice[:40]}'. Rename one of them in the first row.")
    return names


def _plain(value: Any) -> Any:
    """A cell as the other formats have it; an empty one is null."""
    if value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.isoformat() if isinstance(value, date | datetime | time) else value
