"""What a user holds in Python: what it takes, what it refuses, and folders of the version before."""

import json
import shutil

import numpy as np
import pytest

import headway
from headway.errors import DataError, SettingsError

TEXTS = ["a great camera", "the battery is dead"]


@pytest.fixture(scope="module")
def single(train_tiny, review_texts, tmp_path_factory):
    """A model for single texts, trained on columns called `review` and `mark`."""
    path = tmp_path_factory.mktemp("single") / "marks.jsonl"
    rows = [{"review": text, "mark": "long" if len(text) > 60 else "short"} for text in review_texts[:200]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return train_tiny(path, epochs=1, text_column="review", label_column="mark")


@pytest.fixture(scope="module")
def pairs(train_tiny, pairs_file):
    return train_tiny(pairs_file, epochs=0.5)


@pytest.fixture(scope="module")
def several(train_tiny, topics_file):
    return train_tiny(topics_file, epochs=0.5, max_length=24)


@pytest.fixture(scope="module")
def expected(single):
    return single.predict_proba(TEXTS)


def frames():
    import datasets
    import pandas as pd
    import pyarrow as pa

    columns = {"id": [1, 2], "review": TEXTS}
    return {
        "list": TEXTS,
        "tuple": tuple(TEXTS),
        "generator": (text for text in TEXTS),
        "array": np.array(TEXTS, dtype=object),
        "Series": pd.Series(TEXTS, index=[7, 9]),
        "DataFrame": pd.DataFrame(columns, index=[7, 9]),
        "lone column": pd.DataFrame({"whatever": TEXTS}),
        "other case": pd.DataFrame({"REVIEW": TEXTS, "id": [1, 2]}),
        "Dataset": datasets.Dataset.from_dict(columns),
        "Arrow table": pa.table(columns),
        "mapping of columns": columns,
        "rows": [{"review": text, "id": 3} for text in TEXTS],
        "rows that come": ({"review": text} for text in TEXTS),
    }


@pytest.mark.parametrize("kind", list(frames()))
def test_whatever_holds_the_texts_is_answered_as_a_list_of_them_is(single, expected, kind):
    """Never the names of columns, nor keys."""
    np.testing.assert_allclose(single.predict_proba(frames()[kind]), expected, atol=1e-6)


@pytest.mark.parametrize("one", [TEXTS[0], {"review": TEXTS[0], "mark": "short"}], ids=["text", "row"])
def test_one_text_gets_one_answer(single, expected, one):
    (answer,) = single.predict(one)
    assert answer.scores == pytest.approx(expected[0], abs=1e-6)


def test_pairs_come_as_tuples_lists_rows_or_a_table(pairs):
    import pandas as pd

    expected = pairs.predict_proba([("a", "b"), ("c", "c")])
    table = pd.DataFrame({"sentence2": ["b", "c"], "sentence1": ["a", "c"]})
    for inputs in ([["a", "b"], ["c", "c"]], table, table.to_dict("records"), table.to_dict("list")):
        np.testing.assert_allclose(pairs.predict_proba(inputs), expected, atol=1e-6)
    np.testing.assert_allclose(pairs.predict_proba(("a", "b")), expected[:1], atol=1e-6)


@pytest.mark.parametrize("nothing", [[], (), iter(())])
def test_no_inputs_give_no_answers(single, nothing):
    assert single.predict(nothing) == []
    assert single.predict_proba(nothing).shape == (0, 2)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "predict takes texts or rows with 'text', not NoneType: None"),
        (3.5, "not float: 3.5"),
        ([3.5], "not float: 3.5"),
        ([TEXTS[0], None], "not NoneType: None"),
        ([("one", "two")], "not tuple: "),
        ([{"review": TEXTS[0]}, TEXTS[1]], "not a mapping|rows of one kind"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(single, inputs, message):
    with pytest.raises(TypeError, match=message) as refused:
        single.predict(inputs)
    assert "\n" not in str(refused.value)


def test_a_table_without_the_column_is_refused_with_the_columns_that_it_has(single):
    import pandas as pd

    with pytest.raises(DataError, match=r"no column 'review'.*'reviews', 'id'.*Did you mean 'reviews'"):
        single.predict(pd.DataFrame({"reviews": TEXTS, "id": TEXTS}))


def test_a_table_with_an_empty_text_is_refused_with_its_row(single):
    import pandas as pd

    with pytest.raises((DataError, TypeError), match=r"row 2.*review"):
        single.predict(pd.DataFrame({"review": [TEXTS[0], None]}))


def test_an_empty_text_gets_an_answer(single):
    (answer,) = single.predict([""])
    assert answer.label in single.label_names


def test_settings_of_writing_are_refused_where_they_are_none(single):
    with pytest.raises(SettingsError, match="epochs has no effect on predict"):
        single.predict(TEXTS, epochs=3)


def test_a_model_says_what_it_is(single):
    assert repr(single) == f"<text classification model, bert, 2 labels (long, short); {single.folder}>"


@pytest.mark.parametrize("fixture", ["single", "pairs", "several"])
def test_a_folder_of_the_version_before_still_answers(fixture, request, tmp_path):
    """Version 0.1.0 called the task `classification` and named the columns otherwise."""
    model = request.getfixturevalue(fixture)
    shutil.copytree(model.folder, tmp_path / "old")
    columns = {
        "text": model.columns["text"][0],
        "text_pair": next(iter(model.columns["text_pair"]), None),
        "labels": list(model.columns["label"]),
    }
    known = {"task": "classification", "columns": columns, "max_length": 24}
    (tmp_path / "old" / "headway" / "task.json").write_text(json.dumps(known, indent=2))
    old = headway.load(tmp_path / "old")
    assert old.columns == model.columns
    assert old.label_names == model.label_names
    assert old.loaded.encoder.max_length == 24
    inputs = [("a", "b"), ("c", "c")] if fixture == "pairs" else TEXTS
    expected = model.predict_proba(inputs)
    np.testing.assert_allclose(old.predict_proba(inputs), expected, atol=1e-6)
    old.save(tmp_path / "new")
    assert json.loads((tmp_path / "new" / "headway" / "task.json").read_text())["task"] == "text_classification"
    np.testing.assert_allclose(headway.load(tmp_path / "new").predict_proba(inputs), expected, atol=1e-6)


def test_a_folder_without_any_record_of_headway_answers_too(single, expected, tmp_path):
    """As another library has written it."""
    shutil.copytree(single.folder, tmp_path / "bare", ignore=shutil.ignore_patterns("headway"))
    bare = headway.load(tmp_path / "bare")
    np.testing.assert_allclose(bare.predict_proba(TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(bare.predict_proba({"text": TEXTS}), expected, atol=1e-6)
