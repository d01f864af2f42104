"""How `headway predict` writes answers: for a person, as JSON lines, or as CSV."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from headway.tasks.model import Model

__all__ = ["WRITERS", "Answered"]


@dataclass(frozen=True)
class Answered:
    """One row, its columns, and the answer."""

    row: int
    """Its number in the input, counted from 1, with rows that were skipped."""
    columns: Mapping[str, Any]
    answer: Any


class _TextWriter:
    """For a person: the answer, then the input, in one line."""

    def __init__(self, file: TextIO, model: Model) -> None:
        self._file, self._model = file, model

    def write(self, answered: Answered) -> None:
        """Write one line."""
        known = self._model.columns
        names = [name for one in self._model.input_names for name in (known[one] if known else ()) or (one,)]
        shown = [str(answered.columns[name]) for name in names if name in answered.columns]
        if not shown:
            shown = [str(value) for value in list(answered.columns.values())[:1]]
        text = " ‖ ".join(shown).replace("\n", " ")
        self._file.write(f"{self._model.task.line(answered.answer)}  {text}\n")


class _JsonWriter:
    """One JSON object per line."""

    def __init__(self, file: TextIO, model: Model) -> None:
        self._file, self._task = file, model.task

    def write(self, answered: Answered) -> None:
        """Write one object: the row's number, its columns, and the answer."""
        line = _beside(answered, self._task.row(answered.answer))
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


class _CsvWriter:
    """A header, then one line per answer; several labels are separated by `|`."""

    def __init__(self, file: TextIO, model: Model) -> None:
        self._rows, self._task = csv.writer(file), model.task
        self._names: list[str] = []

    def write(self, answered: Answered) -> None:
        """Write one line, below the header."""
        flat: dict[str, Any] = {}
        for name, value in self._task.row(answered.answer).items():
            if isinstance(value, Mapping):
                short = {"probabilities": "probability"}.get(name, name)
                flat |= {f"{short}:{key}": item for key, item in value.items()}
            else:
                flat[name] = "|".join(map(str, value)) if isinstance(value, list) else value
        line = _beside(answered, flat)
        if not self._names:
            self._names = list(line)
            self._rows.writerow(self._names)
        self._rows.writerow([_cell(line.get(name)) for name in self._names])


WRITERS: dict[str, Any] = {"text": _TextWriter, "jsonl": _JsonWriter, "csv": _CsvWriter}


def _beside(answered: Answered, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The row's columns, then the answer; a column whose name the answer needs is called `input_…`."""
    taken = {"row", *answer}
    columns = {f"input_{name}" if name in taken else name: value for name, value in answered.columns.items()}
    return {"row": answered.row, **columns, **answer}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
