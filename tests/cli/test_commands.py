"""What a user types, and what comes out."""

import csv
import json
import resource
import signal
import subprocess
import sys

import pytest

SENTENCES = ("I love this product!", "This is terrible!")


def test_training_writes_everything_that_it_promises(trained):
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        assert (trained / name).is_file(), name
    own = trained / "headway"
    for name in ("run.json", "task.json", "record.json", "report.html", "curves.jsonl", "curves.png"):
        assert (own / name).is_file(), name
    assert not (own / "state").exists()
    assert not (own / "tensorboard").exists()
    steps = [json.loads(line)["step"] for line in (own / "curves.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_tensorboard_reads_the_same_curves_where_it_is_asked_for(reviews_file, tiny_model, headway_command, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = ["--model", tiny_model, "--set", "epochs=1", "--set", "tensorboard=true"]
    done = headway_command("train", reviews_file, *words, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    events = EventAccumulator(str(tmp_path / "run" / "headway" / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (tmp_path / "run" / "headway" / "curves.jsonl").read_text().splitlines()]
    expected = [(line["step"], line["validation_loss"]) for line in lines if "validation_loss" in line]
    scalars = events.Scalars("validation/loss")
    assert [scalar.step for scalar in scalars] == [step for step, _ in expected]
    assert [scalar.value for scalar in scalars] == pytest.approx([value for _, value in expected])


def test_the_folder_opens_in_transformers_with_the_same_answers(trained, headway_command):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    done = headway_command("predict", trained, *SENTENCES, "--format", "jsonl")
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    model = AutoModelForSequenceClassification.from_pretrained(trained).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    for answer, sentence in zip(ours, SENTENCES, strict=True):
        with torch.inference_mode():
            theirs = model(**tokenizer(sentence, return_tensors="pt")).logits.softmax(-1)[0]
        assert answer["text"] == sentence
        for index, name in model.config.id2label.items():
            assert answer["probabilities"][name] == pytest.approx(float(theirs[index]), abs=1e-5)


def test_a_pipe_is_answered_line_by_line(trained, start_headway):
    process = start_headway("predict", trained, stdin=subprocess.PIPE)
    for sentence in SENTENCES:
        process.stdin.write(sentence + "\n")
        process.stdin.flush()
        # The answer comes before the next line is written: nothing waits for the pipe's end.
        assert json.loads(process.stdout.readline())["text"] == sentence
    output, errors = process.communicate()
    assert (output, process.returncode) == ("", 0), errors


def test_a_file_of_texts_keeps_its_order_and_becomes_csv(trained, reviews_file, headway_here, tmp_path):
    output = tmp_path / "answers.csv"
    done = headway_here("predict", trained, "--input", reviews_file, "--output", output)
    assert done.returncode == 0, done.stderr
    with reviews_file.open(newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    with output.open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert [answer["text"] for answer in answers] == texts
    assert [int(answer["row"]) for answer in answers] == list(range(1, len(texts) + 1))
    for answer in answers:
        total = float(answer["probability:negative"]) + float(answer["probability:positive"])
        assert total == pytest.approx(1, abs=1e-5)


def test_rows_that_a_prediction_skips_are_listed_and_the_others_keep_their_numbers(trained, headway_here, tmp_path):
    rows = ['{"text": "a good one"}', '{"error": "timeout"}', '{"text": null}', '{"text": ["a"]}', "nonsense"]
    (tmp_path / "odd.jsonl").write_text("\n".join([*rows, '{"text": "the last one"}']) + "\n")
    words = ["predict", trained, "--input", tmp_path / "odd.jsonl"]
    told = headway_here(*words)
    assert told.returncode == 1
    assert "4 rows have no answer, 2 have one" in told.stderr
    done = headway_here(*words, "--skip-bad-rows")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["row"], answer["text"]) for answer in answers] == [(1, "a good one"), (6, "the last one")]
    assert "4 rows could not be read and were skipped." in done.stderr
    for bad in (
        "row 2 (line 2): 'text' is empty or missing",
        "row 3 (line 3): 'text' is empty",
        "row 4 (line 4): 'text' holds a list",
        "row 5 (line 5)",
    ):
        assert bad in done.stderr


def test_a_prediction_of_nothing_but_bad_rows_is_an_error(trained, headway_here, tmp_path):
    (tmp_path / "other.csv").write_text("id,name\n1,Ada\n2,Bo\n")
    done = headway_here("predict", trained, "--input", tmp_path / "other.csv", "--skip-bad-rows")
    assert done.returncode == 2
    assert "none of the 2 rows can be used" in done.stderr
    assert "'id', 'name'" in done.stderr


def test_evaluate_prints_json_with_intervals_and_a_report(trained, reviews_file, headway_here, tmp_path):
    report = tmp_path / "report.html"
    done = headway_here("evaluate", trained, reviews_file, "--json", "--report", report)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    accuracy = record["scores"]["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert record["rows"] == {"test": 400}
    assert record["folder"] == str(trained)
    page = report.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert f"Evaluation of {trained}" in page
    assert f"headway predict {trained}" in page


def test_rows_that_an_evaluation_skips_are_told(trained, reviews_file, headway_here, tmp_path):
    ragged = tmp_path / "ragged.csv"
    ragged.write_text(reviews_file.read_text(encoding="utf-8") + "one field\n", encoding="utf-8")
    assert "--skip-bad-rows" in headway_here("evaluate", trained, ragged).stderr
    done = headway_here("evaluate", trained, ragged, "--skip-bad-rows", "--json")
    assert done.returncode == 0
    assert "1 row could not be read and was skipped." in done.stderr
    assert [finding["name"] for finding in json.loads(done.stdout)["findings"]] == ["bad_rows"]


def test_inspect_a_model_and_a_file(trained, reviews_file, headway_here):
    facts = json.loads(headway_here("inspect", trained, "--json").stdout)
    assert facts["label_names"] == ["negative", "positive"]
    assert facts["parameters"] == sum(part["parameters"] for part in facts["parts"])
    checked = json.loads(headway_here("inspect", reviews_file, "--model", trained, "--json").stdout)
    assert checked["columns"] == {"text": ["text"], "label": ["label"]}
    assert checked["task"] == "text_classification"
    assert sum(sum(counts.values()) for counts in checked["counts"].values()) == 400


def test_a_model_from_scratch_is_the_same_each_time(reviews_file, headway_command, tmp_path):
    words = ["train", reviews_file, "--model", "scratch:tiny", "--set", "epochs=0.2", "--set", "threads=1", "--output"]
    for name in ("one", "two"):
        done = headway_command(*words, tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert "A new bert model with" in done.stderr
    for file in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert "Trained from scratch (tiny)" in (tmp_path / "one" / "headway" / "report.html").read_text()
    asked = json.loads((tmp_path / "one" / "headway" / "run.json").read_text())
    assert asked["epochs"] == 0.2
    assert "learning_rate" not in asked
    used = json.loads((tmp_path / "one" / "headway" / "record.json").read_text())["settings"]
    assert (used["learning_rate"], used["epochs"]) == (5e-4, 0.2)
    answers = headway_command("predict", tmp_path / "one", "a great phone").stdout
    assert json.loads(answers)["label"] in ("negative", "positive")
    refused = headway_command("predict", "scratch:tiny", "a great phone")
    assert refused.returncode == 2
    assert "headway train DATA --model scratch:tiny" in refused.stderr


def test_tokens_that_the_model_does_not_know_are_told(headway_here, tmp_path):
    rows = [f"nice item number {i} ꙮ,good\nbad item number {i},bad" for i in range(30)]
    (tmp_path / "data.csv").write_text("text,label\n" + "\n".join(rows))
    done = headway_here("inspect", tmp_path / "data.csv", "--model", "minilm", "--json")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["unknown_tokens"]["severity"] == "warning"
    assert found["unknown_tokens"]["count"] > 20
    assert "ꙮ" in found["unknown_tokens"]["examples"][0]


def test_the_written_settings_run_the_same_training_again(trained, headway_command, tmp_path):
    again = tmp_path / "again"
    done = headway_command("train", "--config", trained / "headway" / "run.json", "--output", again)
    assert done.returncode == 0, done.stderr
    assert (again / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "Which data?"),
        (["train", "sample:reviews", "--set", "learningrate=1"], "did you mean 'learning_rate'"),
        (["train", "sample:reviews", "--set", "epochs=many"], "epochs"),
        (["train", "sample:reviews", "--set", "epochs"], "KEY=VALUE"),
        (["train", "nothing.csv"], "nothing.csv"),
        (["train", "sample:reviews", "--model", "./no/such/model"], "no/such/model"),
        (["train", "sample:reviews", "--task", "chess"], "classification"),
        (["train", "sample:reviews", "--test", "nothing.csv"], "nothing.csv: no such file"),
        (["train", "x" * 5000], "xxx…: file name too long."),
        (["predict", "x" * 5000, "text"], "xxx…: file name too long."),
        (["inspect", "sample:reviews", "--set", "max_length=1000"], "this model reads at most 512 tokens"),
        (["train", "--config", "nope.toml"], "nope.toml: could not be read: no such file or directory. Give"),
        (["train", "--config", "/"], "/: could not be read: is a directory. Give"),
        (["train", "--config", "nope.json"], "nope.json: could not be read: no such file or directory. Give"),
        (["predict", "./nothing", "text"], "nothing"),
        (["predict", "nothing", "--input", "x", "--input-format", "docx"], "jsonl"),
        (["predict", "nothing", "text", "--output", "answers.docx"], ".jsonl or .csv"),
        (["train", "sample:reviews", "--resume"], "--output"),
    ],
)
def test_mistakes_of_the_user_get_one_sentence_and_status_2(headway_here, tmp_path, words, message):
    done = headway_here(
        *words, *(["--output", tmp_path / "out"] if words[-1] != "--resume" and words[0] == "train" else [])
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "Errno" not in done.stderr
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "scratch:huge"], "scratch:huge: unknown size"),
        (["--model", "scratch:tiny", "--set", "max_length=1000"], "max_length = 1000: this model reads at most 512"),
        (["--model", "minilm", "--set", "max_length=1000"], "max_length = 1000: this model reads at most 512"),
        (["--model", "minilm", "--set", "freeze_layers=7"], "freeze_layers = 7: this model has 6 blocks"),
        (
            ["--model", "minilm", "--set", "metric=bleu"],
            "metric = 'bleu': unknown metric; choose from accuracy",
        ),
        (["--model", "./no/such"], "no/such"),
    ],
)
def test_what_cannot_work_is_refused_before_the_data_is_read(headway_here, tmp_path, words, message):
    (tmp_path / "broken.csv").write_text("text,label\none field\n")
    done = headway_here("train", tmp_path / "broken.csv", *words, "--output", tmp_path / "run")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Reading" not in done.stderr


