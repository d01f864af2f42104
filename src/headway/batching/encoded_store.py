"""All encoded examples of a split, made once: every epoch, validation and check reads from here.

Small stores lie in memory; larger ones in an unlinked temporary file, mapped into memory, which ends with the process.
"""

import tempfile
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.batching.batch import Encoded
from headway.errors import HeadwayError

__all__ = ["EncodedStore"]

MEMORY_BYTES = 1 << 28
"""A store with more is kept on disk."""

IntArray = NDArray[np.int64]


class EncodedStore:
    """Encoded examples without pixels, by their position.

    Attributes:
        lengths: What each example costs, in tokens. *Shape:* (examples,)
        full_lengths: Tokens of each input before it was cut. *Shape:* (examples,)
        unknown: Tokens of each input that the vocabulary lacks. *Shape:* (examples,)
    """

    def __init__(self, chunks: Iterable[Sequence[Encoded]]) -> None:
        """Take all examples, some thousand at a time.

        Raises:
            HeadwayError: The disk is full.
        """
        self._ids, self._types, self._targets = _Ragged(np.int32), _Ragged(np.uint8), _Ragged(np.int32)
        labels: list[int | tuple[int, ...] | None] = []
        facts = array("q")
        for chunk in chunks:
            for item in chunk:
                assert item.pixel_values is None, "images are not stored here"
                self._ids.append(item.input_ids)
                self._types.append(item.token_types)
                self._targets.append(item.target_ids)
                labels.append(item.label)
                facts.extend((item.length, item.full_length, item.num_unknown))
        for ragged in (self._ids, self._types, self._targets):
            ragged.close()
        self.lengths, self.full_lengths, self.unknown = np.array(facts, dtype=np.int64).reshape(-1, 3).T.copy()
        self._labels = labels

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def input_lengths(self) -> IntArray:
        """Tokens of each input as it is stored. *Shape:* (examples,)."""
        return self._ids.lengths

    def fetch(self, positions: Sequence[int] | IntArray) -> list[Encoded]:
        """The examples at `positions`, in that order."""
        return [
            Encoded(
                input_ids=self._ids[position],
                token_types=self._types[position],
                target_ids=self._targets[position],
                label=self._labels[position],
                full_length=int(self.full_lengths[position]),
                num_unknown=int(self.unknown[position]),
            )
            for position in map(int, positions)
        ]


class _Ragged:
    """Sequences of different lengths, end to end; in memory until there are too many."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._waiting: list[NDArray[Any]] = []
        self._waiting_bytes = 0
        self._ends = array("q", [0])
        self._present = bytearray()
        self._file: Any = None
        self._flat: NDArray[Any] = np.zeros(0, dtype=self._dtype)

    def append(self, sequence: IntArray | None) -> None:
        self._present.append(sequence is not None)
        self._ends.append(self._ends[-1] + (0 if sequence is None else len(sequence)))
        if sequence is not None:
            self._waiting.append(sequence.astype(self._dtype))
            self._waiting_bytes += self._waiting[-1].nbytes
            if self._waiting_bytes > MEMORY_BYTES // 4:
                self._spill()

    def close(self) -> None:
        if self._file is None:
            self._flat = np.concatenate(self._waiting) if self._waiting else self._flat
        else:
            self._spill()
            self._flat = np.asarray(np.memmap(self._file, dtype=self._dtype, mode="r"))
            self._file.close()  # what is mapped stays until the store ends
        self._waiting.clear()
        self._offsets = np.frombuffer(self._ends, dtype=np.int64)

    @property
    def lengths(self) -> IntArray:
        return np.diff(self._offsets)

    def __getitem__(self, index: int) -> IntArray | None:
        if not self._present[index]:
            return None
        return self._flat[self._offsets[index] : self._offsets[index + 1]].astype(np.int64)

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when all is written
            for sequence in self._waiting:
                self._file.write(sequence.data)  # numpy's own tofile does not tell when the disk is full
            self._file.flush()
        except OSError as error:
            raise HeadwayError(
                f"{tempfile.gettempdir()}: the encoded examples could not be stored there: {error.strerror or error}. "
                "Free some space, or set TMPDIR to another folder."
            ) from error
        self._waiting.clear()
        self._waiting_bytes = 0
