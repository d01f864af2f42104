"""Checks downloads against the hub's checksums: over plain HTTP, its client compares sizes only.

In the hub's cache each file of a snapshot is a link to a blob, and the blob is named by its checksum: the SHA-256 of a
large file (git-lfs), git's SHA-1 of a small one. A blob is read once; a mark with its size and time then
says so, in `checked/` beside the client's own folders. So nothing stays unchecked that another program downloaded or
that a crash left, and no start reads gigabytes twice.
"""

import hashlib
import os
import re
from pathlib import Path

from headway.files import write_atomically

__all__ = ["remove_damaged"]

_CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def remove_damaged(snapshot: Path) -> list[str]:
    """Check the files of a snapshot, and remove those that are not what the hub promised: the next download gets them.

    Files that are not links to a checksum are skipped: those of a cache on a disk without links, and those of a mirror
    that names them differently. So is a read-only cache, because nothing was downloaded into it.

    Args:
        snapshot: A folder `snapshots/COMMIT` of the hub's cache.

    Returns:
        The names of the removed files.
    """
    storage = snapshot.parents[1]
    if not os.access(storage, os.W_OK):
        return []
    damaged = []
    for link in sorted(path for path in snapshot.rglob("*") if path.is_symlink() and path.is_file()):
        # One step only: the blob may in turn be a link into a store that several models share.
        blob = link.parent / link.readlink()
        if not _CHECKSUM.fullmatch(blob.name):
            continue
        state = blob.stat()
        mark, now = storage / "checked" / blob.name, f"{state.st_size} {state.st_mtime_ns}"
        if mark.is_file() and mark.read_text(encoding="utf-8") == now:
            continue
        if _is_whole(blob, state.st_size):
            write_atomically(mark, now)
        else:
            damaged.append(str(link.relative_to(snapshot)))
            for path in (blob.resolve(), blob, link):
                path.unlink(missing_ok=True)
    return damaged


def _is_whole(blob: Path, size: int) -> bool:
    with blob.open("rb") as file:
        if len(blob.name) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest() == blob.name
        as_git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        if hashlib.file_digest(file, lambda: as_git).hexdigest() == blob.name:
            return True
        # Some mirrors name a file by the SHA-1 of its content alone.
        file.seek(0)
        return hashlib.file_digest(file, "sha1").hexdigest() == blob.name
