import re

import pyarrow as pa
import pytest

from headway.errors import DataError
from headway.examples.fields import Columns, Field, find_columns, find_inputs, looks_like_images
from headway.sources.read import read
from headway.tasks.classification.task import TextClassification
from headway.tasks.image_classification.task import ImageClassification

TEXTS, IMAGES = TextClassification.fields, ImageClassification.fields

SENTENCES = [
    "I really love this one",
    "What a terrible thing to buy",
    "It does what it should do",
    "Never again, thank you",
]
LABELS = [1, 0, 1, 0]


def columns(**fields) -> Columns:
    """columns(text="review", label=["a", "b"])."""
    return Columns({name: (found,) if isinstance(found, str) else tuple(found) for name, found in fields.items()})


@pytest.fixture
def columns_of(write_json):
    """columns_of({"review": […], "stars": […]}, label=["stars"]) finds the columns of such a table."""

    def find(table, fields=TEXTS, targets=True, **told):
        rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
        return find_columns(read(write_json("rows.jsonl", rows))["train"], fields, told, targets=targets)

    return find


@pytest.mark.parametrize(
    "names",
    [
        ("text", "label"),
        ("Review", "Sentiment"),
        ("tweet", "target"),
        ("message", "CLASS"),
        ("reviewText", "overall"),
        ("comment text", "tags"),
    ],
)
def test_usual_names(columns_of, names):
    found = columns_of({names[0]: SENTENCES, names[1]: LABELS, "id": ["a", "b", "c", "d"]})
    assert found == columns(text=names[0], label=names[1])


@pytest.mark.parametrize(
    "pair", [("premise", "hypothesis"), ("sentence1", "sentence2"), ("Question1", "Question2"), ("text_a", "text_b")]
)
def test_usual_pairs(columns_of, pair):
    found = columns_of({pair[1]: SENTENCES, pair[0]: SENTENCES, "label": LABELS})
    assert found == columns(text=pair[0], text_pair=pair[1], label="label")
    assert found.of(TEXTS, role="input") == pair
    assert found.of(TEXTS, kind="label") == ("label",)


def test_an_earlier_name_wins(columns_of):
    everything = {"title": SENTENCES, "text": SENTENCES, "review": SENTENCES, "label": LABELS, "category": LABELS}
    assert columns_of(everything) == columns(text="text", label="label")


def test_contents_decide_when_names_do_not(columns_of):
    found = columns_of({"id": ["a1", "b2", "c3", "d4"], "col1": SENTENCES, "col2": ["yes", "no", "no", "yes"]})
    assert found == columns(text="col1", label="col2")


def test_the_longest_of_several_texts_is_meant_only_if_it_is_by_far_the_longest(columns_of):
    long = [f"{sentence} and then some more words" * 3 for sentence in SENTENCES]
    assert columns_of({"a": SENTENCES, "b": long, "label": LABELS}) == columns(text="b", label="label")


def test_rows_sorted_by_label_are_looked_at_all_over(columns_of):
    n = 3000
    found = columns_of({"words": [f"this is row {i}" for i in range(n)], "kind": ["a"] * (n - 500) + ["b"] * 500})
    assert found["label"] == ("kind",)


def test_told_columns(columns_of):
    table = {"a": SENTENCES, "b": SENTENCES, "x": LABELS, "y": LABELS, "text": SENTENCES, "u,v": LABELS}
    found = columns_of(table, text=["a"], text_pair=["B"], label=["x", " y"])
    assert found == columns(text="a", text_pair="b", label=["x", "y"])
    assert columns_of(table, label=["y"]) == columns(text="text", label="y")
    assert columns_of(table, label=["u,v"]) == columns(text="text", label="u,v")


def test_a_told_text_brings_its_usual_partner(columns_of):
    found = columns_of({"premise": SENTENCES, "hypothesis": SENTENCES, "label": LABELS}, text=["premise"])
    assert found["text_pair"] == ("hypothesis",)


