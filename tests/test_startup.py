"""What is heavy is imported where it is used: the first answer comes at once. `benchmarks.startup` has the seconds."""

import os
import subprocess
import sys

import pytest

# Not pydantic: typer itself reads options with it.
HEAVY = {"torch", "numpy", "pandas", "pyarrow", "datasets", "sklearn", "matplotlib", "transformers", "PIL"}


def imported_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def command(*words: str) -> str:
    return f"""
from headway.cli.main import app
try:
    app({list(words)!r})
except SystemExit as ending:
    assert not ending.code, ending.code
"""


def test_an_import_is_light():
    assert not imported_by("import headway; headway.__version__") & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["predict", "--help"], ["--version"]], ids=" ".join)
def test_help_is_light(words):
    assert not imported_by(command(*words)) & HEAVY


def test_shells_complete_commands():
    script = subprocess.run(
        [sys.executable, "-m", "headway", "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},  # the shell that runs tests is any
        capture_output=True,
        text=True,
        check=False,
    )
    assert "complete" in script.stdout, script.stderr
