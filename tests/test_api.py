"""The Python face: whatever holds rows trains a model, whatever holds texts is answered, and nothing else is."""

import io
import re

import numpy as np
import pytest

import headway
from headway.errors import UserError

GOOD, BAD = "The neat box no. {} works well and arrived early", "The handy knife no. {} broke after a week"
TEXTS = [GOOD.format(77), BAD.format(78)]


def rows():
    return [
        {"id": f"o{i}", "text": (BAD if i % 2 else GOOD).format(i), "label": "bad" if i % 2 else "good"}
        for i in range(40)
    ]


def columns():
    return {name: [row[name] for row in rows()] for name in ("id", "text", "label")}


def frame():
    import pandas as pd

    return pd.DataFrame(rows(), index=range(100, 140)).astype({"label": "category"})


def split_dataset():
    import datasets

    whole = datasets.Dataset.from_list(rows())
    return datasets.DatasetDict(train=whole.select(range(32)), test=whole.select(range(32, 40)))


def files(folder):
    frame()[:20].to_csv(folder / "a.csv", index=False)
    frame()[20:].to_csv(folder / "b.csv", index=False)
    return [folder / "a.csv", str(folder / "b.csv")]


SOURCES = {
    "path": lambda folder: files(folder)[0],
    "paths": files,
    "DataFrame": lambda folder: frame(),
    "Dataset": lambda folder: split_dataset()["train"],
    "DatasetDict": lambda folder: split_dataset(),
    "list of dicts": lambda folder: rows(),
    "dict of columns": lambda folder: columns(),
    "generator of rows": lambda folder: iter(rows()),
}


def train(data, output, **settings):
    chosen = {"model": "scratch:tiny", "epochs": 1, "quiet": True, "max_length": 32, **settings}
    return headway.train(data, output=output, **chosen)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return train(frame(), tmp_path_factory.mktemp("api") / "run")


@pytest.fixture(scope="module")
def model(result):
    return result.model


@pytest.fixture(scope="module")
def pair_model(tmp_path_factory):
    pairs = [{"sentence1": row["text"], "sentence2": row["id"], "label": row["label"]} for row in rows()]
    return train(pairs, tmp_path_factory.mktemp("pairs") / "run").model


@pytest.mark.parametrize("kind", SOURCES)
def test_whatever_holds_rows_trains_a_model(kind, tmp_path):
    trained = train(SOURCES[kind](tmp_path), tmp_path / "run", epochs=0.2)
    assert trained.model.label_names == ("bad", "good")
    assert trained.record.scores.rows > 0
    assert len(trained.model.predict(TEXTS)) == 2


@pytest.mark.parametrize("nothing", [None, 3, b"text,label", np.zeros(3)])
def test_what_holds_no_rows_is_refused_in_one_sentence(nothing, tmp_path):
    with pytest.raises(TypeError, match="no source of rows") as refused:
        train(nothing, tmp_path / "run")
    assert "\n" not in str(refused.value)


def test_several_labels_come_as_lists_or_as_columns(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"text": [row["text"] for row in rows()]})
    table["tags"] = [["box", "early"] if i % 2 == 0 else ["knife"] for i in range(40)]
    trained = train(table, tmp_path / "lists", epochs=0.2)
    assert trained.model.label_names == ("box", "early", "knife")
    flags = table[["text"]].assign(box=[int(i % 2 == 0) for i in range(40)], knife=[i % 2 for i in range(40)])
    trained = train(flags, tmp_path / "columns", epochs=0.2, label_column=["box", "knife"])
    assert trained.model.label_names == ("box", "knife")


def test_a_result_says_how_good_the_model_is(result):
    assert re.fullmatch(r"<Result: <text classification model, bert, 2 labels .*>\. The model labels .*>", repr(result))
    assert result.record.scores.rows == 4


def test_a_notebook_sees_scores_beside_baselines_and_curves(result):
    page = result._repr_html_()
    assert "<script" not in page
    for seen in ("this model", "majority class", "Accuracy", "<svg", "Loss", "prefers-color-scheme: dark"):
        assert seen in page
    used = set(re.findall(r"var\((--[\w-]+)", page))
    assert used
    assert all(f"{name}:" in page for name in used)
    # Nothing of the page may reach beyond the cell.
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    selectors = re.findall(r"([^{}@]+)\{(?!\s*\.)", re.sub(r"@media[^{]*", "", style))
    assert all(".headway-result" in selector for selector in selectors if selector.strip())


