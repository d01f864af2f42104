"""Frames, data sets of `datasets`, dicts of columns and dicts of rows become the same tables as files."""

from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from headway.errors import DataError
from headway.sources.read import describe, read, require, stream

ROWS = [{"text": "good", "label": "a"}, {"text": "bad", "label": "b"}, {"text": None, "label": "a"}]
COLUMNS = {name: [row[name] for row in ROWS] for name in ("text", "label")}
SOURCES = {
    "DataFrame": pd.DataFrame(ROWS),
    "Dataset": datasets.Dataset.from_list(ROWS),
    "dict": COLUMNS,
    "list": ROWS,
    "Table": pa.table(COLUMNS),
    "tuple": tuple(ROWS),
}


def rows(table):
    return list(table.rows())


@pytest.mark.parametrize("name", SOURCES)
def test_all_give_the_same_rows(name):
    source = SOURCES[name]
    require(source)
    table = read(source)["train"]
    assert rows(table) == ROWS
    assert table.source == describe(source) == name
    assert table.where(16) == f"{name}, row 17"
    assert rows(table.part(1, 2)) == ROWS[1:]
    blocks = list(stream(source))
    assert [row for block in blocks for row in rows(block)] == ROWS
    assert table.fingerprint() == read(source)["train"].fingerprint()


def test_missing_values_and_types_of_pandas():
    frame = pd.DataFrame(
        {
            "text": pd.Series(["x", pd.NA, "z"], dtype="string"),
            "old": ["x", np.nan, None],
            "kind": pd.Categorical(["p", None, "q"]),
            "number": [1.0, np.nan, 3.0],
            "whole": pd.Series([1, None, 3], dtype="Int64"),
            "lists": [["a", "b"], [], None],
            "arrays": [np.array([1, 2]), np.array([], dtype=int), None],
            "mixed": [1, "one", np.float64("nan")],
        }
    ).set_index(pd.Index([7, 7, 9]))
    table = read(frame)["train"]
    assert rows(table) == [
        {"text": "x", "old": "x", "kind": "p", "number": 1.0, "whole": 1, "lists": ["a", "b"], "arrays": [1, 2]}
        | {"mixed": 1},
        {"text": None, "old": None, "kind": None, "number": None, "whole": None, "lists": [], "arrays": []}
        | {"mixed": "one"},
        dict.fromkeys(frame.columns) | {"text": "z", "kind": "q", "number": 3.0, "whole": 3},
    ]


def test_numpy_scalars_and_arrays():
    given = {"text": np.array(["a", "b"]), "label": np.array([1, 2], dtype=np.int16)}
    assert rows(read(given)["train"]) == [{"text": "a", "label": 1}, {"text": "b", "label": 2}]
    given = [{"text": np.str_("a"), "label": np.int64(1), "score": np.float32("nan"), "tags": {"y", "x"}}]
    assert rows(read(given)["train"]) == [{"text": "a", "label": 1, "score": None, "tags": ["x", "y"]}]


def test_images_of_every_form(tmp_path):
    pixels = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    pixels.save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    forms = [pixels, np.asarray(pixels), content, tmp_path / "a.png", {"bytes": content, "path": None}, None, "a.png"]
    table = read([{"image": form} for form in forms])["train"]
    values = table.values("image", range(len(forms)))
    assert values[2:] == [
        {"bytes": content, "path": None},
        {"bytes": None, "path": str(tmp_path / "a.png")},
        {"bytes": content, "path": None},
        None,
        {"bytes": None, "path": "a.png"},
    ]
    for value in values[:2]:
        (tmp_path / "b").write_bytes(value["bytes"])
        assert np.array_equal(np.asarray(Image.open(tmp_path / "b")), np.asarray(pixels))
    assert read({"image": [content]})["train"].values("image", [0]) == [content]


