"""`docs/add-a-task.md`, done as it says: its blocks are the task of the tests, and its output is the true one."""

import ast
import contextlib
import importlib.util
import io
import re
import sys
import textwrap
from pathlib import Path

import pytest

from headway.tasks.registry import TASKS

REPOSITORY = Path(__file__).parents[1]
DOCUMENT = REPOSITORY / "docs" / "add-a-task.md"
TASK = "tests/tasks/copy_task.py"


def blocks(title: str) -> list[str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(rf"^```{re.escape(title)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def written_task() -> str:
    """The file that the blocks make up; what belongs in the class is indented."""
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.findall(rf'^```python title="{TASK}(, in the class)?"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    return "\n".join(textwrap.indent(code, "    ") if in_class else code for in_class, code in found)


def test_its_blocks_are_the_task_of_the_tests():
    """But for line breaks, for which an indented method has less room."""
    assert ast.unparse(ast.parse(written_task())) == ast.unparse(ast.parse((REPOSITORY / TASK).read_text("utf-8")))


def test_the_task_that_it_writes_is_trained_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "copy_task.py"
    file.write_text(written_task(), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("copy_task", file)
    task = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "copy_task", task)
    spec.loader.exec_module(task)
    monkeypatch.chdir(tmp_path)
    [run], [shown] = blocks("python"), blocks("text")
    try:
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            exec(compile(run, str(DOCUMENT), "exec"), {"Copying": task.Copying})
    finally:
        TASKS.pop("copying", None)
    assert stdout.getvalue() == shown
    assert (tmp_path / "copier" / "headway" / "report.html").is_file()


def test_every_file_that_it_names_is_there():
    for name in re.findall(r"`((?:tests|src)/[a-z_/]+\.py)`", DOCUMENT.read_text(encoding="utf-8")):
        assert (REPOSITORY / name).is_file(), name
