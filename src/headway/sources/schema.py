"""The types of a table's columns, found while it is read; where a column's values disagree, it is kept as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from headway.errors import DataError

__all__ = ["IMAGE", "Schema", "plain_type"]

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""An image as the hub's data sets hold it: the bytes of its file, or a path, or both."""

_SCALARS = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), bytes: pa.binary()}
_IMAGE_KEYS = {"bytes", "path"}
_JSON = "json"
_Type = Any  # a pyarrow.DataType, or _JSON


class Schema:
    """What is known so far about the columns of a table: their names, order and types."""

    def __init__(self) -> None:
        self._types: dict[str, _Type] = {}
        self._metadata: dict[bytes, bytes] | None = None
        self._in_file: set[str] = set()
        self._first: tuple[str, set[str]] | None = None

    @property
    def mixed(self) -> frozenset[str]:
        """The columns that are kept as JSON."""
        return frozenset(name for name, kind in self._types.items() if kind == _JSON)

    def add(self, columns: Mapping[str, Any], metadata: Mapping[bytes, bytes] | None = None) -> bool:
        """Learn from some rows, lists or pyarrow arrays; True when a column is new, or has a type that did not fit."""
        before = dict(self._types)
        if not before and metadata and b"huggingface" in metadata:
            self._metadata = {b"huggingface": metadata[b"huggingface"]}  # the names of its classes
        for name, values in columns.items():
            self._in_file.add(name)
            kind = plain_type(values.type) if isinstance(values, pa.Array) else _type_of(values)
            self._types[name] = _merge(self._types[name], kind) if name in self._types else kind
        return before != self._types

    def end_of_file(self, name: str) -> None:
        """Compare the columns of the file that ends here with those of the first.

        Raises:
            DataError: They are not the same.
        """
        columns, self._in_file = self._in_file, set()
        if not columns:
            return
        if self._first is None:
            self._first = (name, columns)
        first, expected = self._first
        for having, lacking, difference in ((first, name, expected - columns), (name, first, columns - expected)):
            if difference:
                missing = ", ".join(name[:40] for name in sorted(difference)[:6])
                raise DataError(
                    f"{lacking} has no column {missing}, which {having} has. "
                    "All files of a data set need the same columns. "
                    "To keep splits apart, call the files train…, validation… and test…."
                )

    def arrow(self) -> Any:
        """The pyarrow schema as known now."""
        fields = [(name, pa.string() if kind == _JSON else kind) for name, kind in self._types.items()]
        return pa.schema(fields, metadata=self._metadata)

    def batch(self, columns: Mapping[str, Any], num_rows: int) -> Any:
        """Some rows as a pyarrow record batch of this schema."""
        arrays = [_array(columns.get(name), kind, num_rows) for name, kind in self._types.items()]
        return pa.record_batch(arrays, schema=self.arrow())


def plain_type(kind: Any) -> Any:
    """The type to keep for one of Arrow's: without dictionaries and lengths of lists; an image's struct in one form."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type))
    is_image = pa.types.is_struct(kind) and {field.name for field in kind} == _IMAGE_KEYS
    return IMAGE if is_image else kind


def _type_of(values: Sequence[object]) -> _Type:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pa.null()
    if kinds == {list}:
        kind = _type_of([item for value in values if isinstance(value, list) for item in value])
        return pa.list_(kind) if kind != _JSON and not pa.types.is_list(kind) else _JSON
    if kinds <= {bytes, dict, str} and kinds not in ({str}, {bytes}):
        return IMAGE if all(map(_may_be_image, values)) else _JSON
    kind = _SCALARS.get(kinds.pop(), _JSON) if len(kinds) == 1 else _JSON
    if kind == pa.int64() and not all(-(2**63) <= value < 2**63 for value in values if isinstance(value, int)):
        return _JSON
    return kind


def _may_be_image(value: object) -> bool:
    """Bytes, a path, or both; objects of other keys are no images."""
    if not isinstance(value, dict):
        return True
    return (
        value.keys() == _IMAGE_KEYS
        and isinstance(value["bytes"], bytes | None)
        and isinstance(value["path"], str | None)
    )


def _merge(one: _Type, other: _Type) -> _Type:
    if one == other or other == pa.null():
        return one
    if one == pa.null():
        return other
    if _JSON in (one, other):
        return _JSON
    if IMAGE in (one, other) and {one, other} <= {IMAGE, pa.binary(), pa.string()}:
        return IMAGE
    if pa.types.is_list(one) and pa.types.is_list(other):
        kind = _merge(one.value_type, other.value_type)
        return _JSON if kind == _JSON else pa.list_(kind)
    return _JSON


def _array(values: Any, kind: _Type, num_rows: int) -> Any:
    if values is None:
        return pa.nulls(num_rows, pa.string() if kind == _JSON else kind)
    if isinstance(values, pa.Array) and kind not in (_JSON, IMAGE):
        return values.cast(kind)
    if isinstance(values, pa.Array) and values.type == kind:
        return values
    items = values.to_pylist() if isinstance(values, pa.Array) else values
    if kind == _JSON:
        texts = [None if item is None else json.dumps(item, ensure_ascii=False, default=str) for item in items]
        return pa.array(texts, pa.string())
    return pa.array(map(_image, items) if kind == IMAGE else items, kind)


def _image(value: object) -> object:
    if isinstance(value, bytes):
        return {"bytes": value, "path": None}
    return {"bytes": None, "path": value} if isinstance(value, str) else value
