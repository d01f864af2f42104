"""What `headway predict` reads and writes, row by row."""

import bz2
import csv
import gzip
import json
import shutil
import subprocess
import sys

import pytest

ROWS = ['{"text": "a good one"}', '{"text": "another"}', '{"text": null}', '{"text": "the last one"}']


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def answered(done):
    return [(line["row"], line["text"]) for line in lines(done)]


@pytest.fixture
def bad_in_the_middle(tmp_path):
    (tmp_path / "odd.jsonl").write_text("\n".join(ROWS) + "\n")
    return tmp_path / "odd.jsonl"


def test_a_bad_row_costs_no_other_its_answer(trained, headway_here, bad_in_the_middle, tmp_path):
    done = headway_here("predict", trained, "--input", bad_in_the_middle)
    assert done.returncode == 1
    assert [row for row, _ in answered(done)] == [1, 2, 3, 4]
    assert next(row for row in lines(done) if "error" in row)["error"].startswith("'text' is empty or missing")
    assert "1 row has no answer, 3 have one" in done.stderr
    kept = tmp_path / "answers.jsonl"
    done = headway_here("predict", trained, "--input", bad_in_the_middle, "--output", kept)
    assert done.returncode == 1
    assert len(kept.read_text().splitlines()) == 4


@pytest.mark.parametrize("value", ["[]", '["a"]', '{"a": 1}'])
def test_what_is_no_text_is_a_bad_row_and_the_others_are_answered(trained, headway_here, tmp_path, value):
    (tmp_path / "odd.jsonl").write_text(f'{{"text": "one"}}\n{{"text": {value}}}\n{{"text": 3}}\n')
    told = headway_here("predict", trained, "--input", tmp_path / "odd.jsonl")
    assert told.returncode == 1
    assert "'text' holds" in lines(told)[1]["error"]
    done = headway_here("predict", trained, "--input", tmp_path / "odd.jsonl", "--skip-bad-rows")
    assert (done.returncode, answered(done)) == (0, [(1, "one"), (3, 3)])


def test_a_piped_bad_row_is_answered_like_that_of_a_file(trained, headway_command):
    done = headway_command("predict", trained, input="\n".join(ROWS))
    assert done.returncode == 1
    assert [row for row, _ in answered(done)] == [1, 2, 3, 4]


def test_an_empty_text_gets_a_label(trained, headway_command, headway_here, tmp_path):
    piped = headway_command("predict", trained, input="one\n\nthree\n")
    assert answered(piped) == [(1, "one"), (2, ""), (3, "three")]
    (tmp_path / "texts.csv").write_text('text,n\none,1\n"",2\n')
    assert answered(headway_here("predict", trained, "--input", tmp_path / "texts.csv")) == [(1, "one"), (2, "")]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed_lines_come_through_a_file_and_a_pipe(trained, headway_here, tmp_path, compress):
    name = {"gzip": "lines.jsonl.gz", "bz2": "lines.jsonl.bz2"}[compress.__module__]
    content = compress("\n".join(ROWS[:2]).encode())
    (tmp_path / name).write_bytes(content)
    assert answered(headway_here("predict", trained, "--input", tmp_path / name)) == [(1, "a good one"), (2, "another")]
    words = [sys.executable, "-m", "headway", "predict", str(trained)]
    piped = subprocess.run(words, input=content, capture_output=True, check=False)
    assert [json.loads(line)["text"] for line in piped.stdout.splitlines()] == ["a good one", "another"], piped.stderr


def test_a_reader_that_has_seen_enough_ends_it_quietly(trained, tmp_path):
    (tmp_path / "many.txt").write_text("a text of some length\n" * 20_000)
    command = f"{sys.executable} -m headway predict {trained} --input {tmp_path / 'many.txt'} | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False, timeout=100
    )
    assert json.loads(done.stdout)["row"] == 1
    assert (done.stderr, done.returncode) == ("", 0)


