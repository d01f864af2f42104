"""Texts to answer with, of which a row may have several."""

import pytest

from headway.errors import DataError
from headway.examples.examples import make_examples
from headway.examples.fields import Field, find_columns
from headway.sources.read import read

TEXT = Field(name="text", kind="text", setting="text_column", usual_names=(("text",),))
REFERENCES = Field(
    name="references",
    kind="text",
    role="target",
    setting="target_column",
    many=True,
    usual_names=(("reference", "references"), ("summary",)),
)
FIELDS = (TEXT, REFERENCES)


def table(*rows):
    return read(list(rows))["train"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("text", "reference"), ("reference",)),
        (("text", "Reference 2", "reference_1", "other"), ("Reference 2", "reference_1")),
        (("reference1", "text", "reference2", "summary"), ("reference1", "reference2")),
        (("text", "summary", "id"), ("summary",)),
    ],
)
def test_numbered_columns_belong_together(names, found):
    columns = find_columns(table(dict.fromkeys(names, "a b")), FIELDS)
    assert columns["references"] == found


def test_columns_that_the_user_names_win():
    columns = find_columns(table({"text": "a", "reference": "b", "gold": "c"}), FIELDS, {"references": ["gold"]})
    assert columns["references"] == ("gold",)


def test_the_texts_of_columns_and_lists_are_one_tuple_without_empty_ones():
    rows = table(
        {"text": "a", "references": ["b", ""], "reference2": "c"}, {"text": "d", "references": [], "reference2": "e"}
    )
    examples = make_examples(rows, FIELDS, find_columns(rows, FIELDS))
    assert [one["references"] for one in examples] == [("b", "c"), ("e",)]


def test_rows_without_any_are_refused_or_left_out():
    rows = table({"text": "a", "reference": "b"}, {"text": "c", "reference": " "}, {"text": "d", "reference": None})
    examples = make_examples(rows, FIELDS, find_columns(rows, FIELDS))
    with pytest.raises(DataError, match=r"row 2.*'reference' is empty \(and in 1 more rows\)"):
        examples.with_texts(REFERENCES)
    left = examples.with_texts(REFERENCES, skip_bad_rows=True)
    assert [one["text"] for one in left] == ["a"]
    assert left.left_out.empty_labels.tolist() == [1, 2]


def test_a_table_without_the_column_is_refused():
    rows = table({"text": "a", "reference": "b"})
    examples = make_examples(rows, FIELDS, find_columns(rows, (TEXT,)))
    with pytest.raises(DataError, match=r"has no references\. Name their column with --set target_column"):
        examples.with_texts(REFERENCES)
