"""How a task's data is read: what makes it the same data, and which rows become examples."""

import pytest

import headway
from headway.errors import DataError, Interrupted
from headway.settings import resolve
from headway.tasks.data import read_scored, read_tables, read_task_data
from headway.tasks.registry import find_task
from headway.tasks.task import ModelSource

TASK = find_task("text_classification")
ROWS = [(f"text number {index} of many", "yes" if index % 3 else "no") for index in range(60)]


def write(path, rows, header="text,label"):
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def data_of(path, validation=None, **settings):
    tables, sources = read_tables(path, validation, None, resolve({}).data)
    return read_task_data(TASK, tables, sources, resolve(settings), ModelSource("scratch:tiny", None))


def changed(kind):
    rows = list(ROWS)
    if kind == "a text":
        rows[5] = ("text nomber 5 of many", rows[5][1])
    if kind == "a label":
        rows[5] = (rows[5][0], "no" if rows[5][1] == "yes" else "yes")
    if kind == "the order":
        rows[4], rows[5] = rows[5], rows[4]
    return rows


@pytest.mark.parametrize("kind", ["a text", "a label", "the order"])
def test_the_fingerprint_changes_with_the_rows(tmp_path, kind):
    before = data_of(write(tmp_path / "a.csv", ROWS)).fingerprint()
    assert data_of(write(tmp_path / "b.csv", ROWS)).fingerprint() == before
    assert data_of(write(tmp_path / "a.csv", changed(kind))).fingerprint() != before


def test_the_fingerprint_changes_with_the_split(tmp_path):
    path = write(tmp_path / "a.csv", ROWS)
    assert data_of(path, seed=1).fingerprint() != data_of(path).fingerprint()
    assert data_of(path, validation_fraction=0.2).fingerprint() != data_of(path).fingerprint()


def test_a_run_is_not_resumed_on_texts_that_have_changed_since(train_tiny, tmp_path, monkeypatch):
    path, output = write(tmp_path / "rows.csv", ROWS), tmp_path / "run"

    def interrupted(*args, **named):
        raise Interrupted("stopped")

    monkeypatch.setattr("headway.tasks.run.fit", interrupted)
    with pytest.raises(Interrupted):
        train_tiny(path, output=output)
    size = path.stat().st_size
    write(path, changed("a text"))
    assert path.stat().st_size == size
    with pytest.raises(DataError, match="the rows are not those that the interrupted run"):
        train_tiny(path, output=output, resume=True)
    write(path, ROWS)
    with pytest.raises(Interrupted):  # it goes on, up to where it was stopped before
        train_tiny(path, output=output, resume=True)
    monkeypatch.undo()
    assert headway.load(train_tiny(path, output=output, resume=True).folder).label_names == ("no", "yes")
    assert not (output / "headway" / "state").exists()


def test_a_validation_file_may_spell_its_columns_otherwise(tmp_path):
    other = write(tmp_path / "validation.csv", [(label, text) for text, label in ROWS[:9]], "LABEL,Text")
    data = data_of(write(tmp_path / "a.csv", ROWS), validation=other)
    assert len(data.splits.validation) == 9
    assert data.sources["validation"] == str(other)
    assert next(iter(data.splits.validation))["text"] == ROWS[0][0]


def test_rows_to_be_scored_have_the_columns_of_the_training_or_those_that_are_named(tmp_path):
    told = {"text_column": "note", "label_column": "mark"}
    trained = data_of(write(tmp_path / "a.csv", [(*row, "x y z") for row in ROWS], "note,mark,text"), **told)
    again = write(tmp_path / "b.csv", [("x y z", *row) for row in ROWS[:6]], "text,note,mark")
    other = write(tmp_path / "c.csv", ROWS[:6], "words,truth")
    for path, settings in ((again, {}), (other, {"text_column": "words", "label_column": "truth"})):
        rows = read_scored(TASK, path, trained.spec, trained.columns, resolve(settings))
        assert [example["text"] for example in rows] == [text for text, _ in ROWS[:6]]
