"""A run that is killed at any moment ends as if it had not been."""

import random
import signal
import time

import pytest


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
        assert "learning_rate was 5e-05, now 1.0" in changed.stderr
