"""Files as chunks of some thousand rows, by column: what both the cache and the stream are made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from headway.sources.bad_rows import BadRowPolicy
from headway.sources.formats.lines import Row
from headway.sources.formats.parquet import parquet_batches
from headway.sources.formats.text_rows import rows_of
from headway.sources.opening import BATCH_BYTES, BATCH_ROWS, DataFile, open_file

__all__ = ["Chunk", "chunk", "chunks_of", "columns_of", "file_rows", "parquet_chunks"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows: values by column (lists, or Arrow arrays from Parquet), and (rows, 2) row and line numbers."""

    columns: dict[str, Any]
    places: np.ndarray
    metadata: Mapping[bytes, bytes] | None = None


def chunks_of(file: DataFile, policy: BadRowPolicy) -> Iterator[Chunk]:
    """All rows of a file.

    Raises:
        DataError: It cannot be read, or a row is bad and `policy` does not skip it.
    """
    if file.format == "parquet":
        with open_file(file) as stream:
            yield from parquet_chunks(stream, file.name)
        return
    rows: list[Row] = []
    size = 0
    for row in file_rows(file, policy):
        rows.append(row)
        size += row.size
        if len(rows) == BATCH_ROWS or size >= BATCH_BYTES:
            yield chunk(rows)
            rows, size = [], 0
    if rows:
        yield chunk(rows)


def file_rows(file: DataFile, policy: BadRowPolicy) -> Iterator[Row]:
    """The rows of a file of any format but Parquet, one at a time."""
    with open_file(file, policy.tell) as stream:
        yield from rows_of(stream, file.name, file.format, policy, file.dialect)


def parquet_chunks(stream: BinaryIO, name: str) -> Iterator[Chunk]:
    """The rows of an open Parquet file.

    Raises:
        DataError: It cannot be read.
    """
    start = 1
    for batch in parquet_batches(stream, name):
        numbers = np.arange(start, start + batch.num_rows)
        start += batch.num_rows
        places = np.stack([numbers, np.zeros_like(numbers)], axis=1).astype(np.int32)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        yield Chunk(columns, places, batch.schema.metadata)


def chunk(rows: Sequence[Row]) -> Chunk:
    """Rows by column; what a row lacks is null."""
    places = np.array([(row.number, row.line) for row in rows], dtype=np.int32).reshape(-1, 2)
    return Chunk(columns_of([row.values for row in rows]), places)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Objects by column, in the order in which their names first come; what one lacks is null."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
