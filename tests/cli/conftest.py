"""The real command line, in processes of its own, on a tiny model and a real file."""

import csv
import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.cli.main import run

REVIEWS = Path(__file__).parents[2] / "src" / "headway" / "samples" / "reviews.csv.gz"
COMMAND = [sys.executable, "-m", "headway"]


@pytest.fixture(scope="session")
def headway_command(tmp_path_factory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`headway_command("train", …)`: run it to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def call(*words: object, input: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, words)],
            input=input,
            capture_output=True,
            text=True,
            timeout=200,
            env=environment,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def start_headway() -> Callable[..., subprocess.Popen[str]]:
    """`start_headway("train", …)`: start it and leave it running."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def hear_interrupts() -> None:
        # Where the tests themselves run in the background, the shell has set Ctrl-C to be ignored, which is inherited.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def start(*words: object, **pipes: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=hear_interrupts,
            **pipes,
        )

    return start


@pytest.fixture
def headway_here(capsys, monkeypatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, which has loaded the libraries already: for commands that read no pipe."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["headway", *map(str, words)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ending:
                run()
        finally:
            signal.signal(signal.SIGTERM, before)
        output, errors = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(ending.value.code or 0), output, errors)

    return call


@pytest.fixture(scope="session")
def reviews_file(tmp_path_factory) -> Path:
    """400 rows of the embedded sample."""
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    with gzip.open(REVIEWS, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[:401]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_bert, tmp_path_factory) -> Path:
    """A tiny random BERT."""
    return tiny_bert(tmp_path_factory.mktemp("tiny") / "model", initializer_range=0.05)


@pytest.fixture(scope="session")
def trained(headway_command, reviews_file, tiny_model, tmp_path_factory) -> Path:
    """A tiny classifier that the command line has trained."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = headway_command(
        "train",
        reviews_file,
        "--model",
        tiny_model,
        "--output",
        folder,
        "--set",
        "epochs=3",
        "--set",
        "learning_rate=3e-3",
    )
    assert done.returncode == 0, done.stderr
    return folder