def test_an_image_keeps_which_side_is_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("CMYK", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        (value,) = read({"image": [image]})["train"].values("image", [0])
    (tmp_path / "b").write_bytes(value["bytes"])
    with Image.open(tmp_path / "b") as image:
        assert image.getexif()[0x0112] == 6
        assert image.mode == "CMYK"


def test_a_shuffled_data_set_keeps_its_classes_and_order():
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["x", "y"]))
    dataset = datasets.Dataset.from_dict({"text": list("abcd"), "label": [0, 1, 0, 1]}, features).select([3, 0])
    table = read(dataset)["train"]
    assert rows(table) == [{"text": "d", "label": 1}, {"text": "a", "label": 0}]
    assert table.class_names("label") == ["x", "y"]


@pytest.mark.parametrize("kind", ["datasets", "frames", "rows"])
def test_splits_of_a_dict_of_tables(kind):
    make = {"datasets": datasets.Dataset.from_list, "frames": pd.DataFrame, "rows": list}[kind]
    given = {"test": make(ROWS[:1]), "train": make(ROWS)}
    tables = read(datasets.DatasetDict(given) if kind == "datasets" else given)
    assert {name: len(table) for name, table in tables.items()} == {"train": 3, "test": 1}
    assert tables["test"].where(0).endswith("(test), row 1")
    with pytest.raises(DataError, match="no split for training, only test, validation"):
        read({"test": make(ROWS), "validation": make(ROWS)})


def test_a_folder_that_datasets_saved(tmp_path):
    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=dataset, test=dataset).save_to_disk(tmp_path / "two")
    assert rows(read(tmp_path / "one")["train"]) == ROWS
    assert list(read(str(tmp_path / "two"))) == ["train", "test"]
    assert sum(map(len, stream(tmp_path / "two"))) == 6
    (tmp_path / "one" / "state.json").write_text("{}")
    with pytest.raises(DataError, match="is not a readable data set"):
        read(tmp_path / "one")


def test_rows_may_come_from_a_generator_that_does_not_end():
    def endless():
        number = 0
        while True:
            number += 1
            yield {"text": f"text {number}"}

    blocks = stream(endless())
    next(blocks)
    block = next(blocks)
    assert block.values("text", [0]) == ["text 2049"]
    assert block.where(0) == "generator, row 2049"


@pytest.mark.parametrize("source", [None, 5, pd.Series(["a"]), np.array(["a"]), b"a,b", object()])
@pytest.mark.parametrize("use", [read, require, stream])
def test_what_is_no_source_is_one_sentence(source, use):
    with pytest.raises(
        TypeError, match=rf"^A {type(source).__name__} is no source of rows: give a path, [^\n]* row\.$"
    ):
        use(source)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ([{"text": "a"}, "b"], TypeError, "list, row 2: a row is a dict from column to value, not a str"),
        ({"text": "a"}, TypeError, "dict: column 'text' is a str, not a sequence of values"),
        ({"text": ["a", object()]}, TypeError, "dict: column 'text' holds a object, which no table can hold"),
        ({"text": ["a"], "label": [1, 2]}, DataError, "different numbers of values: 'text' 1, 'label' 2"),
        ([], DataError, "list has no rows"),
        ({}, DataError, "dict has no rows"),
        (pd.DataFrame({"text": []}), DataError, "DataFrame has no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), DataError, "two columns are called 'a'"),
    ],
)
def test_what_cannot_be_a_table_is_one_sentence(source, error, words):
    with pytest.raises(error, match=words):
        read(source)


def test_several_files_are_one_table(write):
    paths = [write("a.csv", rows=[("one", "x")]), Path(write("b.jsonl", '{"text": "two", "label": "y"}\n'))]
    table = read(paths)["train"]
    assert table.values("text", [0, 1]) == ["one", "two"]
    assert [table.where(index) for index in range(2)] == ["a.csv, row 1 (line 2)", "b.jsonl, row 1 (line 1)"]
    assert [row["text"] for block in stream(paths) for row in rows(block)] == ["one", "two"]
    with pytest.raises(DataError, match=r"c.csv has no column label, which a.csv has"):
        read([*paths[:1], write("c.csv", "text\nthree\n")])
    with pytest.raises(DataError, match="no such file"):
        require([paths[0], "nowhere.csv"])
