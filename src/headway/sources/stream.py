"""Rows as they come, in blocks: for prediction, in constant memory and from pipes that have no end."""

import queue
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO, cast

import pyarrow as pa

from headway.errors import DataError, cut
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.chunks import Chunk, chunk, columns_of, file_rows, parquet_chunks
from headway.sources.formats.lines import Row
from headway.sources.formats.text_rows import rows_of
from headway.sources.frames import row_blocks
from headway.sources.opening import DataFile, Dialect, Format, open_file, open_pipe
from headway.sources.schema import Schema
from headway.sources.table import Places, Table

__all__ = ["BLOCK_ROWS", "stream_files", "stream_pipe", "stream_rows", "stream_tables"]

BLOCK_ROWS = 2048
_BLOCK_BYTES = 1 << 23
"""A block has at most so many rows and, about, bytes."""


def stream_files(source: str, files: Iterable[DataFile], policy: BadRowPolicy) -> Iterator[Table]:
    """The rows of files, one file after the other.

    Raises:
        DataError: A file cannot be read, or a row is bad and `policy` does not skip it; the rows before it come first.
    """
    for file in files:
        chunks = _parquet(file) if file.format == "parquet" else map(chunk, _batched(file_rows(file, policy)))
        for table in _tables(source, file.name, chunks):
            yield Table(
                source, table.data, (str(file.path),), places=table.places, mixed=table.mixed, folder=file.path.parent
            )


def stream_pipe(
    pipe: BinaryIO,
    name: str,
    format: Format | None,
    policy: BadRowPolicy,
    columns: Collection[str] = (),
    dialect: Dialect = Dialect(),
) -> Iterator[Table]:
    """The rows of a pipe: a block is whatever has come by the time it is asked for.

    Raises:
        DataError: As for `stream_files`.
    """
    opened, found = open_pipe(pipe, name, format, columns, dialect, policy.tell)
    if found == "parquet":
        with tempfile.TemporaryFile() as whole:  # Parquet is read from its end
            shutil.copyfileobj(opened, whole)
            yield from _tables(name, name, parquet_chunks(cast(BinaryIO, whole), name))
        return
    tables = _tables(name, name, map(chunk, _arriving(rows_of(opened, name, found, policy, dialect, look_ahead=False))))
    for table in islice(tables, 1):
        yield table if format is not None or found not in ("csv", "tsv") else replace(table, notes=(_as_table(table),))
    yield from tables


def _as_table(table: Table) -> str:
    """What the user should know of a table that was recognised."""
    return (
        f"{table.source[:1].upper()}{table.source[1:]} is read as a table with the columns "
        f"{cut(', '.join(table.column_names), 200)}; --input-format text takes each line as a text."
    )


def stream_tables(tables: Iterable[Table]) -> Iterator[Table]:
    """Tables that are there already, in blocks; nothing is copied."""
    for table in tables:
        size = max(1, min(BLOCK_ROWS, _BLOCK_BYTES // max(1, table.data.nbytes // max(1, len(table)))))
        for start in range(0, len(table), size):
            yield table.part(start, size)


def stream_rows(source: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[Table]:
    """Rows that are dicts, from an iterable that need not end.

    Raises:
        TypeError: A row is not a dict, or a value is nothing that a table can hold.
    """
    schema = Schema()
    start = 0
    for block in row_blocks(source, rows, BLOCK_ROWS):
        yield _block(source, Places((source,), offset=start), columns_of(block), len(block), schema)
        start += len(block)


def _tables(source: str, name: str, chunks: Iterable[Chunk]) -> Iterator[Table]:
    schema = Schema()
    for rows in chunks:
        places = Places((name,), numbers=rows.places)
        yield _block(source, places, rows.columns, len(rows.places), schema, rows.metadata)


def _block(
    source: str,
    places: Places,
    columns: dict[str, Any],
    size: int,
    schema: Schema,
    metadata: Mapping[bytes, bytes] | None = None,
) -> Table:
    """Some rows as a table; a column that came once is in all blocks from then on."""
    schema.add(columns, metadata)
    data = pa.Table.from_batches([schema.batch(columns, size)])
    return Table(source, data, places=places, mixed=schema.mixed)


def _parquet(file: DataFile) -> Iterator[Chunk]:
    """The rows of a Parquet file, in blocks."""
    with open_file(file) as stream:
        for rows in parquet_chunks(stream, file.name):
            for start in range(0, len(rows.places), BLOCK_ROWS):
                columns = {name: values.slice(start, BLOCK_ROWS) for name, values in rows.columns.items()}
                yield Chunk(columns, rows.places[start : start + BLOCK_ROWS], rows.metadata)


def _batched(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows in lists; when reading fails, the rows before come first."""
    while True:
        batch, error = _next_batch(rows)
        if batch:
            yield batch
        if error is not None:
            raise error
        if not batch:
            return


def _next_batch(rows: Iterator[Row]) -> tuple[list[Row], DataError | None]:
    batch: list[Row] = []
    size = 0
    try:
        for row in rows:
            batch.append(row)
            size += row.size
            if len(batch) == BLOCK_ROWS or size >= _BLOCK_BYTES:
                break
    except DataError as error:
        return batch, error
    return batch, None


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def _arriving(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in lists of whatever has come; they are read by a thread of their own."""
    arrived: queue.Queue[Row | _End] = queue.Queue(maxsize=2 * BLOCK_ROWS)

    def read() -> None:
        try:
            for row in rows:
                arrived.put(row)
            arrived.put(_End())
        except BaseException as error:  # raised again below, where the rows are used
            arrived.put(_End(error))

    threading.Thread(target=read, daemon=True).start()
    end: _End | None = None
    while end is None:
        items = [arrived.get()]
        while len(items) < BLOCK_ROWS and not arrived.empty():
            items.append(arrived.get())
        if isinstance(items[-1], _End):
            end = items[-1]
        batch = [item for item in items if isinstance(item, Row)]
        if batch:
            yield batch
    if end.error is not None:
        raise end.error
