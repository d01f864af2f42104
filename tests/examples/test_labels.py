import datasets
import numpy as np
import pytest

from headway.errors import DataError
from headway.examples.fields import Columns, find_columns
from headway.examples.labels import Labels, find_labels, is_labelled, read_targets
from headway.sources.read import read


@pytest.fixture
def labelled(write_json):
    """labelled([1, 0, …]) → the table and columns of rows with these labels."""

    def make(values, name="rows.jsonl"):
        table = read(write_json(name, [{"text": f"text {i}", "label": value} for i, value in enumerate(values)]))[
            "train"
        ]
        return table, find_columns(table, label="label")

    return make


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
    ],
)
def test_single_labels(labelled, values, names, targets):
    table, columns = labelled(values)
    labels = find_labels(table, columns)
    assert labels == Labels(names)
    assert read_targets(table, columns, labels)[0].tolist() == targets


@pytest.mark.parametrize("values", [[["a", "c"], [], ["b", "a"]], [["a", "c"], [], ["b", " a"]]])
def test_lists_of_labels(labelled, values):
    table, columns = labelled(values)
    labels = find_labels(table, columns)
    assert labels == Labels(("a", "b", "c"), multi=True)
    targets, given = read_targets(table, columns, labels)
    assert targets.tolist() == [[True, False, True], [False] * 3, [True, True, False]]
    assert given.all()


def test_lists_of_mixed_labels_and_gaps(labelled):
    table, columns = labelled([[2, "x"], None, [10]])
    labels = find_labels(table, columns)
    assert labels == Labels(("10", "2", "x"), multi=True)
    targets, given = read_targets(table, columns, labels)
    assert targets.tolist() == [[False, True, True], [False] * 3, [True, False, False]]
    assert given.tolist() == [True, False, True]


def test_several_columns_of_zeros_and_ones(write):
    table = read(write("a.csv", "text,rude,toxic\na,0,1\nb,1,1\nc,0,\n"))["train"]
    columns = find_columns(table, label="toxic,rude")
    labels = find_labels(table, columns)
    assert labels == Labels(("toxic", "rude"), multi=True)
    targets, given = read_targets(table, columns, labels)
    assert targets.tolist() == [[True, False], [True, True], [False, False]]
    assert given.tolist() == [True, True, False]
    table = read(write("b.csv", "text,rude,toxic\na,0,1\nb,2,1\n"))["train"]
    with pytest.raises(DataError, match=r"b.csv, row 2 \(line 3\): '2' in column 'rude', .* must be 0 or 1"):
        read_targets(table, columns, labels)


def test_class_names_of_a_hub_data_set_keep_their_order(tmp_path):
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["ham", "spam", "eggs"])
    )
    datasets.Dataset.from_dict({"text": list("abc"), "label": [1, 0, -1]}, features).to_parquet(tmp_path / "a.parquet")
    table = read(str(tmp_path / "a.parquet"))["train"]
    columns = Columns("text", None, ("label",))
    labels = find_labels(table, columns)
    assert labels.names == ("ham", "spam", "eggs")
    targets, given = read_targets(table, columns, labels)
    assert targets[:2].tolist() == [1, 0]
    assert given.tolist() == [True, True, False]
    assert is_labelled(table, columns)
    datasets.Dataset.from_dict({"text": list("abc"), "label": [-1] * 3}, features).to_parquet(tmp_path / "b.parquet")
    assert not is_labelled(read(str(tmp_path / "b.parquet"))["train"], columns)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["pos"] * 20, "all labels in column 'label' are 'pos'. To learn a difference"),
        ([None, "", " "], "column 'label' has no label at all"),
        ([f"text {i}" for i in range(30)], "30 different values in 30 rows, such as 'text 0'. Those are texts"),
        ([f"{i % 1500}" for i in range(9000)], "more than 1,000 different values in 4,096 rows"),
        ([i / 7 for i in range(50)], "50 different values in 50 rows"),
        ([["a"], "a"], r"row 2 \(line 2\): column 'label' mixes single labels and lists"),
        ([{"a": 1}, {"a": 2}], r"row 1 \(line 1\): the label {'a': 1} is neither a label nor a list"),
    ],
)
def test_what_cannot_be_labels(labelled, values, reason):
    table, columns = labelled(values)
    with pytest.raises(DataError, match=reason):
        find_labels(table, columns)


def test_labels_that_training_did_not_have(labelled):
    table, columns = labelled(["pos", "Neg", "pos"], "test.jsonl")
    with pytest.raises(
        DataError, match=r"test.jsonl, row 2 \(line 2\): label 'Neg' was not seen.* Did you mean 'neg'\?"
    ):
        read_targets(table, columns, Labels(("neg", "pos")))
    targets, given = read_targets(table, columns, Labels(("neg", "pos")), skip_bad_rows=True)
    assert given.tolist() == [True, False, True]
    assert targets[given].tolist() == [1, 1]
    with pytest.raises(DataError, match="has one label, but a list of labels is wanted"):
        read_targets(table, columns, Labels(("neg", "pos"), multi=True))


def test_encode():
    labels = Labels(("0", "1", "True"))
    assert [labels.encode(value, "") for value in (1, 1.0, "1", " 1 ", True, np.int64(0))] == [1, 1, 1, 1, 2, 0]
    assert Labels(("a", "b", "c"), multi=True).encode(["c", "a", "c"], "") == (0, 2)
    with pytest.raises(DataError, match="here: the label is empty"):
        labels.encode(" ", "here")
    with pytest.raises(DataError, match="a list of labels is wanted, not 'a'"):
        Labels(("a", "b"), multi=True).encode("a", "here")
