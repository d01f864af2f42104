"""Rows of CSV, TSV, JSON lines, Parquet and plain text, one at a time and strictly: every row or a reason why not.

Nothing is guessed about values: a CSV's fields are texts as they stand ("NA", "null" and "007" stay what they are).
"""

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, NamedTuple

from headway.data.formats import Format, Lines
from headway.errors import DataError

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "BadRow", "BadRows", "Faults", "Row", "parquet_batches", "place", "rows_of"]

FIELD_LIMIT = 1 << 24
"""The longest field of a CSV in characters. A longer one is a quote that nobody closed."""

NAME_LIMIT = 1000
"""The longest name of a column of a CSV, in characters. A longer one is a text: the file has no header."""

BATCH_ROWS = 4096
BATCH_BYTES = 1 << 25
"""Some thousand rows are handled together, fewer where they are long."""

_UNPACKED_LIMIT = 1 << 28
_RATIO_LIMIT = 100
"""A row group of Parquet that unpacks to more than both, the second times its file, is made to fill the memory: texts
shrink to a third or a tenth."""

_LONG = 1 << 17
"""How long a text is taken to be, in bytes, where nothing is known of it."""

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


@dataclass
class Faults:
    """What happens to a row that cannot be used: an error, or, when asked for, it is skipped and remembered."""

    skip: bool
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


def place(name: str, number: int, line: int) -> str:
    """How a row is called in messages: 'reviews.csv, row 17 (line 18)'."""
    return f"{name}, row {number} (line {line})" if line else f"{name}, row {number}"


def rows_of(stream: BinaryIO, name: str, format: Format, faults: Faults) -> Iterator[Row]:
    """The rows of an open file or pipe.

    Raises:
        DataError: The file has no usable header, or a row cannot be used and `faults` does not skip.
    """
    if format == "parquet":
        return _parquet_rows(stream, name)
    readers: dict[Format, Callable[[Lines, Faults], Iterator[Row]]] = {"jsonl": _json_rows, "text": _text_rows}
    if format in readers:
        return readers[format](Lines(stream, name), faults)
    return _csv_rows(stream, Lines(stream, name), faults, "\t" if format == "tsv" else None)


def _text_rows(lines: Lines, faults: Faults) -> Iterator[Row]:
    for line in lines:
        if lines.problem:
            faults.report(place(lines.name, lines.number, 0), lines.problem)
        else:
            yield Row(lines.number, lines.number, len(line), {"text": line.rstrip("\r\n")})
        lines.start_row()


def _json_rows(lines: Lines, faults: Faults) -> Iterator[Row]:
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


def _csv_rows(stream: BinaryIO, lines: Lines, faults: Faults, delimiter: str | None) -> Iterator[Row]:
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


def parquet_batches(stream: BinaryIO, name: str) -> Iterator[Any]:
    """The record batches (pyarrow) of a Parquet file: as many rows at once as fit into some 32 MB.

    Raises:
        DataError: The file is no Parquet file, is damaged, or holds a text that is too long.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(stream, pre_buffer=False)
        for group in range(file.num_row_groups):
            rows = _rows_at_once(stream, file.metadata, group, f"{name}, from row {number + 1}")
            for batch in file.iter_batches(rows, [group]):
                _refuse_long_texts(batch, name, number)
                batch.validate(full=True)  # text that is no UTF-8 is taken as it is otherwise, and fails when used
                number += batch.num_rows
                yield batch
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{name} is not a readable Parquet file ({reason}). Write or download it again.") from error


def _rows_at_once(stream: BinaryIO, metadata: Any, index: int, where: str) -> int:
    """How many rows of a row group are decoded together, by their mean size and the longest text of a dictionary.

    A dictionary holds a text once, however many rows have it: a file of a kilobyte can stand for terabytes.
    """
    # What the file says of a row group's columns is not asked for: pyarrow ends the process where that is damaged.
    group = metadata.row_group(index)
    there = stream.seek(0, os.SEEK_END)
    if group.total_byte_size > max(_UNPACKED_LIMIT, _RATIO_LIMIT * there):
        raise DataError(
            f"{where}: {there:,} bytes unpack to {group.total_byte_size:,} or more, as no texts do. Write the file "
            "again with fewer rows in a group, and without texts of that length."
        )
    leaves = [metadata.schema.column(column) for column in range(metadata.num_columns)]
    # What lies in lists is not looked at: how many texts a row has is not known before it is read.
    texts = [
        column
        for column, leaf in enumerate(leaves)
        if leaf.physical_type == "BYTE_ARRAY" and leaf.max_repetition_level == 0
    ]
    fixed = sum(max(0, leaf.length or 0) for leaf in leaves)
    mean = group.total_byte_size // max(1, group.num_rows)
    size = max(1, mean, fixed, _longest_in_dictionaries(stream, index, texts))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // size))


def _longest_in_dictionaries(stream: BinaryIO, group: int, columns: list[int]) -> int:
    """The bytes of the longest texts in the dictionaries of a row group, added over its columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # With a buffer, the first pages are read and not all of the column.
    file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 16, read_dictionary=columns)
    try:
        first = next(file.iter_batches(1, [group]), None)  # the whole dictionary comes with any row
    except (pa.ArrowException, OSError):
        # Damaged, which is said when it is read; or texts are written as differences from the ones before, which grow
        # as they are put together and have no dictionary.
        return _LONG
    return sum(map(_longest, first.columns)) if first else 0


def _longest(array: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.StructArray):
        return sum(map(_longest, array.flatten()))
    return pc.max(pc.binary_length(array.dictionary)).as_py() or 0 if isinstance(array, pa.DictionaryArray) else 0


def _refuse_long_texts(batch: Any, name: str, before: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if batch.nbytes <= FIELD_LIMIT:
        return
    for column, array in zip(batch.schema.names, batch.columns, strict=True):
        texts = array.dictionary if isinstance(array, pa.DictionaryArray) else array
        kind = texts.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)):
            continue
        lengths = pc.binary_length(texts)
        if (pc.max(lengths).as_py() or 0) <= FIELD_LIMIT:
            continue
        lengths = lengths.take(array.indices) if isinstance(array, pa.DictionaryArray) else lengths
        row = pc.index(pc.fill_null(pc.greater(lengths, FIELD_LIMIT), False), True).as_py()
        if row >= 0:
            raise DataError(
                f"{place(name, before + row + 1, 0)}: '{column[:40]}' has {lengths[row].as_py():,} bytes, more than "
                f"the {FIELD_LIMIT:,} that are read. Shorten it, or leave the row out."
            )


def _parquet_rows(stream: BinaryIO, name: str) -> Iterator[Row]:
    number = 0
    for batch in parquet_batches(stream, name):
        for values in batch.to_pylist():
            number += 1
            yield Row(number, 0, 0, values)
