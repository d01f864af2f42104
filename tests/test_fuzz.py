"""The fuzzer, for a moment and always with the same cases; CONTRIBUTING.md says how to let it run longer."""

import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import CheckpointError

ROOT = Path(__file__).parents[1]


def fuzz(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", "--output", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="the fuzzer limits memory as Linux does")
def test_some_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    done = fuzz(tmp_path, "--cases", "50")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "50 cases, 0 failures: {}\n"


def test_a_message_can_always_be_printed() -> None:
    assert str(CheckpointError("\ud800.csv, é: odd")) == "\\ud800.csv, é: odd"
