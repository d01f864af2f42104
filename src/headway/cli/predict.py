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
from headway.data.columns import Columns, find_inputs
from headway.data.formats import Format
from headway.data.readers import stream
from headway.errors import DataError, UserError
from headway.files import replacing
from headway.tasks.classification import Prediction, TextClassifier

__all__ = ["predict_command"]

_CHUNK = 2048
_FORMATS = ("text", "jsonl", "csv")
Text = str | tuple[str, str]


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
    classifier = load(model, device=device, precision=precision)
    try:
        with _open_output(output) as file:
            write = _WRITERS[chosen](file, classifier.label_names)
            row = 0
            for chunk in _chunks(_texts(texts, source, known, classifier), live=source == "-"):
                for text, prediction in zip(chunk, classifier.predict(chunk), strict=True):
                    row += 1
                    write(row, text, prediction)
                file.flush()
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _texts(
    texts: list[str], source: str | None, input_format: Format | None, classifier: TextClassifier
) -> Iterator[Text]:
    if source is None:
        yield from texts
        return
    wanted = classifier.columns or Columns("text")
    found: Columns | None = None
    name = "standard input" if source == "-" else source
    for number, row in enumerate(stream(source, format=input_format), start=1):
        if found is None or not set(found.texts) <= row.keys():
            try:
                found = find_inputs(list(row), wanted)
            except DataError as error:
                raise DataError(f"{name}, row {number}: {error}") from None
        values = [row[column] for column in found.texts]
        missing = [column for column, value in zip(found.texts, values, strict=True) if value is None]
        if missing:
            raise DataError(f"{name}, row {number}: {missing[0]!r} is empty. Fill it in, or leave the row out.")
        parts = [value if isinstance(value, str) else str(value) for value in values]
        yield parts[0] if len(parts) == 1 else (parts[0], parts[1])


def _chunks(texts: Iterable[Text], *, live: bool) -> Iterator[list[Text]]:
    """Cut into lists of at most 2,048 texts; of a live pipe, into whatever has come by the time it is asked."""
    if live:
        yield from _live_chunks(texts)
        return
    chunk: list[Text] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def _live_chunks(texts: Iterable[Text]) -> Iterator[list[Text]]:
    arrived: queue.Queue[Text | _End] = queue.Queue(maxsize=2 * _CHUNK)

    def read() -> None:
        try:
            for text in texts:
                arrived.put(text)
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
