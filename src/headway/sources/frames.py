"""What lies in memory as tables: frames, Arrow tables, dicts of columns, and rows that are dicts.

A missing value (None, NaN, pandas' NA) is null. Frames are told by what they offer, so that no library is imported for
them.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headway.errors import DataError
from headway.sources.chunks import columns_of
from headway.sources.opening import BATCH_ROWS
from headway.sources.schema import IMAGE, Schema, plain_type
from headway.sources.table import Places, Table

__all__ = ["arrow_table", "columns_table", "frame_table", "is_arrow", "is_frame", "row_blocks", "rows_table"]

_PNG_MODES = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})


def is_frame(source: object) -> bool:
    """Whether this is a DataFrame of pandas."""
    return all(hasattr(source, name) for name in ("columns", "iloc", "dtypes"))


def is_arrow(source: object) -> bool:
    """Whether this is a table that offers itself as Arrow: `pyarrow.Table`, the frames of polars and others."""
    return hasattr(source, "__arrow_c_stream__") and (hasattr(source, "columns") or hasattr(source, "schema"))


def frame_table(source: str, frame: Any) -> Table:
    """A DataFrame of pandas as a table.

    Raises:
        DataError: It has no rows, or two columns of one name.
        TypeError: A value is nothing that a table can hold.
    """
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: two columns are called '{twice[:40]}'. Rename one of them.")
    return columns_table(source, {name: frame.iloc[:, position] for position, name in enumerate(names)})


def columns_table(source: str, columns: Mapping[str, Any]) -> Table:
    """A dict of columns as a table.

    Raises:
        DataError: The columns are of different lengths, or there are no rows.
        TypeError: A column is no sequence, or a value is nothing that a table can hold.
    """
    read = {str(name): _column(source, str(name), values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in read.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name[:40]}' {length:,}" for name, length in list(lengths.items())[:6])
        raise DataError(f"{source}: the columns have different numbers of values: {told}. Give them one length.")
    size = next(iter(lengths.values()), 0)
    chunks = (
        ({name: values[start : start + BATCH_ROWS] for name, values in read.items()}, min(BATCH_ROWS, size - start))
        for start in range(0, size, BATCH_ROWS)
    )
    return _table(source, chunks)


def rows_table(source: str, rows: Iterable[Any]) -> Table:
    """Rows that are dicts, all of them, as one table.

    Raises:
        DataError: There are no rows.
        TypeError: A row is not a dict, or a value is nothing that a table can hold.
    """
    return _table(source, ((columns_of(block), len(block)) for block in row_blocks(source, rows, BATCH_ROWS)))


def row_blocks(source: str, rows: Iterable[Any], size: int) -> Iterator[list[dict[str, object]]]:
    """Rows that are dicts, cleaned, at most `size` at a time.

    Raises:
        TypeError: A row is not a dict, or a value is nothing that a table can hold.
    """
    given = iter(rows)
    number = 0
    while block := list(islice(given, size)):
        cleaned = []
        for row in block:
            number += 1
            if not isinstance(row, Mapping):
                raise TypeError(
                    f"{source}, row {number}: a row is a dict from column to value, not a {type(row).__name__}."
                )
            cleaned.append({str(name): _clean(value, source, str(name)) for name, value in row.items()})
        yield cleaned


def arrow_table(source: str, data: Any, name: str | None = None, files: tuple[str, ...] = ()) -> Table:
    """An Arrow table as it is, but without dictionaries; of its metadata the names of classes are kept.

    Args:
        source: What the user asked for.
        data: A `pyarrow.Table`, or anything that offers itself as one.
        name: What its rows are called in messages; by default `source`.
        files: The files that it was read from.

    Raises:
        DataError: It has no rows, or two columns of one name.
    """
    table = data if isinstance(data, pa.Table) else pa.table(data)
    kept = {key: value for key, value in (table.schema.metadata or {}).items() if key == b"huggingface"}
    if len(set(table.column_names)) < table.num_columns:
        raise DataError(f"{source}: two columns have the same name. Rename one of them.")
    for position, field in enumerate(table.schema):
        plain = plain_type(field.type)
        if plain not in (field.type, IMAGE):
            table = table.set_column(position, field.name, table.column(position).cast(plain))
    if not table.num_rows:
        raise DataError(f"{source} has no rows.")
    return Table(source, table.replace_schema_metadata(kept or None), files, places=Places((name or source,)))


def _table(source: str, chunks: Iterable[tuple[dict[str, Any], int]]) -> Table:
    """Chunks of columns, all kept, as one table."""
    schema = Schema()
    kept = []
    for columns, size in chunks:
        schema.add(columns)
        kept.append((columns, size))
    if not kept:
        raise DataError(f"{source} has no rows.")
    data = pa.Table.from_batches([schema.batch(columns, size) for columns, size in kept], schema.arrow())
    return Table(source, data, places=Places((source,)), mixed=schema.mixed)


def _column(source: str, name: str, values: Any) -> Any:
    """One column as an Arrow array where its values are of one simple type, else as a list."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{source}: column '{name[:40]}' is a {type(values).__name__}, not a sequence of values.")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    kind = getattr(values, "dtype", None)
    if kind is not None and str(kind) != "object" and getattr(values, "ndim", 1) == 1:
        try:
            array = pa.array(values, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError):
            pass  # a type that Arrow does not know: value by value
        else:
            array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
            return array.cast(plain_type(array.type))
    return [_clean(value, source, name) for value in values]


def _clean(value: Any, source: str, column: str) -> Any:
    """A value as a JSON value, bytes, or an image's struct; what is missing as None."""
    if value is None or type(value) in (str, int, bool, bytes):
        return value
    if type(value) is float:
        return None if value != value else value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.ndarray):
        return (
            _array_image(value) if value.dtype == np.uint8 and value.ndim >= 2 else _clean_list(value, source, column)
        )
    if isinstance(value, np.generic):
        return _clean(value.item(), source, column)
    if isinstance(value, Path):
        return {"bytes": None, "path": str(value)}
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Mapping):
        return {str(name): _clean(item, source, column) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _clean_list(sorted(value, key=str) if isinstance(value, set | frozenset) else value, source, column)
    if hasattr(value, "getexif"):
        return _encoded_image(value)
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ == "Decimal":
        return float(value)
    raise TypeError(f"{source}: column '{column[:40]}' holds a {type(value).__name__}, which no table can hold.")


def _clean_list(values: Iterable[Any], source: str, column: str) -> list[Any]:
    return [_clean(value, source, column) for value in values]


def _array_image(pixels: np.ndarray) -> dict[str, object]:
    from PIL import Image

    return _encoded_image(Image.fromarray(pixels))


def _encoded_image(image: Any) -> dict[str, object]:
    """An image of Pillow as the bytes of a file, without loss, with what says which side is up."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if image.mode in _PNG_MODES else "TIFF", exif=image.getexif().tobytes())
    return {"bytes": buffer.getvalue(), "path": getattr(image, "filename", None) or None}
