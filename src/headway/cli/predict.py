"""`headway predict`: texts in from arguments, a file or a pipe; labels out as they are known."""

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO, get_args

from headway.api import load
from headway.console import console_reporter
from headway.errors import DataError, UserError
from headway.examples.fields import Columns, find_inputs
from headway.files import replacing
from headway.sources.opening import Format
from headway.sources.read import BadRowPolicy, describe, stream
from headway.tasks.classification import Prediction, TextClassifier

__all__ = ["predict_command"]

_FORMATS = ("text", "jsonl", "csv")
Text = str | tuple[str, str]
Input = tuple[int, Text]
"""The number of a row, counted with those that are skipped, and its text."""


class Writer(Protocol):
    """Writes one answer."""

    def __call__(self, row: int, text: Text, prediction: Prediction) -> None:
        """Write the answer to row `row`, counted from 1."""


def predict_command(
    model: str,
    texts: list[str],
    *,
    source: str | None,
    output: Path | None,
    format: str | None,
    input_format: str | None,
    skip_bad_rows: bool,
    device: str,
    precision: str,
) -> None:
    """Label texts and write the answers, in order."""
    if texts and source is not None:
        raise UserError("Give texts or --input, not both.")
    if not texts and source is None:
        if sys.stdin.isatty():
            raise UserError(
                'Which texts? Give them as arguments, by --input FILE, or through a pipe ("… | headway predict").'
            )
        source = "-"
    chosen = _choose_format(format, output)
    known = _known_input_format(input_format)
    policy = BadRowPolicy(skip_bad_rows)
    classifier = load(model, device=device, precision=precision)
    try:
        with _open_output(output) as file:
            write = _WRITERS[chosen](file, classifier.label_names)
            blocks = [list(enumerate(texts, 1))] if source is None else _read(source, known, classifier, policy)
            for chunk in blocks:
                predictions = classifier.predict([text for _, text in chunk])
                for (row, text), prediction in zip(chunk, predictions, strict=True):
                    write(row, text, prediction)
                file.flush()
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    console_reporter().skipped(policy.seen())


def _choose_format(format: str | None, output: Path | None) -> str:
    if format is None and output is not None:
        format = output.suffix.removeprefix(".").replace("ndjson", "jsonl")
        if format not in ("jsonl", "csv"):
            raise UserError(f"{output}: call it .jsonl or .csv, or say --format.")
    if format is None:
        format = "text" if sys.stdout.isatty() else "jsonl"
    if format not in _FORMATS:
        raise UserError(f"--format {format}: choose one of {', '.join(_FORMATS)}.")
    return format


def _known_input_format(name: str | None) -> Format | None:
    if name is None:
        return None
    for known in get_args(Format):
        if name == known:
            return known
    raise UserError(f"--input-format {name}: choose one of {', '.join(get_args(Format))}.")


@contextmanager
def _open_output(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def _read(
    source: str, input_format: Format | None, classifier: TextClassifier, policy: BadRowPolicy
) -> Iterator[list[Input]]:
    """The rows of a source in blocks, as they come."""
    wanted = classifier.columns or Columns("text")
    name = describe(source)
    given = 0
    for block in stream(source, format=input_format, policy=policy):
        found: Columns | None = None
        inputs: list[Input] = []
        for index, row in enumerate(block.rows()):
            number = block.places.number(index)
            try:
                found = found or find_inputs(block.column_names, wanted)
                inputs.append((number, _text_of(row, found)))
            except DataError as error:
                policy.report(f"{name}, row {number}", str(error).rstrip("."))
        given += len(inputs)
        if inputs:
            yield inputs
    if policy.count and not given:
        raise policy.seen().all_of(name)


def _text_of(row: dict[str, object], columns: Columns) -> Text:
    parts = []
    for name in columns.texts:
        value = row.get(name)
        if value is None:
            raise DataError(f"{name!r} is empty or missing. Fill it in")
        if isinstance(value, list | dict):
            raise DataError(f"{name!r} holds a {'list' if isinstance(value, list) else 'object'}, not a text. Fix it")
        parts.append(str(value))
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


class _TextWriter:
    """For a person: the label, how sure, and the text."""

    def __init__(self, file: TextIO, label_names: tuple[str, ...]) -> None:
        self._file = file
        self._width = max(len(name) for name in label_names)

    def __call__(self, row: int, text: Text, prediction: Prediction) -> None:
        label = prediction.label if isinstance(prediction.label, str) else ", ".join(prediction.label) or "—"
        shown = " ‖ ".join([text] if isinstance(text, str) else text).replace("\n", " ")
        self._file.write(f"{label:<{self._width}}  {prediction.confidence:6.1%}  {shown}\n")


class _JsonWriter:
    """One JSON object a line."""

    def __init__(self, file: TextIO, label_names: tuple[str, ...]) -> None:
        self._file = file

    def __call__(self, row: int, text: Text, prediction: Prediction) -> None:
        answer = {
            "row": row,
            **_named(text),
            "label": prediction.label if isinstance(prediction.label, str) else list(prediction.label),
            "confidence": _rounded(prediction.confidence),
            "probabilities": {name: _rounded(value) for name, value in prediction.probabilities.items()},
        }
        self._file.write(json.dumps(answer, ensure_ascii=False) + "\n")


class _CsvWriter:
    """A header, then one line an answer; several labels are separated by `|`."""

    def __init__(self, file: TextIO, label_names: tuple[str, ...]) -> None:
        self._rows = csv.writer(file)
        self._label_names = label_names
        self._started = False

    def __call__(self, row: int, text: Text, prediction: Prediction) -> None:
        texts = _named(text)
        if not self._started:
            columns = ("row", *texts, "label", "confidence", *(f"probability:{name}" for name in self._label_names))
            self._rows.writerow(columns)
            self._started = True
        label = prediction.label if isinstance(prediction.label, str) else "|".join(prediction.label)
        probabilities = (_rounded(prediction.probabilities[name]) for name in self._label_names)
        self._rows.writerow((row, *texts.values(), label, _rounded(prediction.confidence), *probabilities))


_WRITERS: dict[str, Any] = {"text": _TextWriter, "jsonl": _JsonWriter, "csv": _CsvWriter}


def _named(text: Text) -> dict[str, str]:
    return {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}


def _rounded(value: float) -> float:
    return round(value, 6)
