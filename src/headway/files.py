"""Atomic writing: a file is the old one or the new one, never a mixture; reading JSON; images by name."""

import errno
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headway.errors import CheckpointError, HeadwayError

__all__ = ["is_image_name", "read_json", "remove_leftovers", "replacing", "write_atomically"]

_JSON_LIMIT = 1 << 25
"""The longest JSON file that is read, in bytes: the largest vocabularies take a third of it, and parsing takes
many times as much memory."""


_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
"""What `tempfile` calls the files that `replacing` writes to first."""

_IMAGE_ENDINGS = frozenset(
    f".{ending}"
    for endings in (
        ("avif", "avifs", "bmp", "dib", "gif", "heic", "heif", "png", "tif", "tiff", "webp"),
        ("jpg", "jpeg", "jpe", "jfif", "mpo"),
        ("jp2", "j2c", "j2k", "jpc", "jpf", "jpx"),
        ("pbm", "pgm", "pnm", "ppm"),
    )
    for ending in endings
)
"""Endings of the names of image files. HEIC is not decoded, but an error that names such photos beats skipping them."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it over `path`.

    Raises:
        HeadwayError: The disk is full or the folder may not be written. The old file, if any, is untouched.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _flush(temporary, os.O_RDWR)  # Windows flushes only what may be written
        # mkstemp makes files that only their owner can read; use the permissions of a plain open().
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        if sys.platform != "win32":  # Windows opens no folders
            _flush(path.parent, os.O_RDONLY)
    except Exception as error:
        number = _error_number(error)
        if number is None:
            raise
        raise HeadwayError(_explain(number, path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path` so that a crash or a full disk leaves the old file in place."""
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that `replacing` leaves in a folder when the process is killed."""
    for file in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(file.name):
            file.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file whose outermost value is an object.

    Raises:
        CheckpointError: It cannot be read, is not JSON, or holds something else.
    """
    remedy = "the download may be incomplete: fetch the file again"
    try:
        with path.open("rb") as file:
            text = file.read(_JSON_LIMIT + 1)
        if len(text) > _JSON_LIMIT:
            raise ValueError(f"it is longer than {_JSON_LIMIT >> 20} MB")
        value = json.loads(text)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not valid JSON ({error}); {remedy}.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: holds a JSON {type(value).__name__}, not an object; {remedy}.")
    return value


def is_image_name(name: str | Path) -> bool:
    """Whether a file's name has the ending of an image and is not hidden (macOS keeps notes on a.png in ._a.png)."""
    path = Path(name)
    return path.suffix.lower() in _IMAGE_ENDINGS and not path.name.startswith(".")


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _error_number(error: BaseException | None) -> int | None:
    """The system's error number, if a system call failed.

    Libraries written in Rust give it only in words, as "(os error 28)"; torch.save hides it behind an error of its own.
    """
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        told = re.search(r"\(os error (\d+)\)", str(error))
        if told:
            return int(told[1])
        error = error.__context__
    return None


def _explain(number: int, path: Path) -> str:
    reasons = {
        errno.ENOSPC: "the disk is full; free some space and run the same command again",
        errno.EACCES: "you may not write there; choose another place",
        errno.EROFS: "that file system is read-only; choose another place",
    }
    reason = reasons.get(number, os.strerror(number).lower())
    return f"{path}: could not be written: {reason}."
