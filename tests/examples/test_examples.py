import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.tables import FIELDS, labelled

from headway.errors import DataError
from headway.examples.examples import Example, Examples, joined, make_examples
from headway.examples.fields import Columns, Field, find_columns
from headway.sources.frames import arrow_table
from headway.sources.read import read
from headway.tasks.image_classification.task import ImageClassification

ROWS = [("I love it", "pos"), ("bad", "neg"), ("   ", "neg"), ("fine", "pos")]


def texts(data):
    return [example["text"] for example in data]


def test_examples_are_fetched_in_the_order_asked(examples):
    data = examples(ROWS)
    assert len(data) == 3
    fetched = data.fetch([2, 0])
    assert fetched == [Example({"text": "fine", "label": 1}, 3), Example({"text": "I love it", "label": 1}, 0)]
    assert [example.where for example in fetched] == ["rows0.csv, row 4 (line 5)", "rows0.csv, row 1 (line 2)"]
    assert texts(data) == ["I love it", "bad", "fine"]
    assert data.targets().tolist() == [1, 0, 1]
    assert data.targets().dtype == np.int64
    assert data.counts().tolist() == [1, 2]
    assert data.fetch([]) == []


def test_a_role_fetches_its_fields_only(examples):
    [example] = examples(ROWS).fetch([1], role="input")
    assert example.values == {"text": "bad"}
    assert example.get("label") is None
    with pytest.raises(KeyError):
        example["label"]


def test_an_example_made_by_hand_and_its_parts():
    example = Example({"text": "a b", "text_pair": "c"}, row=4)
    assert example.where == "row 5"
    assert example.with_values(text="a") == Example({"text": "a", "text_pair": "c"}, row=4)
    assert joined(example, ("text", "text_pair", "note")) == "a b ‖ c"


def test_iteration_goes_through_all_chunks(examples):
    data = examples([(f"text {i}", "ab"[i % 2]) for i in range(2500)])
    assert texts(data) == [f"text {i}" for i in range(2500)]
    assert [len(chunk) for chunk in data.chunks(1000)] == [1000, 1000, 500]


def test_selecting_keeps_rows_targets_and_keys_together(examples):
    data = examples([(f"text {i}", "ab"[i % 2]) for i in range(10)])
    chosen = data.select(np.array([9, 0, 3])).select(np.array([0, 2]))
    assert [(example["text"], example["label"]) for example in chosen] == [("text 9", 1), ("text 3", 1)]
    assert chosen.rows.tolist() == [9, 3]
    assert chosen.targets().tolist() == [1, 1]
    assert chosen.keys.exact.tolist() == data.keys.exact[[9, 3]].tolist()


def test_rows_without_text_are_left_out_and_remembered(examples):
    data = examples([*ROWS, ("", "")])
    assert data.left_out.empty_inputs.tolist() == [2, 4]
    assert data.rows.tolist() == [0, 1, 3]


def test_an_empty_label_is_an_error_unless_skipped(examples):
    rows = [*ROWS, ("no label", ""), ("none either", "")]
    with pytest.raises(
        DataError, match=r"row 5 \(line 6\): the label is empty \(and in 1 more rows\).*--skip-bad-rows"
    ):
        examples(rows)
    data = examples(rows, skip_bad_rows=True)
    assert data.left_out.empty_labels.tolist() == [4, 5]
    assert data.left_out.empty_inputs.tolist() == [2]
    assert len(data) == 3


def test_pairs_numbers_and_gaps_are_texts(write_json):
    rows = [{"text_a": 5, "text_b": "b", "label": 0}, {"text_a": True, "label": 1}, {"text_b": "x", "label": 1}]
    data = labelled(read(write_json("rows.jsonl", rows))["train"])
    assert [(example["text"], example["text_pair"]) for example in data] == [("5", "b"), ("True", ""), ("", "x")]


