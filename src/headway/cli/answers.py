"""How `headway predict` writes answers: for a person, as JSON lines, or as CSV; and the rows that have none."""

import csv
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from headway.errors import HeadwayError
from headway.sources.bad_rows import BadRow, BadRowPolicy
from headway.tasks.task import Task

__all__ = ["WRITERS", "Answered", "Unanswered"]


@dataclass(frozen=True)
class Answered:
    """One row, its columns, and the answer; or why it has none."""

    row: int
    """Its number in the input, counted from 1, with rows that were skipped."""
    columns: Mapping[str, Any]
    answer: Any = None
    inputs: Sequence[str] = ()
    """The columns that were answered."""
    error: str | None = None


@dataclass
class Unanswered(BadRowPolicy):
    """Rows that cannot be answered: remembered, and kept until they are written between those that are."""

    skip: bool = True
    waiting: deque[BadRow] = field(default_factory=deque)

    def report(self, where: str, reason: str, number: int = 0) -> None:
        """Remember a bad row."""
        super().report(where, reason, number)
        self.waiting.append(BadRow(where, reason, number))

    def remember(self, where: str, reason: str, number: int) -> None:
        """Remember a row that is written with its columns and the reason."""
        super().report(where, reason, number)

    def before(self, number: int | None = None) -> list[Answered]:
        """The rows before that number, or all that wait; they wait no longer."""
        rows = []
        while self.waiting and (number is None or self.waiting[0].number < number):
            bad = self.waiting.popleft()
            rows.append(Answered(bad.number, {}, error=bad.reason))
        return rows

    def failure(self, answered: int) -> HeadwayError:
        """What a run says that answered only some rows."""
        first = self.listed[0]
        have = "1 row has" if self.count == 1 else f"{self.count:,} rows have"
        return HeadwayError(
            f"{have} no answer, {answered:,} have one; `error` says why. The first: {first.where}: {first.reason}. "
            "Leave such rows out with --skip-bad-rows."
        )


class _Writer(ABC):
    """Writes rows; `write` is given blocks."""

    def __init__(self, file: TextIO, task: Task[Any, Any, Any]) -> None:
        self._file, self._task = file, task
        self._taken: set[str] = set()

    def write(self, block: Sequence[Answered]) -> None:
        """Write some rows."""
        first = next((row for row in block if row.error is None), None)
        if first is not None:
            self._taken = set(self._task.row(first.answer))
        for row in block:
            self._write(row)

    def finish(self) -> None:  # noqa: B027 - most writers hold nothing back
        """Write what was held back."""

    @abstractmethod
    def _write(self, row: Answered) -> None:
        """Write one row."""

    def _beside(self, row: Answered, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The row's columns, then the answer; a column whose name the answer needs is called `input_…`."""
        taken = {"row", "error", *self._taken}
        columns = {f"input_{name}" if name in taken else name: value for name, value in row.columns.items()}
        return {"row": row.row, **columns, **answer}


class _TextWriter(_Writer):
    """For a person: the answer, then the input, in one line."""

    def _write(self, row: Answered) -> None:
        shown = [str(row.columns[name]) for name in row.inputs if name in row.columns]
        shown = shown or [str(value) for value in list(row.columns.values())[:1]]
        answer = self._task.line(row.answer) if row.error is None else f"row {row.row}: no answer: {row.error}."
        self._file.write("  ".join([answer, " ‖ ".join(shown).replace("\n", " ")]).rstrip() + "\n")


class _JsonWriter(_Writer):
    """One JSON object per line: the row's number, its columns, and the answer or the error."""

    def _write(self, row: Answered) -> None:
        answer = self._task.row(row.answer) if row.error is None else {"error": row.error}
        self._file.write(json.dumps(self._beside(row, answer), ensure_ascii=False, default=str) + "\n")


class _CsvWriter(_Writer):
    """A header, then one line per row; several labels are separated by `|`. Its last column is `error`."""

    def __init__(self, file: TextIO, task: Task[Any, Any, Any]) -> None:
        super().__init__(file, task)
        self._rows = csv.writer(file)
        self._names: list[str] = []
        self._held: list[Answered] = []

    def write(self, block: Sequence[Answered]) -> None:
        """Write some rows; they wait for the first answer, which makes the header."""
        if self._names or any(row.error is None for row in block):
            block, self._held = [*self._held, *block], []
            self._begin(next((row for row in block if row.error is None), None))
            super().write(block)
        else:
            self._held += block

    def finish(self) -> None:
        """Write the rows that still wait."""
        if self._held:
            held, self._held = self._held, []
            self._begin(held[0])
            super().write(held)

    def _begin(self, row: Answered | None) -> None:
        if not self._names and row is not None:
            self._taken = set() if row.error is not None else set(self._task.row(row.answer))
            self._names = [*(name for name in self._line(row) if name != "error"), "error"]
            self._rows.writerow(self._names)

    def _write(self, row: Answered) -> None:
        line = self._line(row)
        self._rows.writerow([_cell(line.get(name)) for name in self._names])

    def _line(self, row: Answered) -> dict[str, Any]:
        if row.error is not None:
            return self._beside(row, {"error": row.error})
        flat: dict[str, Any] = {}
        for name, value in self._task.row(row.answer).items():
            if isinstance(value, Mapping):
                short = {"probabilities": "probability"}.get(name, name)
                flat |= {f"{short}:{key}": item for key, item in value.items()}
            else:
                flat[name] = "|".join(map(str, value)) if isinstance(value, list) else value
        return self._beside(row, flat)


WRITERS: dict[str, Any] = {"text": _TextWriter, "jsonl": _JsonWriter, "csv": _CsvWriter}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
