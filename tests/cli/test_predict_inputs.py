"""What `predict` is given is answered, or refused with the way; nothing that is done is lost."""

import csv
import json

import pytest

TEXTS = ["I love this product!", "This is terrible!"]


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["new.csv", "reviews.jsonl", "good", "folder"])
def test_a_name_of_something_that_exists_is_no_text(trained, headway_command, tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_text("text\nfine\n")
    done = headway_command("predict", trained, TEXTS[0], path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--input {path}" in done.stderr


@pytest.mark.parametrize("name", ["missing.csv", "missing.jsonl.gz", "sample:reviews", "hub:imdb"])
def test_a_name_of_data_is_no_text(trained, headway_command, name):
    done = headway_command("predict", trained, name)
    assert (done.returncode, done.stdout) == (2, "")
    assert name in done.stderr


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_table_in_a_pipe_is_read_as_one(trained, headway_command, separator):
    table = "\n".join(separator.join(row) for row in [("id", "Text"), ("7", TEXTS[0]), ("8", TEXTS[1])])
    done = headway_command("predict", trained, input=table + "\n")
    assert done.returncode == 0, done.stderr
    assert [(row["id"], row["Text"]) for row in lines_of(done.stdout)] == [("7", TEXTS[0]), ("8", TEXTS[1])]
    assert "is read as a table with the columns id, Text" in done.stderr


@pytest.mark.parametrize(
    ("content", "way"),
    [("id,words\n1,so good\n2,bad\n", "--input-format csv"), (json.dumps(TEXTS), "jq")],
    ids=["table without the column", "JSON array"],
)
def test_what_is_no_text_per_line_is_not_answered(trained, headway_command, content, way):
    done = headway_command("predict", trained, input=content)
    assert (done.returncode, done.stdout) == (2, "")
    assert way in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_was_taken_for_a_header_is_said(trained, headway_command, tmp_path):
    (tmp_path / "texts.csv").write_text("\n".join([*TEXTS, "so so"]) + "\n")
    done = headway_command("predict", trained, "--input", tmp_path / "texts.csv")
    assert [row["row"] for row in lines_of(done.stdout)] == [1, 2]
    assert f"The first line, '{TEXTS[0]}', is taken for the header" in done.stderr
    as_text = headway_command("predict", trained, "--input", tmp_path / "texts.csv", "--input-format", "text")
    assert [row["text"] for row in lines_of(as_text.stdout)] == [*TEXTS, "so so"]
    (tmp_path / "named.csv").write_text("\n".join(["text", *TEXTS]) + "\n")
    assert "header" not in headway_command("predict", trained, "--input", tmp_path / "named.csv").stderr


def test_the_column_is_found_by_its_usual_names_or_named(trained, headway_command, tmp_path):
    (tmp_path / "a.csv").write_text(f"id,review\n1,{TEXTS[0]}\n")
    done = headway_command("predict", trained, "--input", tmp_path / "a.csv", "--format", "text")
    assert done.stdout.rstrip().endswith(TEXTS[0])
    (tmp_path / "b.csv").write_text(f"id,what people wrote\n1,{TEXTS[0]}\n")
    refused = headway_command("predict", trained, "--input", tmp_path / "b.csv")
    assert refused.returncode == 2
    assert "--text-column" in refused.stderr
    named = headway_command("predict", trained, "--input", tmp_path / "b.csv", "--text-column", "what people wrote")
    assert [row["what people wrote"] for row in lines_of(named.stdout)] == [TEXTS[0]]


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """A null after 3,000 rows, a line that is no JSON, a list, and one more text."""
    path = tmp_path_factory.mktemp("late") / "late.jsonl"
    rows = [json.dumps({"id": i, "text": f"lamp {i}"}) for i in range(3000)]
    path.write_text(
        "\n".join([*rows, '{"id": -1, "text": null}', "nonsense", '{"text": ["a"]}', '{"text": "z"}']) + "\n"
    )
    return path


def test_a_bad_row_costs_no_other_its_answer(trained, headway_command, tmp_path, late):
    output = tmp_path / "answers.jsonl"
    done = headway_command("predict", trained, "--input", late, "--output", output)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "3 rows have no answer, 3,001 have one" in done.stderr
    answers = lines_of(output.read_text())
    assert [row["row"] for row in answers] == list(range(1, 3005))
    assert all("label" in row for row in [*answers[:3000], answers[3003]])
    assert answers[3000] == {"row": 3001, "id": -1, "text": None, "error": answers[3000]["error"]}
    for row, reason in zip(answers[3000:3003], ("empty", "not JSON", "a list"), strict=True):
        assert reason in row["error"]
        assert "label" not in row


def test_a_bad_row_is_marked_in_csv_too(trained, headway_command, tmp_path):
    (tmp_path / "odd.csv").write_text(f"id,text,error\n1,{TEXTS[0]},x\n2,too,many,fields\n3,{TEXTS[1]},\n")
    output = tmp_path / "answers.csv"
    done = headway_command("predict", trained, "--input", tmp_path / "odd.csv", "--output", output)
    assert done.returncode == 1
    with output.open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert [(row["row"], row["id"], row["input_error"]) for row in answers] == [
        ("1", "1", "x"),
        ("2", "", ""),
        ("3", "3", ""),
    ]
    assert [bool(row["label"]) for row in answers] == [True, False, True]
    assert [bool(row["error"]) for row in answers] == [False, True, False]
    assert "4 fields where the header has 3" in answers[1]["error"]


def test_bad_rows_are_left_out_where_that_is_asked_for(trained, headway_command, tmp_path, late):
    output = tmp_path / "answers.jsonl"
    done = headway_command("predict", trained, "--input", late, "--output", output, "--skip-bad-rows")
    assert done.returncode == 0, done.stderr
    assert [row["row"] for row in lines_of(output.read_text())] == [*range(1, 3001), 3004]
    for row in ("row 3001", "row 3002", "row 3003"):
        assert row in done.stderr


def test_where_no_row_has_an_answer_no_file_is_written(trained, headway_command, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"text": null}\n{"text": null}\n')
    done = headway_command("predict", trained, "--input", tmp_path / "bad.jsonl", "--output", tmp_path / "out.csv")
    assert done.returncode == 2
    assert "none of the 2 rows can be used" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_file_in_another_encoding_is_answered_and_told(trained, headway_here, tmp_path):
    path, answers = tmp_path / "reviews.csv", tmp_path / "answers.jsonl"
    path.write_bytes(
        "text\nEin schönes Gerät für große Räume\nSehr nützlich, überall\n".replace(",", "").encode("cp1252")
    )
    done = headway_here("predict", trained, "--input", path, "--output", answers)
    assert (done.returncode, done.stderr.count("is read as Windows-1252")) == (0, 1)
    assert (
        json.loads(answers.read_text(encoding="utf-8").splitlines()[0])["text"] == "Ein schönes Gerät für große Räume"
    )
    named = headway_here("predict", trained, "--input", path, "--set", "encoding=latin-1", "--format", "jsonl")
    assert (named.returncode, "Windows-1252" in named.stderr) == (0, False)
    for wrong, why in (("encoding=klingon", "unknown encoding"), ('delimiter="\\""', "cannot stand between fields")):
        refused = headway_here("predict", trained, "--input", path, "--set", wrong)
        assert refused.returncode == 2
        assert why in refused.stderr


def test_an_array_of_objects_in_a_pipe_is_a_table(trained, headway_command):
    done = headway_command("predict", trained, input=json.dumps([{"text": text} for text in TEXTS]))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == TEXTS


def test_wrongly_decoded_texts_are_a_finding(headway_here, reviews_file, tiny_model, tmp_path):
    path = tmp_path / "mojibake.csv"
    wrong = " für schön".encode().decode("cp1252")
    lines = reviews_file.read_text(encoding="utf-8").replace(" the ", f" the{wrong} ")
    path.write_text(lines, encoding="utf-8")
    told = " ".join(headway_here("inspect", path, "--model", tiny_model).stdout.split())
    assert "wrongly decoded characters such as 'Ã¼'" in told
    assert "wrongly decoded" not in headway_here("inspect", reviews_file, "--model", tiny_model).stdout
