"""The notebooks of `docs/examples` run from their first cell to their last, and show what they say."""

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.evaluation.record import Interval

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def run_cells(notebook: Path) -> list[Any]:
    """What the last expression of each cell of code shows, as a kernel would run them: in one namespace, in order."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    shown = []
    for number, cell in enumerate(cells, 1):
        where = f"{notebook.name}, cell {number}"
        tree = ast.parse("".join(cell["source"]), where)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, where, "exec"), names)
        shown.append(None if last is None else eval(compile(ast.Expression(last.value), where, "eval"), names))
    return shown


def test_the_notebook_about_sentiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head, result, answers, probabilities, accuracy = run_cells(EXAMPLES / "sentiment.ipynb")
    assert list(head.columns[:2]) == ["text", "label"]
    page = result._repr_html_()
    assert page.count("<tr>") == 2 + len(result.record.baselines)
    assert page.count("<svg") >= 2
    assert (tmp_path / "runs" / "sentiment" / "headway" / "report.html").is_file()
    assert len(answers) == 2
    assert {answer.label for answer in answers} <= {"negative", "positive"}
    assert repr(answers[0]).startswith("Prediction(label=")
    assert probabilities.shape == (3, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=2e-3)
    assert isinstance(accuracy, Interval)
    assert accuracy.low <= accuracy.value <= accuracy.high


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_no_notebook_carries_the_outputs_of_somebody_else(notebook):
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