def test_multi_label_targets(write_json):
    rows = [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": []}]
    data = labelled(read(write_json("rows.jsonl", rows))["train"], label=["label"])
    assert [example["label"] for example in data] == [(0, 1), ()]
    assert data.targets().dtype == np.float32
    assert data.targets().tolist() == [[1, 1], [0, 0]]
    assert data.counts().tolist() == [1, 1]


def test_unlabelled_examples(table):
    data = Examples(table(ROWS), FIELDS, Columns({"text": ("text",)}))
    assert [example.get("label") for example in data] == [None] * 4
    with pytest.raises(DataError, match=r"has no labels\. Name their column with --set label_column="):
        _ = data.raw_labels


def test_nothing_usable_is_an_error(table, examples):
    columns = Columns({"text": ("text",)})
    with pytest.raises(DataError, match="none of the 2 rows has an input"):
        make_examples(table([(" ", "a"), (" ", "b")]), FIELDS, columns)
    with pytest.raises(DataError, match="none of the 3 rows has both an input and a label"):
        examples([(" ", "a"), (" ", "b"), ("text", "")], skip_bad_rows=True)


def test_a_text_that_is_a_list_is_named(write_json):
    rows = [{"text": "a", "label": 1}, {"text": ["b"], "label": 0}]
    table = read(write_json("rows.jsonl", rows))["train"]
    with pytest.raises(DataError, match=r"rows.jsonl, row 2 \(line 2\): column 'text' holds a list here, not a text"):
        make_examples(table, FIELDS, find_columns(table, FIELDS))


def test_several_references_of_a_row(write_json):
    fields = (FIELDS[0], Field(name="target", kind="text", role="target", setting="target_column", many=True))
    rows = [
        {"text": "a", "one": ["x", "", "y"], "two": "z"},
        {"text": "b", "one": [], "two": None},
        {"text": "c", "one": None, "two": 3},
    ]
    columns = Columns({"text": ("text",), "target": ("one", "two")})
    data = make_examples(read(write_json("rows.jsonl", rows))["train"], fields, columns)
    assert [example["target"] for example in data] == [("x", "y", "z"), (), ("3",)]


@pytest.fixture
def image_bytes():
    def make(colour):
        file = io.BytesIO()
        Image.new("RGB", (3, 2), colour).save(file, "PNG")
        return file.getvalue()

    return make


def test_images_are_paths_beside_the_table_or_bytes(tmp_path, image_bytes, write_json):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(image_bytes("red" if name == "a.png" else "blue"))
    rows = [{"image": "a.png", "label": 0}, {"image": str(tmp_path / "b.png"), "label": 1}, {"image": "", "label": 1}]
    table = read(write_json("rows.jsonl", rows))["train"]
    fields = ImageClassification.fields
    data = make_examples(table, fields, find_columns(table, fields))
    assert [example["image"] for example in data] == [tmp_path / "a.png", tmp_path / "b.png"]
    assert data.left_out.empty_inputs.tolist() == [2]

    red, blue = image_bytes("red"), image_bytes("blue")
    structs = [{"bytes": red, "path": None}, {"bytes": blue, "path": "x.png"}, {"bytes": red, "path": "other.png"}]
    table = arrow_table("rows", pa.table({"image": structs, "label": ["a", "b", "a"]}))
    data = make_examples(table, fields, find_columns(table, fields))
    assert [example["image"] for example in data] == [red, blue, red]
    assert data.keys.exact[0] == data.keys.exact[2] != data.keys.exact[1]


def test_an_image_that_is_not_there_is_named(write_json):
    rows = [{"image": "gone.png", "label": 0}, {"image": "too.png", "label": 1}]
    table = read(write_json("rows.jsonl", rows))["train"]
    fields = ImageClassification.fields
    with pytest.raises(DataError, match=r"rows.jsonl, row 1 \(line 1\): the image .*gone.png could not be read: "):
        make_examples(table, fields, find_columns(table, fields))
