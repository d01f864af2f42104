"""Parquet files, some rows at a time, however much the file says that it unpacks to."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from headway.errors import DataError
from headway.sources.bad_rows import place
from headway.sources.opening import BATCH_BYTES, BATCH_ROWS, FIELD_LIMIT

__all__ = ["parquet_batches"]

_UNPACKED_LIMIT = 1 << 28
_RATIO_LIMIT = 100
"""A row group of Parquet that unpacks to more than both, the second times its file, is made to fill the memory: texts
shrink to a third or a tenth."""

_LONG = 1 << 17
"""How long a text is taken to be, in bytes, where nothing is known of it."""


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
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
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