@pytest.mark.parametrize(
    ("table", "told", "parts"),
    [
        ({"text": SENTENCES, "label": LABELS}, {"text": "txt"}, ["no column 'txt'", "Did you mean 'text'?", "'label'"]),
        ({"text": SENTENCES, "label": LABELS}, {"label": "tone"}, ["no column 'tone' (label_column)"]),
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
            ["no column that looks like text, apart from 'text', which is taken"],
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
            ["no column that looks like a label, apart from 'label', which is taken"],
        ),
    ],
)
def test_what_is_not_clear_is_asked(columns_of, table, told, parts):
    with pytest.raises(DataError) as refusal:
        columns_of(table, **{field: [column] for field, column in told.items()})
    assert all(part in str(refusal.value) for part in parts), refusal.value


def test_without_need_a_label_may_be_missing(columns_of):
    assert columns_of({"text": SENTENCES, "id": LABELS}, targets=False) == columns(text="text")


@pytest.mark.parametrize(
    "images",
    [
        ["a.png", "b/B.JPEG", None, "c.webp"],
        [{"bytes": None, "path": "a.png"}] * 4,
    ],
    ids=["names", "structs"],
)
def test_images_are_known_by_their_contents(columns_of, images):
    found = columns_of({"what": images, "kind": LABELS, "note": SENTENCES}, fields=IMAGES)
    assert found == columns(image="what", label="kind")


def test_what_looks_like_images():
    assert looks_like_images([b"\x89PNG", None, ""])
    assert looks_like_images(["a.png", "b.jpg", "not an image"])
    assert not looks_like_images(["a.png", "text", "text"])
    assert not looks_like_images([])
    assert not looks_like_images([None, ""])
    assert not looks_like_images([{"bytes": b"", "rate": 1}])


def test_bytes_are_no_text():
    from headway.sources.frames import arrow_table

    table = arrow_table("rows", pa.table({"text": pa.array([b"a b", b"c d"]), "label": ["x", "y"]}))
    with pytest.raises(DataError, match=r"rows: column 'text' holds bytes, not texts\. .*--set text_column="):
        find_columns(table, TEXTS)


def test_a_field_may_have_several_columns(columns_of):
    references = Field(name="summary", kind="text", role="target", setting="target_column", many=True)
    table = {"text": SENTENCES, "one": SENTENCES, "two": [[sentence] for sentence in SENTENCES]}
    found = columns_of(table, fields=(TEXTS[0], references), summary=["one", "two"])
    assert found == columns(text="text", summary=["one", "two"])


def test_inputs_for_prediction():
    single = columns(text="Review", label="label")
    pair = columns(text="premise", text_pair="hypothesis", label="label")
    for names, found in (
        (["id", "Review"], "Review"),
        (["id", "review"], "review"),
        (["text"], "text"),
        (["id", "tweet"], "tweet"),
        (["only"], "only"),
    ):
        assert find_inputs(names, TEXTS, single) == columns(text=found), names
    assert find_inputs(["hypothesis", "premise"], TEXTS, pair) == columns(text="premise", text_pair="hypothesis")
    assert find_inputs(["id", "words"], TEXTS, single, columns(text="Words")) == columns(text="words")


@pytest.mark.parametrize(
    ("names", "trained", "told", "reason"),
    [
        (
            ["id", "reviews"],
            columns(text="Review"),
            None,
            "no column 'Review'. The model was trained on 'Review'; here the columns are 'id', 'reviews'. "
            "Did you mean 'reviews'? Rename the column, or name the right one with --text-column",
        ),
        (["premise"], columns(text="premise", text_pair="hypothesis"), None, "no column 'hypothesis'"),
        (["premise"], columns(text="premise", text_pair="hypothesis"), None, "trained on 'premise' and 'hypothesis'"),
        (["text"], columns(text="text"), columns(text="txt"), "no column 'txt'"),
        (["review", "comment"], columns(text="words"), None, "no column 'words'"),
    ],
)
def test_inputs_that_are_not_there(names, trained, told, reason):
    with pytest.raises(DataError, match=re.escape(reason)):
        find_inputs(names, TEXTS, trained, told)
