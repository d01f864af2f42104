import numpy as np
import pytest

from headway.errors import DataError
from headway.examples.examples import Example, Examples, make_examples
from headway.examples.fields import Columns, find_columns
from headway.examples.labels import find_labels
from headway.sources.read import read

ROWS = [("I love it", "pos"), ("bad", "neg"), ("   ", "neg"), ("fine", "pos")]


def test_examples_are_fetched_in_the_order_asked(examples):
    data = examples(ROWS)
    assert len(data) == 3
    assert data.fetch([2, 0]) == [
        Example("fine", None, 1, "rows0.csv, row 4 (line 5)"),
        Example("I love it", None, 1, "rows0.csv, row 1 (line 2)"),
    ]
    assert [example.text for example in data] == ["I love it", "bad", "fine"]
    assert data.targets().tolist() == [1, 0, 1]
    assert data.targets().dtype == np.int64
    assert data.counts().tolist() == [1, 2]
    assert data.fetch([]) == []


def test_iteration_goes_through_all_chunks(examples):
    data = examples([(f"text {i}", "ab"[i % 2]) for i in range(2500)])
    assert [example.text for example in data] == [f"text {i}" for i in range(2500)]


def test_selecting_keeps_rows_targets_and_keys_together(examples):
    data = examples([(f"text {i}", "ab"[i % 2]) for i in range(10)])
    chosen = data.select(np.array([9, 0, 3])).select(np.array([0, 2]))
    assert [(example.text, example.label) for example in chosen] == [("text 9", 1), ("text 3", 1)]
    assert chosen.indices.tolist() == [9, 3]
    assert chosen.targets().tolist() == [1, 1]
    assert chosen.keys.exact.tolist() == data.keys.exact[[9, 3]].tolist()


def test_rows_without_text_are_left_out_and_remembered(examples):
    data = examples([*ROWS, ("", "")])
    assert data.left_out.empty_texts.tolist() == [2, 4]
    assert data.indices.tolist() == [0, 1, 3]


def test_an_empty_label_is_an_error_unless_skipped(examples):
    rows = [*ROWS, ("no label", ""), ("none either", "")]
    with pytest.raises(
        DataError, match=r"row 5 \(line 6\): the label is empty \(and in 1 more rows\).*--skip-bad-rows"
    ):
        examples(rows)
    data = examples(rows, skip_bad_rows=True)
    assert data.left_out.empty_labels.tolist() == [4, 5]
    assert len(data) == 3


def test_pairs_numbers_and_gaps_are_texts(write_json):
    rows = [{"text_a": 5, "text_b": "b", "label": 0}, {"text_a": True, "label": 1}, {"text_b": "x", "label": 1}]
    table = read(write_json("rows.jsonl", rows))["train"]
    columns = find_columns(table)
    data = make_examples(table, columns, find_labels(table, columns))
    assert [(example.text, example.text_pair) for example in data] == [("5", "b"), ("True", ""), ("", "x")]


def test_multi_label_targets(write_json):
    table = read(write_json("rows.jsonl", [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": []}]))["train"]
    columns = find_columns(table, label="label")
    data = make_examples(table, columns, find_labels(table, columns))
    assert [example.label for example in data] == [(0, 1), ()]
    assert data.targets().dtype == np.float32
    assert data.targets().tolist() == [[1, 1], [0, 0]]
    assert data.counts().tolist() == [1, 1]


def test_unlabelled_examples(table):
    data = Examples(table(ROWS), Columns("text"))
    assert [example.label for example in data] == [None] * 4
    with pytest.raises(DataError, match="has no labels"):
        data.targets()


def test_nothing_usable_is_an_error(table):
    with pytest.raises(DataError, match="none of the 2 rows has both a text and a label"):
        make_examples(table([(" ", "a"), (" ", "b")]), Columns("text"), None)


def test_a_text_that_is_a_list_is_named(write_json):
    rows = [{"text": "a", "label": 1}, {"text": ["b"], "label": 0}]
    table = read(write_json("rows.jsonl", rows))["train"]
    with pytest.raises(DataError, match=r"rows.jsonl, row 2 \(line 2\): column 'text' holds a list here, not a text"):
        make_examples(table, Columns("text", None, ("label",)), None)
