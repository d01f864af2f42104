"""Rows to Arrow on disk, once per file: a second run with the same files opens what the first one wrote.

Each entry of the cache is a folder: `rows.arrow` (opened memory-mapped), `places.bin` (row and line
numbers) and `table.json`. An entry belongs to the files' paths, sizes and times; when a file changes, its
old entry is removed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headway.errors import DataError, HeadwayError
from headway.sources.bad_rows import BadRow, BadRowPolicy, BadRows
from headway.sources.chunks import chunks_of
from headway.sources.digest import ContentDigest
from headway.sources.opening import DataFile
from headway.sources.schema import Schema
from headway.sources.table import Places, Table

__all__ = ["cache_folder", "common_folder", "read_table"]

_VERSION = 3
"""Of what an entry holds; entries of other versions are not opened."""


def cache_folder() -> Path:
    """Where rows are kept: the cache of `datasets`, which the user may have moved by its environment variables."""
    hub = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_DATASETS_CACHE") or Path(hub) / "datasets").expanduser() / "headway"


def read_table(source: str, files: Sequence[DataFile], *, skip_bad_rows: bool) -> Table:
    """All rows of `files`, one after the other, as one memory-mapped table.

    Raises:
        DataError: A file cannot be read, has no rows, or other columns than the first; or a row is bad and not skipped.
        HeadwayError: The cache cannot be written.
    """
    entry = _entry(files, skip_bad_rows)
    if not (entry / "table.json").exists():
        try:
            _build(entry, files, skip_bad_rows)
        except OSError as error:
            reason = f"{error.strerror or error}. Free some space, or set HF_DATASETS_CACHE to another folder"
            raise HeadwayError(f"{entry.parent}: the rows could not be stored there: {reason}.") from error
    return _open(source, entry, files)


def common_folder(files: Sequence[DataFile]) -> Path | None:
    """The folder in which all files lie; None where they lie in several."""
    folders = {file.path.parent for file in files}
    return folders.pop() if len(folders) == 1 else None


def _entry(files: Sequence[DataFile], skip_bad_rows: bool) -> Path:
    """The cache folder of these files as they are now."""
    paths = [str(file.path.resolve()) for file in files]
    try:
        states = [(state.st_size, state.st_mtime_ns) for state in (file.path.stat() for file in files)]
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}.") from None
    kinds = [[file.format, file.dialect.encoding, file.dialect.delimiter] for file in files]
    parts = [[paths, kinds, skip_bad_rows], [states, _VERSION]]
    names = [hashlib.sha256(json.dumps(part).encode()).hexdigest()[:20] for part in parts]
    return cache_folder() / "-".join(names)


def _build(entry: Path, files: Sequence[DataFile], skip_bad_rows: bool) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    for old in entry.parent.glob(entry.name.split("-")[0] + "-*"):
        shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".building-"))
    try:
        schema = Schema()
        written = _write(folder, files, schema, BadRowPolicy(skip_bad_rows))
        if written is None:  # a type or a column turned up that the first rows did not have
            written = _write(folder, files, schema, BadRowPolicy(skip_bad_rows), final=True)
        if written is None:
            raise DataError(f"{files[0].name} changed while it was read. Run the command again.")
        _refuse_nothing(files, written)
        about = asdict(written) | {"mixed": sorted(schema.mixed)}
        (folder / "table.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            folder.rename(entry)
        except OSError:
            if not entry.exists():  # otherwise another process was faster, with the same result
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open(source: str, entry: Path, files: Sequence[DataFile]) -> Table:
    about = json.loads((entry / "table.json").read_text(encoding="utf-8"))
    numbers = np.memmap(entry / "places.bin", dtype=np.int32, mode="r").reshape(-1, 2)
    bad_rows = about["bad_rows"]
    return Table(
        source=source,
        data=pa.ipc.open_stream(pa.memory_map(str(entry / "rows.arrow"))).read_all(),
        files=tuple(str(file.path) for file in files),
        bad_rows=BadRows(bad_rows["count"], tuple(BadRow(**row) for row in bad_rows["listed"])),
        places=Places(tuple(file.name for file in files), tuple(about["starts"]), numbers),
        mixed=frozenset(about["mixed"]),
        folder=common_folder(files),
        notes=tuple(about["notes"]),
        digest=about["digest"],
    )


@dataclass
class _Written:
    starts: list[int]
    rows: int
    bad_rows: BadRows
    notes: list[str]
    digest: str


def _write(
    folder: Path, files: Sequence[DataFile], schema: Schema, policy: BadRowPolicy, *, final: bool = False
) -> _Written | None:
    """Write all rows with the types of the first chunk; None when later chunks did not fit them.

    `schema` then knows the types of the whole file and the second writing (`final`) succeeds.
    """
    starts: list[int] = []
    rows = 0
    fits = True
    writer = None
    digest = ContentDigest()
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, (folder / "places.bin").open("wb") as places:
        for file in files:
            starts.append(rows)
            for chunk in chunks_of(file, policy):
                changed = schema.add(chunk.columns, chunk.metadata) and (writer is not None or final)
                fits = fits and not changed
                rows += len(chunk.places)
                if fits:
                    batch = schema.batch(chunk.columns, len(chunk.places))
                    writer = writer or pa.ipc.new_stream(sink, batch.schema)
                    writer.write_batch(batch)
                    digest.add(batch)
                    chunk.places.tofile(places)
            schema.end_of_file(file.name)
        if writer is not None:
            writer.close()
    return _Written(starts, rows, policy.seen(), policy.notes, digest.hex()) if fits else None


def _refuse_nothing(files: Sequence[DataFile], written: _Written) -> None:
    if written.rows:
        return
    names = ", ".join(file.name for file in files[:3])
    if written.bad_rows.count:
        raise written.bad_rows.all_of(names)
    if all(file.path.stat().st_size == 0 for file in files):
        raise DataError(f"{names} is empty. It needs a text and a label in every row.")
    raise DataError(f"{names} has no rows{' below its header' if files[0].format in ('csv', 'tsv') else ''}.")
