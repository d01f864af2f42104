import pytest

from headway.errors import DataError
from headway.examples.fields import Columns, find_columns, find_inputs
from headway.sources.read import read

SENTENCES = [
    "I really love this one",
    "What a terrible thing to buy",
    "It does what it should do",
    "Never again, thank you",
]


@pytest.fixture
def columns_of(write_json):
    """columns_of(review=[…], stars=[…]) finds the columns of such a table."""

    def find(columns, **told):
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return find_columns(read(write_json("rows.jsonl", rows))["train"], **told)

    return find


LABELS = [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("text", "label"), Columns("text", None, ("label",))),
        (("Review", "Sentiment"), Columns("Review", None, ("Sentiment",))),
        (("tweet", "target"), Columns("tweet", None, ("target",))),
        (("message", "CLASS"), Columns("message", None, ("CLASS",))),
        (("reviewText", "overall"), Columns("reviewText", None, ("overall",))),
        (("comment text", "tags"), Columns("comment text", None, ("tags",))),
    ],
)
def test_usual_names(columns_of, names, found):
    assert columns_of({names[0]: SENTENCES, names[1]: LABELS, "id": ["a", "b", "c", "d"]}) == found


@pytest.mark.parametrize(
    "pair", [("premise", "hypothesis"), ("sentence1", "sentence2"), ("Question1", "Question2"), ("text_a", "text_b")]
)
def test_usual_pairs(columns_of, pair):
    found = columns_of({pair[1]: SENTENCES, pair[0]: SENTENCES, "label": LABELS})
    assert found == Columns(*pair, ("label",))
    assert found.texts == pair


def test_an_earlier_name_wins(columns_of):
    everything = {"title": SENTENCES, "text": SENTENCES, "review": SENTENCES, "label": LABELS, "category": LABELS}
    assert columns_of(everything) == Columns("text", None, ("label",))


def test_contents_decide_when_names_do_not(columns_of):
    found = columns_of({"id": ["a1", "b2", "c3", "d4"], "col1": SENTENCES, "col2": ["yes", "no", "no", "yes"]})
    assert found == Columns("col1", None, ("col2",))


def test_rows_sorted_by_label_are_looked_at_all_over(columns_of):
    n = 3000
    found = columns_of({"words": [f"this is row {i}" for i in range(n)], "kind": ["a"] * (n - 500) + ["b"] * 500})
    assert found.labels == ("kind",)


def test_told_columns(columns_of):
    table = {"a": SENTENCES, "b": SENTENCES, "x": LABELS, "y": LABELS, "text": SENTENCES, "u,v": LABELS}
    assert columns_of(table, text="a", text_pair="B", label="x, y") == Columns("a", "b", ("x", "y"))
    assert columns_of(table, label=["y"]) == Columns("text", None, ("y",))
    assert columns_of(table, label="u,v") == Columns("text", None, ("u,v",))


def test_a_told_text_brings_its_usual_partner(columns_of):
    found = columns_of({"premise": SENTENCES, "hypothesis": SENTENCES, "label": LABELS}, text="premise")
    assert found.text_pair == "hypothesis"


@pytest.mark.parametrize(
    ("columns", "told", "parts"),
    [
        ({"text": SENTENCES, "label": LABELS}, {"text": "txt"}, ["no column 'txt'", "Did you mean 'text'?", "'label'"]),
        ({"text": SENTENCES, "label": LABELS}, {"label": "label,tone"}, ["no column 'tone' (label_column)"]),
        (
            {"review": SENTENCES, "comment": SENTENCES, "label": LABELS},
            {},
            ["could be the text: 'review', 'comment'", "--set text_column=review"],
        ),
        (
            {"one": SENTENCES, "two": SENTENCES, "label": LABELS},
            {},
            ["could be the text: 'one', 'two'", "text_pair_column"],
        ),
        (
            {"text": SENTENCES, "toxic": LABELS, "rude": LABELS},
            {},
            ["'toxic', 'rude'", "--set label_column=toxic; several"],
        ),
        ({"text": SENTENCES, "class": LABELS, "stars": LABELS}, {}, ["'class', 'stars'", "--set label_column=class"]),
        ({"text": SENTENCES, "note": SENTENCES}, {}, ["no column that looks like a label", "--set label_column="]),
        ({"x": LABELS, "label": LABELS}, {}, ["no column that looks like text", "text_column", "header line"]),
        (
            {"text": [["a"], ["b"], [], []], "label": LABELS},
            {},
            ["'text' holds lists or objects", "--set text_column="],
        ),
        (
            {"text": SENTENCES, "label": LABELS},
            {"label": "text"},
            ["no column that looks like text, not counting 'text', which is taken"],
        ),
        (
            {"text": SENTENCES, "label": LABELS},
            {"text": "text", "label": "text"},
            ["column 'text' is taken twice, as text_column and as label_column"],
        ),
        (
            {"text": SENTENCES, "label": LABELS},
            {"text": "text", "text_pair": "text"},
            ["column 'text' is taken twice, as text_column and as text_pair_column"],
        ),
        (
            {"text": SENTENCES, "label": LABELS},
            {"text": "label"},
            ["no column that looks like a label, not counting 'label', which is taken"],
        ),
    ],
)
def test_what_is_not_clear_is_asked(columns_of, columns, told, parts):
    with pytest.raises(DataError) as refusal:
        columns_of(columns, **told)
    assert all(part in str(refusal.value) for part in parts), refusal.value


def test_without_need_a_label_may_be_missing(columns_of):
    assert columns_of({"text": SENTENCES, "id": LABELS}, need_label=False) == Columns("text")


def test_inputs_for_prediction():
    single, pair = Columns("Review", None, ("label",)), Columns("premise", "hypothesis", ("label",))
    assert find_inputs(["id", "Review"], single) == Columns("Review")
    assert find_inputs(["id", "review"], single) == Columns("review")
    assert find_inputs(["text"], single) == Columns("text")
    assert find_inputs(["only"], single) == Columns("only")
    assert find_inputs(["hypothesis", "premise"], pair) == Columns("premise", "hypothesis")
    with pytest.raises(
        DataError, match=r"no column 'Review'.* trained on 'Review'; here the columns are 'id', 'reviews'"
    ):
        find_inputs(["id", "reviews"], single)
    with pytest.raises(DataError, match=r"no column 'hypothesis'.* trained on 'premise' and 'hypothesis'"):
        find_inputs(["premise"], pair)
