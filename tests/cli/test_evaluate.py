"""What `headway evaluate` says and refuses."""

import json

import pytest


def test_an_int8_evaluation_knows_the_model_as_it_is(trained, reviews_file, headway_here):
    """Quantized weights are parameters too."""
    exact, small = (
        json.loads(headway_here("evaluate", trained, reviews_file, "--json", *words).stdout)
        for words in ([], ["--precision", "int8"])
    )
    assert small["model"] == exact["model"]
    assert exact["model"]["parameters"] > 30_000
    assert (exact["environment"]["precision"], small["environment"]["precision"]) == ("float32", "int8")


@pytest.mark.parametrize("assignment", ["epochs=7", "seed=3", "validation_fraction=0.2", "mixup=0.1"])
def test_settings_that_an_evaluation_would_ignore_are_refused(trained, reviews_file, headway_here, assignment):
    done = headway_here("evaluate", trained, reviews_file, "--set", assignment)
    assert done.returncode == 2
    name = assignment.partition("=")[0]
    assert done.stderr == f"headway: Setting {name} has no effect on headway evaluate; leave it out.\n"


def test_a_label_that_the_model_does_not_know_is_told(trained, headway_here, tmp_path):
    (tmp_path / "other.csv").write_text("text,label\nfine,positive\nbad,negativ\n")
    done = headway_here("evaluate", trained, tmp_path / "other.csv")
    assert done.returncode == 2
    assert "row 2" in done.stderr
    assert "'negativ'" in done.stderr
    assert "negative" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_columns_of_the_training_are_taken_and_others_where_they_are_named(trained, headway_here, tmp_path):
    (tmp_path / "named.csv").write_text("note,my label,text\nx y z,positive,fine thing\nx y z,negative,bad thing\n")
    done = headway_here("evaluate", trained, tmp_path / "named.csv", "--json", "--set", 'label_column="my label"')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == {"test": 2}
