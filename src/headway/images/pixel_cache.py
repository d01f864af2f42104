"""A cache of decoded images: in memory as far as the budget goes, then in a temporary file."""

import tempfile
from collections.abc import Hashable
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["PixelCache"]


class _Place(NamedTuple):
    offset: int
    shape: tuple[int, ...]


class PixelCache:
    """Pixels by key, for threads that decode the same images in every epoch.

    What fits neither into the memory nor onto the disk is not kept, and is decoded anew. The file is read and written
    as a file and not mapped into memory: a full disk is then an error that can be handled, not the end of the process,
    and the system's page cache keeps it in memory just the same.
    """

    def __init__(self, memory_bytes: int = 2**30, disk_bytes: int = 2**34, folder: Path | None = None) -> None:
        """An empty cache.

        Args:
            memory_bytes: How much it keeps in memory.
            disk_bytes: How much beyond that it keeps in a temporary file.
            folder: Where that file is; it has no name there and ends with the process. None: the system's place for
                temporary files, which on some machines is memory too.
        """
        self._memory_left, self._disk_left = memory_bytes, disk_bytes
        self._folder = folder
        self._arrays: dict[Hashable, NDArray[np.uint8]] = {}
        self._places: dict[Hashable, _Place] = {}
        self._file: IO[bytes] | None = None
        self._end = 0
        self._lock = Lock()

    @property
    def num_kept(self) -> int:
        """How many arrays are kept. Not `len`, by which an empty cache would be false."""
        return len(self._arrays) + len(self._places)

    def get(self, key: Hashable) -> NDArray[np.uint8] | None:
        """What was put under a key, read-only; None if it was not kept."""
        pixels = self._arrays.get(key)
        if pixels is not None or key not in self._places:
            return pixels
        place = self._places[key]
        size = int(np.prod(place.shape))
        with self._lock:
            if self._file is None:
                return None
            self._file.seek(place.offset)
            data = self._file.read(size)
        return np.frombuffer(data, dtype=np.uint8).reshape(place.shape) if len(data) == size else None

    def put(self, key: Hashable, pixels: NDArray[np.uint8]) -> None:
        """Keep an array of any shape, if there is room. It must not be written to afterwards."""
        with self._lock:
            if key in self._arrays or key in self._places:
                return
            if pixels.nbytes <= self._memory_left:
                self._memory_left -= pixels.nbytes
                self._arrays[key] = pixels
            elif pixels.nbytes <= self._disk_left:
                self._write(key, pixels)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._arrays.clear()
            self._places.clear()
            self._memory_left = self._disk_left = 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, key: Hashable, pixels: NDArray[np.uint8]) -> None:
        try:
            if self._file is None:
                # Closed by `close`, or with the process.
                self._file = tempfile.TemporaryFile(dir=self._folder, prefix="headway-pixels-")  # noqa: SIM115
            self._file.seek(self._end)
            self._file.write(pixels.tobytes())
            self._file.flush()
        except OSError:  # the disk is full, or there is no such place: the rest is decoded anew
            self._disk_left = 0
            return
        self._places[key] = _Place(self._end, pixels.shape)
        self._end += pixels.nbytes
        self._disk_left -= pixels.nbytes
