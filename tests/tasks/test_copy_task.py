"""A task of texts, written from outside, goes the one way: trained, killed, resumed, measured, answering, streaming."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sacrebleu
from tests.tasks.copy_task import Copying

import headway
from headway.api import Result
from headway.errors import DataError
from headway.evaluation.record import Record
from headway.tasks.registry import TASKS, register

REPOSITORY = Path(__file__).parents[2]
WORDS = ("red", "blue", "cat", "dog", "sun", "moon")
SETTINGS = {
    **{"max_length": 6, "epochs": 10, "learning_rate": 1e-3, "batch_size": 16, "warmup_ratio": 0.05},
    **{"patience": None, "validation_answers": 10, "dropout": 0, "weight_decay": 0.01},
}
DOCUMENT = " ".join([*WORDS, *reversed(WORDS), *WORDS])
COMMAND = """
from headway.cli.main import run
from headway.tasks.registry import register
from tests.tasks.copy_task import Copying
register(Copying())
run()
"""


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    register(Copying())
    yield
    del TASKS["copying"]


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory) -> Path:
    """Texts of one to four words, which the model reads at once; the second reference shouts."""
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write(path, 500, seed=0)
    return path


def write(path: Path, count: int, seed: int) -> None:
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "reference1", "reference2"])
        for _ in range(count):
            text = " ".join(draw.choices(WORDS, k=draw.randint(1, 4)))
            writer.writerow([text, text, text.upper()])


@pytest.fixture(scope="module")
def result(rows_file, tmp_path_factory) -> Result:
    return headway.train(rows_file, output=tmp_path_factory.mktemp("run") / "model", quiet=True, **SETTINGS)


@pytest.fixture(scope="module")
def folder(result) -> str:
    return result.model.folder


@pytest.fixture(scope="module")
def command() -> Callable[..., subprocess.Popen[str]]:
    """The command line in a process of its own that knows the task."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}

    def start(*words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    return start


def test_it_is_found_by_its_columns_and_learned(result):
    record = result.record
    assert record.task == "copying"
    assert result.model.columns.by_field == {"text": ("text",), "references": ("reference1", "reference2")}
    chrf = record.scores.metrics["chrf"]
    assert chrf.value > 95
    assert chrf.low < chrf.value <= chrf.high
    assert re.fullmatch(r"nrefs:2\|.*version:.*", record.scores.signatures["chrf"])
    [nothing] = record.baselines
    assert nothing.scores.metrics["chrf"].value == 0
    assert nothing.lead["chrf"].low > 0
    assert [event for event in record.curves if "chrf" in event], "chrF is watched while it learns"


def test_the_loss_is_that_of_a_token_whatever_the_batch(result, rows_file, tmp_path):
    """Summed and divided once per step: the same weights, but for rounding, in one part or in four."""
    whole, parts = (
        headway.train(rows_file, output=tmp_path / str(n), quiet=True, **SETTINGS | {"epochs": 0.1, "micro_batches": n})
        for n in (1, 4)
    )
    for name, weights in whole.model.loaded.network.state_dict().items():
        assert (weights - parts.model.loaded.network.state_dict()[name]).abs().max() < 1e-4, name


def test_report_and_card_show_answers_beside_their_references(result, folder):
    report = (Path(folder) / "headway" / "report.html").read_text(encoding="utf-8")
    for text in ("<h2>Answers</h2>", "the data says", "nrefs:2|", "chrF", "headway predict"):
        assert text in report, text
    card = (Path(folder) / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text2text-generation" in card
    assert "chrF: `nrefs:2|" in card


def test_answers_do_not_depend_on_each_other(result):
    texts = ["red", "blue cat dog sun", DOCUMENT, "moon sun"]
    assert result.model.predict(texts) == [result.model.predict(text)[0] for text in texts]


def test_a_document_is_answered_whole(result, tmp_path):
    assert len(DOCUMENT.split()) > 6
    assert result.model.predict(DOCUMENT) == [DOCUMENT]
    pairs = [(DOCUMENT, [DOCUMENT]), ("red", ["red"])]
    record = result.model.evaluate([{"text": text, "references": references} for text, references in pairs])
    assert record.scores.metrics["chrf"].value == 100
    assert record.scores.signatures["chrf"].startswith("nrefs:1|")


def test_the_score_is_sacrebleus(result, tmp_path):
    write(tmp_path / "other.csv", 30, seed=1)
    record = result.model.evaluate(tmp_path / "other.csv")
    with (tmp_path / "other.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answers = result.model.predict([row["text"] for row in rows])
    streams = [[row[name] for row in rows] for name in ("reference1", "reference2")]
    assert record.scores.metrics["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(answers, streams).score)
    assert record.scores.rows == 30


def test_a_row_without_a_reference_is_refused_or_left_out(result, rows_file, tmp_path):
    path = tmp_path / "holes.csv"
    path.write_text("text,reference1,reference2\nred,red,RED\nblue,,BLUE\ncat,,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"row 3 .*'reference1', 'reference2' is empty"):
        result.model.evaluate(path)
    record = result.model.evaluate(path, headway_settings(skip_bad_rows=True))
    assert record.scores.rows == 2
    assert record.scores.signatures["chrf"].startswith("nrefs:var|")
    [finding] = [one for one in record.findings if one.name == "empty_labels"]
    assert "without an answer to learn" in finding.message


def headway_settings(**changes):
    from headway.settings import resolve

    return resolve(changes)


def test_an_answer_is_streamed(result):
    pieces = list(result.model.stream(DOCUMENT))
    assert len(pieces) >= len(DOCUMENT.split())
    assert "".join(pieces) == DOCUMENT
    assert (
        "".join(result.model.stream("red blue cat dog", max_new_tokens=3))
        == result.model.predict("red blue cat dog", max_new_tokens=3)[0]
    )
    with pytest.raises(TypeError, match="one input, not 2"):
        result.model.stream(["red", "blue"])


def test_it_has_no_labels(result):
    with pytest.raises(TypeError, match="A copying model gives no probabilities"):
        result.model.predict_proba("red")
    assert "copying model, bart" in repr(result.model)
    assert "chrF" in result._repr_html_()


def test_killed_and_resumed_the_weights_are_bit_identical(command, rows_file, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    changes = {**SETTINGS, "epochs": 0.6, "save_minutes": 0, "dropout": 0.1}
    words = ["train", rows_file, *(f"--set={name}={str(value).lower()}" for name, value in changes.items())]
    process = command(*words, "--output", killed)
    state = killed / "headway" / "state" / "state.pt"
    end = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "headway" / "record.json").exists()
    for again in (command("train", "--resume", "--output", killed), command(*words, "--output", straight)):
        _, errors = again.communicate(timeout=200)
        assert again.returncode == 0, errors
    assert (straight / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()
    records = [Record.from_json((run / "headway" / "record.json").read_text()) for run in (straight, killed)]
    assert records[0].scores == records[1].scores


def test_the_command_line_opens_the_folder_in_a_fresh_process(command, folder, rows_file, tmp_path):
    def run(*words: object) -> str:
        process = command(*words)
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        return output

    (tmp_path / "texts.csv").write_text(f"id,text\n7,red cat\n8,{DOCUMENT}\n", encoding="utf-8")
    run("predict", folder, "--input", tmp_path / "texts.csv", "--output", tmp_path / "answers.jsonl")
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert answers == [
        {"row": 1, "id": "7", "text": "red cat", "output": "red cat"},
        {"row": 2, "id": "8", "text": DOCUMENT, "output": DOCUMENT},
    ]
    assert run("predict", folder, DOCUMENT, "--stream") == f"{DOCUMENT}\n"
    short = json.loads(run("predict", folder, "red cat dog", "--set", "max_new_tokens=2", "--format", "jsonl"))
    assert len(short["output"].split()) < 3
    record = json.loads(run("evaluate", folder, rows_file, "--json"))
    assert set(record["scores"]["metrics"]["chrf"]) == {"value", "low", "high"}
    assert json.loads(run("inspect", rows_file, "--json"))["columns"]["references"] == ["reference1", "reference2"]


def test_in_eight_bits_it_answers_too(result):
    small = headway.load(result.model.folder, precision="int8")
    assert small.predict(DOCUMENT) == [DOCUMENT]


def test_a_validation_file_may_have_fewer_references(rows_file, tmp_path):
    (tmp_path / "one.csv").write_text("text,reference2\nred sun,RED SUN\nblue cat dog,\n", encoding="utf-8")
    settings = SETTINGS | {"epochs": 0.1, "skip_bad_rows": True}
    validation = tmp_path / "one.csv"
    trained = headway.train(rows_file, output=tmp_path / "run", validation=validation, quiet=True, **settings)
    assert trained.record.rows["validation"] == 1