def test_a_validation_file_with_other_columns_is_told(headway_here, reviews_file, tmp_path):
    (tmp_path / "stars.csv").write_text("review,stars\nfine,1\nbad,2\n")
    words = ["--model", "scratch:tiny", "--validation", tmp_path / "stars.csv", "--output", tmp_path / "run"]
    done = headway_here("train", reviews_file, *words)
    assert done.returncode == 2
    assert "stars.csv has no column 'text'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_split_without_labels_is_said_to_be_left_out(headway_here, reviews_file, trained, tmp_path):
    (tmp_path / "train.csv").write_text(reviews_file.read_text())
    (tmp_path / "test.csv").write_text("text\n" + "a text without a label\n" * 20)
    done = headway_here("inspect", tmp_path, "--model", trained, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["split"].endswith(f"rows of {tmp_path} have no labels and were left out.")


def test_an_evaluation_cuts_texts_where_it_is_told_to(trained, reviews_file, headway_here):
    whole, short = (
        json.loads(headway_here("evaluate", trained, reviews_file, "--json", *words).stdout)["scores"]["metrics"]
        for words in ([], ["--set", "max_length=4"])
    )
    assert whole != short


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_before_the_training_is_answered(start_headway, tmp_path, number):
    process = start_headway("train", "sample:reviews", "--model", "scratch:tiny", "--output", tmp_path / "run")
    assert "Reading" in process.stderr.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted. A training that had begun continues with: headway train --resume" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_a_pipe_is_awaited_is_answered(trained, start_headway, number):
    process = start_headway("predict", trained, stdin=subprocess.PIPE)
    process.stdin.write("a text\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["text"] == "a text"
    process.send_signal(number)
    assert process.wait(timeout=60) == 130  # while its pipe is still open
    assert process.communicate()[1] == "headway: interrupted.\n"


@pytest.mark.parametrize("options", [[], ["--overwrite"]], ids=["plain", "overwrite"])
def test_a_model_is_not_trained_on_into_its_own_folder(trained, reviews_file, headway_here, options):
    """Interrupted, such a run could not go on: what it started from would be gone."""
    done = headway_here("train", reviews_file, "--model", trained, "--output", f"{trained}/.", *options)
    assert done.returncode == 2
    assert "the model to start from is in this folder" in done.stderr
    assert (trained / "config.json").is_file()


def test_a_finished_model_is_not_overwritten_unasked(trained, reviews_file, headway_here):
    done = headway_here("train", reviews_file, "--output", trained)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr


def test_help_and_import_load_no_torch():
    code = "import sys, headway, headway.cli.main; print('torch' in sys.modules, 'datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("words", "seconds"), [(["-m", "headway", "--help"], 0.3), (["-c", "import headway"], 0.2)], ids=["help", "import"]
)
def test_help_and_import_take_little_time(words, seconds):
    """In seconds of the processor: what others do at the time is not counted. The best of three."""

    def spent():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(spent() for _ in range(3)) < seconds
