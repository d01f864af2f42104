"""The values of a column as a field has them: texts, several texts, or images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headway.errors import DataError
from headway.sources.table import Table

__all__ = ["as_texts", "image_of", "read_images", "read_references", "read_texts"]

IntArray = NDArray[np.int64]


def read_texts(table: Table, column: str, rows: IntArray) -> list[str]:
    """The texts of some rows."""
    return as_texts(table.take(rows, [column]).column(0), table, column, rows).to_pylist()


def read_references(table: Table, columns: Sequence[str], rows: IntArray) -> list[tuple[str, ...]]:
    """All texts that some rows have in one or more columns, each of which may hold lists; empty ones left out."""
    found: list[list[str]] = [[] for _ in rows]
    for column in columns:
        for texts, value in zip(found, table.values(column, rows), strict=True):
            items = value if isinstance(value, list) else [value]
            texts += [str(item) for item in items if item is not None and str(item).strip()]
    return [tuple(texts) for texts in found]


def read_images(table: Table, column: str, rows: IntArray) -> list[Any]:
    """The images of some rows: absolute paths, bytes, or None; see `image_of`."""
    return [image_of(table, value) for value in table.values(column, rows)]


def image_of(table: Table, value: Any) -> Any:
    """An image's path (relative ones are relative to the table's folder) or its bytes; None where there is none."""
    if isinstance(value, dict):  # the hub's struct
        value = value.get("bytes") or value.get("path")
    if value is None or value in ("", b""):
        return None
    if isinstance(value, str):
        path = Path(value).expanduser()
        return path if path.is_absolute() or table.folder is None else table.folder / path
    return value


def as_texts(values: Any, table: Table, column: str, rows: IntArray) -> Any:
    """A pyarrow array of any values as an array of texts: numbers and booleans as they read, nothing as "".

    Args:
        values: Of the column.
        table: Where they come from.
        column: Its name.
        rows: The row of each value, for messages.
    """
    if column in table.mixed:
        decoded = table.decoded(column, values.to_pylist())
        for index, value in enumerate(decoded):
            if isinstance(value, list | dict):
                kind = "a list" if isinstance(value, list) else "an object"
                raise DataError(
                    f"{table.where(int(rows[index]))}: column '{column}' holds {kind} here, not a text. Fix the row, "
                    "or choose another column with --set text_column=…."
                )
        values = pa.array([None if value is None else str(value) for value in decoded], pa.string())
    if pa.types.is_boolean(values.type):
        values = pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return pc.fill_null(values.cast(pa.string()), "")