def test_columns_are_kept_and_those_that_an_answer_needs_are_renamed(trained, headway_here, tmp_path):
    (tmp_path / "rows.csv").write_text("label,text,id,row\nnegative,fine,7,x\n,bad,8,y\n")
    done = headway_here("predict", trained, "--input", tmp_path / "rows.csv")
    first, second = lines(done)
    assert list(first) == ["row", "input_label", "text", "id", "input_row", "label", "confidence", "probabilities"]
    assert (first["input_label"], first["text"], first["id"], first["input_row"]) == ("negative", "fine", "7", "x")
    assert first["label"] in ("negative", "positive")
    assert second["input_label"] in ("", None)
    output = tmp_path / "answers.csv"
    assert headway_here("predict", trained, "--input", tmp_path / "rows.csv", "--output", output).returncode == 0
    with output.open(newline="") as file:
        assert [(row["row"], row["id"], row["label"]) for row in csv.DictReader(file)] == [
            ("1", "7", first["label"]),
            ("2", "8", second["label"]),
        ]


def test_no_file_is_replaced_unasked_and_the_input_never(trained, headway_here, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("text\nfine\n")
    (tmp_path / "same.csv").symlink_to(source)
    for output in (source, tmp_path / "same.csv"):
        refused = headway_here("predict", trained, "--input", source, "--output", output, "--overwrite")
        assert refused.returncode == 2
        assert f"{output} is the input. Write the answers to another file." in refused.stderr
        assert source.read_text() == "text\nfine\n"
    output = tmp_path / "answers.jsonl"
    output.write_text("precious\n")
    refused = headway_here("predict", trained, "--input", source, "--output", output)
    assert refused.returncode == 2
    assert "answers.jsonl exists already" in refused.stderr
    assert output.read_text() == "precious\n"
    done = headway_here("predict", trained, "--input", source, "--output", output, "--overwrite")
    assert done.returncode == 0
    assert json.loads(output.read_text())["text"] == "fine"


def test_nothing_but_bad_rows_writes_no_file(trained, headway_here, tmp_path):
    (tmp_path / "other.csv").write_text("id,name\n1,Ada\n2,Bo\n")
    output = tmp_path / "answers.csv"
    done = headway_here("predict", trained, "--input", tmp_path / "other.csv", "--output", output, "--skip-bad-rows")
    assert done.returncode == 2
    assert "none of the 2 rows can be used" in done.stderr
    assert not output.exists()


def test_int8_answers_nearly_the_same(trained, headway_here):
    exact, small = (
        lines(headway_here("predict", trained, "I love this product!", "--format", "jsonl", *words))[0]
        for words in ([], ["--precision", "int8"])
    )
    assert small["probabilities"] == pytest.approx(exact["probabilities"], abs=0.05)
    assert small != exact


@pytest.mark.parametrize("assignment", ["epochs=7", "batch_size=3", "seed=1", "label_column=x"])
def test_settings_that_a_prediction_would_ignore_are_refused(trained, headway_here, assignment):
    done = headway_here("predict", trained, "text", "--set", assignment)
    assert done.returncode == 2
    assert f"Setting {assignment.partition('=')[0]} has no effect on headway predict; leave it out." in done.stderr


def test_a_folder_of_the_version_before_answers(trained, headway_here, tmp_path):
    shutil.copytree(trained, tmp_path / "old")
    (tmp_path / "old" / "headway" / "task.json").write_text(
        '{"task":"classification","columns":{"text":"text","text_pair":null,"labels":["label"]},"max_length":40}'
    )
    new, old = (
        headway_here("predict", folder, "a text", "--format", "jsonl") for folder in (trained, tmp_path / "old")
    )
    assert old.returncode == 0, old.stderr
    assert lines(old) == lines(new)


def test_a_prediction_loads_nothing_that_it_does_not_need(trained, tmp_path):
    (tmp_path / "texts.csv").write_text("text\nfine\n")
    code = (
        "import sys\nfrom headway.cli.main import run\ntry:\n    run()\nexcept SystemExit as ending:\n"
        "    print(ending.code, sorted({'datasets', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    words = ["predict", str(trained), "--input", str(tmp_path / "texts.csv"), "--output", str(tmp_path / "a.jsonl")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []", done.stderr
