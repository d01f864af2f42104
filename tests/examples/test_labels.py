import re

import datasets
import numpy as np
import pytest

from headway.errors import DataError
from headway.examples.labels import Labels, label_name, learn_labels, read_labels
from headway.sources.read import read


@pytest.fixture
def labels_of(write_json):
    """labels_of([1, 0, …]) → the table of rows with these labels, and the labels as read."""

    def make(values, name="rows.jsonl"):
        table = read(write_json(name, [{"text": f"text {i}", "label": value} for i, value in enumerate(values)]))[
            "train"
        ]
        return table, read_labels(table, ["label"])

    return make


def test_names_of_labels():
    values = (1, 1.0, "1", " 1 ", True, 0.5, np.int64(0), "", " ", None, float("nan"))
    assert [label_name(value) for value in values] == ["1", "1", "1", "1", "True", "0.5", "0", *[None] * 4]


@pytest.mark.parametrize(
    ("values", "names", "targets"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([10, 9, -1], ("-1", "9", "10"), [2, 1, 0]),
        (["10", "9", "9"], ("9", "10"), [1, 0, 0]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        ([" pos", "neg ", "pos"], ("neg", "pos"), [1, 0, 1]),
        ([1, "1", 2], ("1", "2"), [0, 0, 1]),
        ([1, 0.5, "x"], ("0.5", "1", "x"), [1, 0, 2]),
        ([True, 1, "x"], ("1", "True", "x"), [1, 0, 2]),
    ],
)
def test_single_labels(labels_of, values, names, targets):
    table, raw = labels_of(values)
    labels = learn_labels(raw)
    assert labels == Labels(names)
    codes, given = labels.encode(raw, table.where)
    assert codes.tolist() == targets
    assert given.all()


def test_the_rows_that_count_decide_which_labels_there_are(labels_of):
    _, raw = labels_of(["a", "b", "c", "a"])
    assert learn_labels(raw, np.array([True, False, True, True])) == Labels(("a", "c"))


@pytest.mark.parametrize("values", [[["a", "c"], [], ["b", "a"]], [["a", "c"], [], ["b", " a"]]])
def test_lists_of_labels(labels_of, values):
    table, raw = labels_of(values)
    labels = learn_labels(raw)
    assert labels == Labels(("a", "b", "c"), multi=True)
    targets, given = labels.encode(raw, table.where)
    assert targets.tolist() == [[True, False, True], [False] * 3, [True, True, False]]
    assert given.all()


def test_lists_of_mixed_labels_and_gaps(labels_of):
    table, raw = labels_of([[2, "x"], None, [10]])
    labels = learn_labels(raw)
    assert labels == Labels(("10", "2", "x"), multi=True)
    targets, given = labels.encode(raw, table.where)
    assert targets.tolist() == [[False, True, True], [False] * 3, [True, False, False]]
    assert given.tolist() == [True, False, True]


def test_several_columns_of_zeros_and_ones(write):
    table = read(write("a.csv", "text,rude,toxic\na,0,1\nb,1,1\nc,0,\n"))["train"]
    raw = read_labels(table, ["toxic", "rude"])
    labels = learn_labels(raw)
    assert labels == Labels(("toxic", "rude"), multi=True)
    targets, given = labels.encode(raw, table.where)
    assert targets.tolist() == [[True, False], [True, True], [False, False]]
    assert given.tolist() == [True, True, False]


def test_a_label_column_of_several_holds_zeros_and_ones_only(write):
    table = read(write("b.csv", "text,rude,toxic\na,0,1\nb,2,1\n"))["train"]
    with pytest.raises(DataError, match=r"b.csv, row 2 \(line 3\): '2' in column 'rude', .* must be 0 or 1"):
        read_labels(table, ["toxic", "rude"])
    raw = read_labels(table, ["toxic", "rude"], skip_bad_rows=True)
    assert raw.given.tolist() == [True, False]


def test_class_names_of_a_hub_data_set_keep_their_order(tmp_path):
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["ham", "spam", "eggs"])
    )
    datasets.Dataset.from_dict({"text": list("abc"), "label": [1, 0, -1]}, features).to_parquet(tmp_path / "a.parquet")
    table = read(str(tmp_path / "a.parquet"))["train"]
    raw = read_labels(table, ["label"])
    labels = learn_labels(raw)
    assert labels.names == ("ham", "spam", "eggs")
    targets, given = labels.encode(raw, table.where)
    assert targets[:2].tolist() == [1, 0]
    assert given.tolist() == [True, True, False]
    assert raw.any()
    datasets.Dataset.from_dict({"text": list("abc"), "label": [-1] * 3}, features).to_parquet(tmp_path / "b.parquet")
    assert not read_labels(read(str(tmp_path / "b.parquet"))["train"], ["label"]).any()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["pos"] * 20, "all labels in column 'label' are 'pos'. To learn a difference"),
        ([None, "", " "], "column 'label' has no labels"),
        ([f"text {i}" for i in range(30)], "30 different values in 30 rows, such as 'text 0'. Those are texts"),
        ([f"{i % 1500}" for i in range(9000)], "1,500 different values in 9,000 rows"),
        ([i / 7 for i in range(50)], "50 different values in 50 rows"),
        ([["a"], "a"], "row 2 (line 2): column 'label' mixes single labels and lists"),
        ([{"a": 1}, {"a": 2}], "row 1 (line 1): the label {'a': 1} is neither a label nor a list"),
        (["label", "other", "label"], "the first line seems to be an example already: 'label' in it is one of"),
    ],
)
def test_what_cannot_be_labels(labels_of, values, reason):
    with pytest.raises(DataError, match=re.escape(reason)):
        learn_labels(labels_of(values)[1])


def test_labels_that_training_did_not_have(labels_of):
    table, raw = labels_of(["pos", "Neg", "pos"], "test.jsonl")
    labels = Labels(("neg", "pos"))
    with pytest.raises(
        DataError, match=r"test.jsonl, row 2 \(line 2\): label 'Neg' was not seen.* Did you mean 'neg'\?"
    ):
        labels.encode(raw, table.where)
    targets, given = labels.encode(raw, table.where, skip_bad_rows=True)
    assert given.tolist() == [True, False, True]
    assert targets[given].tolist() == [1, 1]


def test_single_labels_are_no_lists(labels_of):
    table, raw = labels_of(["pos", "neg"], "test.jsonl")
    with pytest.raises(DataError, match=r"row 1 \(line 1\): column 'label' has one label; expected a list of labels\."):
        Labels(("neg", "pos"), multi=True).encode(raw, table.where)
    table, raw = labels_of([["pos"], ["neg"]], "lists.jsonl")
    with pytest.raises(DataError, match=r"column 'label' has a list of labels; expected one label\."):
        Labels(("neg", "pos")).encode(raw, table.where)
