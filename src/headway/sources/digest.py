"""A fingerprint of values: the same however Arrow's buffers lie, another when any value does."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["ContentDigest"]


class ContentDigest:
    """What changes when any value, name or type of a table does."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._started = False

    def add(self, batch: Any) -> None:
        """Take in the next rows, a pyarrow record batch."""
        if not self._started:
            self._digest.update(batch.schema.serialize())
            self._started = True
        for column in batch.columns:
            self._add_array(column)

    def hex(self) -> str:
        """The digest of all rows so far."""
        return self._digest.hexdigest()

    def _add_array(self, array: Any) -> None:
        kind = array.type
        self._digest.update(f"{len(array)} {array.null_count};".encode())
        if array.null_count:
            self._digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
            array = array.drop_null()
        if pa.types.is_struct(kind):
            for child in array.flatten():
                self._add_array(child)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            self._add_array(array.value_lengths())
            self._add_array(array.flatten())
        elif pa.types.is_string(kind) or pa.types.is_binary(kind):
            self._add_bytes(array, np.int32)
        elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            self._add_bytes(array, np.int64)
        elif pa.types.is_primitive(kind):
            self._digest.update(array.to_numpy(zero_copy_only=False).tobytes())
        else:
            self._digest.update(repr(array.to_pylist()).encode())

    def _add_bytes(self, array: Any, offset_type: type[np.integer[Any]]) -> None:
        """Texts: their lengths, then all of them as they lie one after the other."""
        self._add_array(pc.binary_length(array))
        if len(array):
            _, offsets, data = array.buffers()
            ends = np.frombuffer(offsets, offset_type)[array.offset : array.offset + len(array) + 1]
            self._digest.update(memoryview(data or b"")[ends[0] : ends[-1]])