def answerable():
    import datasets
    import pandas as pd
    import pyarrow as pa

    table = pd.DataFrame({"id": ["x", "y"], "text": TEXTS}, index=[9, 4])
    return {
        "list": TEXTS,
        "tuple": tuple(TEXTS),
        "generator": (text for text in TEXTS),
        "array of objects": np.array(TEXTS, dtype=object),
        "array of texts": np.array(TEXTS),
        "Series": table["text"],
        "Series of strings": table["text"].astype("string"),
        "categorical Series": table["text"].astype("category"),
        "Index": pd.Index(TEXTS),
        "DataFrame": table,
        "DataFrame, other case": table.rename(columns={"text": "Text"}),
        "DataFrame, usual name": table.rename(columns={"text": "review"}),
        "Dataset": datasets.Dataset.from_pandas(table),
        "Arrow column": pa.array(TEXTS),
        "Arrow table": pa.table({"id": [1, 2], "text": TEXTS}),
        "dict of lists": {"id": [1, 2], "text": TEXTS},
        "dict of Series": {"text": table["text"]},
        "rows": table.to_dict("records"),
        "generator of rows": iter(table.to_dict("records")),
    }


@pytest.mark.parametrize("kind", answerable())
def test_whatever_holds_texts_is_answered_text_by_text(model, kind):
    expected = model.predict_proba(TEXTS)
    np.testing.assert_allclose(model.predict_proba(answerable()[kind]), expected, atol=1e-6)


def unanswerable(folder):
    import pandas as pd

    (folder / "new.csv").write_text("text\nfine\n")
    (folder / "photo.jpg").write_bytes(b"")
    return {
        "nothing": None,
        "number": 3,
        "number in a list": ["fine", 3],
        "None in a list": ["fine", None],
        "NaN in a Series": pd.Series(["fine", float("nan")]),
        "NA in a Series": pd.Series(["fine", pd.NA], dtype="string"),
        "bytes": b"fine",
        "array of numbers": np.zeros(2),
        "array without axes": np.array("fine"),
        "pair": [("a", "b")],
        "rows as lists": [["o1", "fine"], ["o2", "bad"]],
        "array of pairs": np.array([["a", "b"], ["c", "d"]]),
        "path": folder / "new.csv",
        "path in a list": ["fine", folder / "new.csv"],
        "name of a file": str(folder / "new.csv"),
        "name of an image": [str(folder / "photo.jpg")],
        "open file": io.StringIO("text\nfine\n"),
        "row with None": {"text": None},
        "rows, then a text": [{"text": "fine"}, "fine"],
        "splits": split_dataset(),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "nothing",
        "number",
        "number in a list",
        "None in a list",
        "NaN in a Series",
        "NA in a Series",
        "bytes",
        "array of numbers",
        "array without axes",
        "pair",
        "rows as lists",
        "array of pairs",
        "path",
        "path in a list",
        "name of a file",
        "name of an image",
        "open file",
        "row with None",
        "rows, then a text",
        "splits",
    ],
)
def test_anything_else_is_a_type_error_of_one_sentence(model, kind, tmp_path):
    with pytest.raises(TypeError, match=r"^predict takes .*\.$") as refused:
        model.predict(unanswerable(tmp_path)[kind])
    assert "\n" not in str(refused.value)


def test_a_text_that_looks_like_a_name_of_no_file_is_a_text(model):
    assert len(model.predict(["see new.csv", "nowhere.csv", "a" * 3000 + ".csv"])) == 3


def test_a_table_without_a_usable_text_is_refused_with_its_row(model):
    table = frame()[["id"]].assign(text=None)
    with pytest.raises(UserError, match=r"row 1.*'text' is empty"):
        model.predict(table)
    with pytest.raises(UserError, match="there is no column 'text'"):
        model.predict({"id": [1, 2], "shop": ["a", "b"]})


def test_pairs_are_for_models_that_were_trained_on_pairs(pair_model):
    import pandas as pd

    table = pd.DataFrame({"sentence2": ["o1", "o2"], "sentence1": TEXTS})
    pairs = list(zip(TEXTS, ["o1", "o2"], strict=True))
    expected = pair_model.predict_proba(table)
    for inputs in (pairs, [list(pair) for pair in pairs], iter(pairs), table.to_dict("records"), np.array(pairs)):
        np.testing.assert_allclose(pair_model.predict_proba(inputs), expected, atol=1e-6)
    assert len(pair_model.predict(("one", "other"))) == 1
    with pytest.raises((TypeError, UserError), match="pairs"):
        pair_model.predict("a single text")


def test_evaluate_takes_what_train_takes(model, tmp_path):
    expected = model.evaluate(frame()).scores.metrics["accuracy"]
    for source in (files(tmp_path), rows(), columns(), iter(rows())):
        assert model.evaluate(source).scores.metrics["accuracy"] == expected
    assert model.evaluate(split_dataset()).scores.rows == 8


def test_a_folder_s_test_file_may_spell_its_header_otherwise(tmp_path):
    (tmp_path / "data").mkdir()
    frame()[:32].to_csv(tmp_path / "data" / "train.csv", index=False)
    other = frame()[32:].rename(columns={"text": "TEXT ", "label": "Label"})
    other.to_csv(tmp_path / "data" / "test.csv", index=False)
    trained = train(tmp_path / "data", tmp_path / "run", epochs=0.2)
    assert trained.record.rows["test"] == 8
