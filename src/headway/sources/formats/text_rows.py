"""Rows of CSV, TSV, JSON, fastText lines and plain text, one at a time and strictly: every row or a reason why not.

Nothing is guessed about values: a CSV's fields are texts as they stand ("NA", "null" and "007" stay what they are).
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from headway.sources.bad_rows import BadRowPolicy, place
from headway.sources.formats.csv_rows import csv_rows
from headway.sources.formats.excel import excel_rows
from headway.sources.formats.json_rows import json_rows
from headway.sources.formats.lines import Lines, Row
from headway.sources.opening import FASTTEXT_MARK, Dialect, Format, peek

__all__ = ["rows_of"]

_MARKED = re.compile(rf"\s*((?:{FASTTEXT_MARK}\S+\s+)*{FASTTEXT_MARK}\S+)(?:\s|$)")


def rows_of(
    stream: BinaryIO,
    name: str,
    format: Format,
    policy: BadRowPolicy,
    dialect: Dialect = Dialect(),
    *,
    look_ahead: bool = True,
) -> Iterator[Row]:
    """The rows of an open file or pipe of any format but Parquet.

    Args:
        stream: The file.
        name: What it is called in messages.
        format: What it is.
        policy: What happens to bad rows.
        dialect: What the user says about it.
        look_ahead: Whether lines may be waited for, to tell an encoding; a pipe's cannot.

    Raises:
        DataError: The file has no usable header, or a row cannot be used and `policy` does not skip.
    """
    if format == "excel":
        return excel_rows(stream, name, policy)
    lines = Lines(stream, name, dialect.line_encoding, policy.tell, look_ahead=look_ahead)
    if format == "jsonl":
        return json_rows(lines, policy)
    if format == "text":
        return _text_rows(lines, policy)
    if format == "fasttext":
        return _fasttext_rows(lines, policy, several=_has_several(peek(stream)))
    return csv_rows(lines, peek(stream), policy, dialect.delimiter or ("\t" if format == "tsv" else None))


def _text_rows(lines: Lines, policy: BadRowPolicy) -> Iterator[Row]:
    for line in lines:
        if lines.problem:
            policy.report(place(lines.name, lines.number, 0), lines.problem, lines.number)
        else:
            yield Row(lines.number, 0, len(line), {"text": line.rstrip("\r\n")})
        lines.start_row()


def _fasttext_rows(lines: Lines, policy: BadRowPolicy, *, several: bool) -> Iterator[Row]:
    """Lines as fastText has them: `__label__NAME`, once or several times, then the text."""
    for line in lines:
        labels, text = _parted(line)
        problem = lines.problem
        if problem is None and not labels and line.strip():
            problem = f"no {FASTTEXT_MARK} at the beginning of the line. Add the label"
        if problem is None and len(labels) > 1 and not several:
            problem = "several labels, where the first lines have one each. Put such lines first"
        if problem:
            policy.report(place(lines.name, lines.number, 0), problem, lines.number)
        elif labels:
            yield Row(lines.number, 0, len(line), {"text": text, "label": labels if several else labels[0]})
        lines.start_row()


def _parted(line: str) -> tuple[list[str], str]:
    """The labels of a line and its text."""
    marked = _MARKED.match(line)
    if marked is None:
        return [], line.strip()
    return [label.removeprefix(FASTTEXT_MARK) for label in marked.group(1).split()], line[marked.end(1) :].strip()


def _has_several(head: bytes) -> bool:
    """Whether some line of the beginning has several labels."""
    return any(len(_parted(line)[0]) > 1 for line in head.decode(errors="replace").splitlines())
