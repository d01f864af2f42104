"""A run that is killed at any moment ends as if it had not been."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

# The command line in a process that dies, as by a power cut, in the moment in which a file is put into its place.
KILLED_AT = """
import os, sys
from pathlib import Path
from headway.cli.main import run
moment, name, put = sys.argv.pop(1), sys.argv.pop(1), Path.replace
def replace(self, target):
    if Path(target).name == name and moment == "before":
        os._exit(9)
    put(self, target)
    if Path(target).name == name:
        os._exit(9)
Path.replace = replace
run()
"""


@pytest.fixture
def words(reviews_file, tiny_model):
    return [
        *("train", reviews_file, "--model", tiny_model),
        *("--set", "epochs=3", "--set", "save_minutes=0", "--set", "batch_size=8", "--set", "patience=none"),
    ]


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < end, "the run did not get going"
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_again_and_again_the_weights_are_bit_identical(start_headway, headway_command, words, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert headway_command(*words, "--output", straight).returncode == 0
    state = killed / "headway" / "state" / "state.pt"
    moments = random.Random(7)
    kills = 0
    resume: list[str] = []
    for _ in range(3):
        process = start_headway(*words, "--output", killed, *resume)
        before = state.stat().st_mtime_ns if state.exists() else 0
        wait_for(lambda: state.exists() and state.stat().st_mtime_ns != before, process)  # noqa: B023
        time.sleep(moments.uniform(0, 0.4))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        resume = ["--resume"]
    done = headway_command("train", "--resume", "--output", killed)
    assert done.returncode == 0, done.stderr
    assert kills >= 2
    assert (straight / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()
    curves = [(folder / "headway" / "curves.jsonl").read_text().splitlines() for folder in (straight, killed)]
    steps = [[line.split(",")[0] for line in lines] for lines in curves]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_says_how_to_go_on(start_headway, headway_command, words, tmp_path, number):
    process = start_headway(*words, "--output", tmp_path / "run")
    state = tmp_path / "run" / "headway" / "state" / "state.pt"
    wait_for(state.exists, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"headway train --resume --output {tmp_path / 'run'}" in errors
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        again = headway_command(*words, "--output", tmp_path / "run")
        assert again.returncode == 2
        assert "--resume" in again.stderr
        changed = headway_command("train", "--resume", "--output", tmp_path / "run", "--set", "learning_rate=1")
        assert changed.returncode == 2
        assert "learning_rate was not set, now 1.0" in changed.stderr


@pytest.fixture(scope="module")
def new_words(reviews_file, tiny_model):
    return ["train", reviews_file, "--model", tiny_model, *("--set", "epochs=0.5", "--set", "seed=7")]


@pytest.fixture(scope="module")
def new_weights(headway_command, new_words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("new") / "run"
    assert headway_command(*new_words, "--output", folder).returncode == 0
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("after", "run.json"),
        ("before", "model.safetensors"),
        ("before", "config.json"),
        ("before", "record.json"),
        ("after", "record.json"),
    ],
)
def test_killed_while_it_replaces_a_model_a_run_never_passes_the_old_one_off_as_its_own(
    trained, headway_command, new_words, new_weights, tmp_path, moment, name
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    assert (run / "model.safetensors").read_bytes() != new_weights
    words = [sys.executable, "-c", KILLED_AT, moment, name, *map(str, new_words), "--overwrite", "--output", str(run)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    killed = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert killed.returncode == 9, killed.stderr
    resumed = headway_command("train", "--resume", "--output", run)
    assert resumed.returncode == 0, resumed.stderr
    assert ("finished already" in resumed.stderr) == ((moment, name) == ("after", "record.json"))
    assert (run / "model.safetensors").read_bytes() == new_weights
    assert (run / "headway" / "record.json").is_file()
    assert not (run / "headway" / "state").exists()
    assert not list(run.rglob(".*.tmp"))


def test_a_background_job_is_not_stopped_by_the_ctrl_c_that_it_was_started_to_ignore(
    headway_command, new_words, new_weights, tmp_path
):
    """A shell starts background jobs with SIGINT ignored: a Ctrl-C is meant for the job in the foreground."""
    state = tmp_path / "run" / "headway" / "state" / "state.pt"
    words = [sys.executable, "-m", "headway", *new_words, "--set", "save_minutes=0", "--output", tmp_path / "run"]
    process = subprocess.Popen(
        [*map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    wait_for(state.exists, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == new_weights
