"""`headway predict`: texts in from arguments, a file or a pipe; labels out as they are known."""

import csv
import json
import os
import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO, get_args

from headway.api import load
from headway.console import console_reporter
from headway.errors import DataError, UserError
from headway.examples.fields import Columns, find_inputs
from headway.files import replacing
from headway.sources.opening import Format
from headway.sources.readers import BadRowPolicy, stream
from headway.tasks.classification import Prediction, TextClassifier

__all__ = ["predict_command"]

_CHUNK = 2048
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
    faults = BadRowPolicy(skip_bad_rows)
    classifier = load(model, device=device, precision=precision)
    try:
        with _open_output(output) as file:
            write = _WRITERS[chosen](file, classifier.label_names)
            inputs = enumerate(texts, 1) if source is None else _read(source, known, classifier, faults)
            for chunk in _chunks(inputs, live=source == "-"):
                predictions = classifier.predict([text for _, text in chunk])
                for (row, text), prediction in zip(chunk, predictions, strict=True):
                    write(row, text, prediction)
                file.flush()
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    console_reporter().skipped(faults.seen())


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
    source: str, input_format: Format | None, classifier: TextClassifier, faults: BadRowPolicy
) -> Iterator[Input]:
    wanted = classifier.columns or Columns("text")
    found: Columns | None = None
    name = "standard input" if source == "-" else source
    given = 0
    for row in stream(source, format=input_format, faults=faults):
        number = given + faults.count + 1
        try:
            found = found or find_inputs(list(row), wanted)
            text = _text_of(row, found)
        except DataError as error:
            faults.report(f"{name}, row {number}", str(error).rstrip("."))
        else:
            given += 1
            yield number, text
    if faults.count and not given:
        raise faults.seen().all_of(name)


def _text_of(row: dict[str, object], columns: Columns) -> Text:
    parts = []
    for name in columns.texts:
        value = row.get(name)
        if value is None:
            raise DataError(f"{name!r} is {'empty' if name in row else 'missing'}. Fill it in")
        if isinstance(value, list | dict):
            raise DataError(f"{name!r} holds a {'list' if isinstance(value, list) else 'object'}, not a text. Mend it")
        parts.append(str(value))
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def _chunks(inputs: Iterable[Input], *, live: bool) -> Iterator[list[Input]]:
    """Cut into lists of at most 2,048 rows; of a live pipe, into whatever has come by the time it is asked."""
    if live:
        yield from _live_chunks(inputs)
        return
    chunk: list[Input] = []
    for given in inputs:
        chunk.append(given)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def _live_chunks(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    arrived: queue.Queue[Input | _End] = queue.Queue(maxsize=2 * _CHUNK)

    def read() -> None:
        try:
            for given in inputs:
                arrived.put(given)
            arrived.put(_End())
        except BaseException as error:  # raised again below, in the main thread
            arrived.put(_End(error))

    threading.Thread(target=read, daemon=True).start()
    end: _End | None = None
    while end is None:
        items = [arrived.get()]
        while len(items) < _CHUNK and not arrived.empty():
            items.append(arrived.get())
        if isinstance(items[-1], _End):
            end = items[-1]
        chunk = [item for item in items if not isinstance(item, _End)]
        if chunk:
            yield chunk
    if end.error is not None:
        raise end.error


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
