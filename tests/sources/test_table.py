"""Tables: rows in any order without copying columns, class names, fingerprints."""

import datasets
import numpy as np
import pyarrow as pa
import pytest

from headway.sources.read import read
from headway.sources.table import Places, Table


def chunked(values, sizes):
    chunks, start = [], 0
    for size in sizes:
        chunks.append(pa.array(values[start : start + size], pa.array(values).type))
        start += size
    return pa.chunked_array(chunks)


@pytest.mark.parametrize("indices", [[], [3], [0, 1, 2], [9, 0, 5, 5, 2], list(range(9, -1, -1))])
def test_rows_are_taken_in_the_order_asked_for(indices):
    numbers = list(range(10))
    data = pa.table({"a": chunked(numbers, [4, 0, 3, 3]), "b": chunked([str(n) for n in numbers], [1, 9])})
    taken = Table("t", data).take(indices, ["b", "a"])
    assert taken.column_names == ["b", "a"]
    assert taken.column("a").to_pylist() == indices
    assert taken.column("b").to_pylist() == [str(index) for index in indices]


def test_a_row_that_is_not_there():
    with pytest.raises(IndexError, match="has 2 rows"):
        Table("t", pa.table({"a": [1, 2]})).take([-1], ["a"])


def test_taking_some_rows_does_not_copy_the_columns():
    data = pa.table({"text": chunked(["x" * 10_000] * 2000, [500] * 4)})
    table = Table("t", data)
    before = pa.total_allocated_bytes()
    taken = table.take(np.array([1999, 3, 700]), ["text"])
    assert pa.total_allocated_bytes() - before < 10 * taken.nbytes


def test_every_text_changed_at_equal_file_size_changes_the_fingerprint(write):
    one = read(write("a.csv", "text,label\ngood,1\nbad!,0\n"))["train"]
    two = read(write("b.csv", "text,label\nfine,1\npoor,0\n"))["train"]
    same = read(write("c.csv", "text,label\ngood,1\nbad!,0\n"))["train"]
    assert one.fingerprint() != two.fingerprint()
    assert one.fingerprint() == same.fingerprint()


def test_the_fingerprint_of_what_is_in_memory_is_of_the_values_not_of_their_chunks():
    texts = [f"text {i}" for i in range(10_000)]
    one, two = (Table("t", pa.table({"text": chunked(texts, sizes)})) for sizes in ([10_000], [4, 9000, 996]))
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != Table("t", pa.table({"text": [*texts[:-1], "other"]})).fingerprint()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([1, None, 3], [1, 3, None]),
        ([True, None], [False, None]),
        (["ab", "c"], ["a", "bc"]),
        ([["a"], ["b"]], [["a", "b"], []]),
        ([{"bytes": b"x", "path": None}], [{"bytes": None, "path": "x"}]),
        ([1.5, 2.5], [1.5, 2.25]),
        ([b"x", None], [b"y", None]),
    ],
)
def test_the_fingerprint_sees_every_kind_of_value(one, two):
    tables = [Table("t", pa.table({"a": values})) for values in (one, two)]
    assert tables[0].fingerprint() != tables[1].fingerprint()
    twice = Table("t", pa.table({"a": pa.array([*one, *one])}))
    assert twice.part(len(one), len(one)).fingerprint() == tables[0].fingerprint()


def test_class_names_also_of_lists():
    names = datasets.ClassLabel(names=["x", "y"])
    features = datasets.Features(text=datasets.Value("string"), one=names, many=datasets.List(names))
    rows = {"text": ["a", "b"], "one": [0, 1], "many": [[0], [0, 1]]}
    table = read(datasets.Dataset.from_dict(rows, features))["train"]
    assert table.class_names("one") == table.class_names("many") == ["x", "y"]
    assert table.class_names("text") is None


def test_a_part_knows_its_places():
    places = Places(("a.csv", "b.csv"), (0, 3), np.array([[1, 2], [2, 3], [4, 5], [1, 2], [2, 3]], dtype=np.int32))
    table = Table("t", pa.table({"a": range(5)}), places=places)
    part = table.part(2, 3).part(1, 2)
    assert part.values("a", [0, 1]) == [3, 4]
    assert part.where(0) == "b.csv, row 1 (line 2)"
    assert table.where(2) == "a.csv, row 4 (line 5)"
    assert part.places.number(1) == 2
