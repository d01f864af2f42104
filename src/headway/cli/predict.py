"""`headway predict`: inputs from arguments, a file or a pipe; answers out as they are known."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO, get_args

import numpy as np

from headway.api import load
from headway.cli.answers import WRITERS, Answered
from headway.console import console_reporter
from headway.errors import DataError, HeadwayError, UserError
from headway.examples.examples import Example
from headway.examples.fields import Columns
from headway.files import replacing
from headway.settings import Settings, resolve
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.opening import Format
from headway.sources.read import stream
from headway.sources.table import Table
from headway.tasks.data import columns_told
from headway.tasks.model import Model

__all__ = ["PredictRequest", "predict_command"]

_USED = (
    *("text_column", "text_pair_column", "image_column", "skip_bad_rows", "max_length"),
    *("generation", "device", "precision", "threads"),
)


@dataclass(frozen=True)
class PredictRequest:
    """What is to be answered, and where the answers go."""

    model: str
    inputs: list[str]
    source: str | None
    output: Path | None
    overwrite: bool
    format: str | None
    input_format: str | None
    task: str | None
    stream: bool = False


def predict_command(request: PredictRequest, *, assignments: dict[str, Any]) -> None:
    """Answer inputs and write the answers, in order."""
    settings = resolve(assignments, only=_USED, command="headway predict")
    source = _source_of(request)
    chosen = _choose_format(request.format, request.output)
    known = _known_input_format(request.input_format)
    _check_output(request.output, source, request.overwrite)
    machine = settings.machine
    model = load(
        request.model,
        task=request.task,
        device=machine.device,
        precision=machine.precision,
        max_length=settings.data.max_length,
    )
    model.settings = replace(model.settings, generation=settings.generation)
    if request.stream:
        _stream(request, model)
        return
    policy = BadRowPolicy(settings.data.skip_bad_rows)
    answered = 0
    try:
        with _open_output(request.output) as file:
            writer = WRITERS[chosen](file, model)
            blocks = (
                _of_arguments(request.inputs, model)
                if source is None
                else _of_source(source, known, model, settings, policy)
            )
            for block in blocks:
                for answer in block:
                    answered += 1
                    writer.write(answer)
                file.flush()
            if policy.count and not answered:
                raise policy.seen().all_of("standard input" if source == "-" else str(source))
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    console_reporter().skipped(policy.seen())


def _stream(request: PredictRequest, model: Model) -> None:
    """Write one answer while it is made."""
    if len(request.inputs) != 1 or request.output is not None or request.format is not None:
        raise UserError("--stream shows one answer as it is written: give one input, without --output or --format.")
    [example] = _examples_of(request.inputs, model)
    try:
        pieces = model.stream(dict(example.values))
    except TypeError as error:
        raise UserError(f"--stream: {error}") from None
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _source_of(request: PredictRequest) -> str | None:
    if request.inputs and request.source is not None:
        raise UserError("Give inputs or --input, not both.")
    if not request.inputs and request.source is None:
        if sys.stdin.isatty():
            raise UserError(
                "Nothing to answer. Give inputs as arguments, with --input FILE, or through a pipe "
                '("… | headway predict").'
            )
        return "-"
    return request.source


def _of_arguments(inputs: list[str], model: Model) -> Iterator[list[Answered]]:
    """Answers to what stands on the command line."""
    field, examples = model.input_names[0], _examples_of(inputs, model)
    answers = model.answer(examples)
    yield [
        Answered(row, {field: text}, answer) for row, (text, answer) in enumerate(zip(inputs, answers, strict=True), 1)
    ]


def _examples_of(inputs: list[str], model: Model) -> list[Example]:
    """Texts or paths of images, as they stand on the command line."""
    [field] = [one for one in model.task.fields if one.name == model.input_names[0]]
    if field.kind == "text":
        for text in inputs:
            if Path(text).is_file() and "\n" not in text:
                raise UserError(
                    f"{text} is a file. Answer its rows with --input {text}; a text of that name goes through a pipe."
                )
    if len(model.input_names) > 1:
        raise UserError(
            f"This model takes {' and '.join(model.input_names)} together. Give a file with both columns: --input FILE."
        )
    return [Example({field.name: Path(text) if field.kind == "image" else text}) for text in inputs]


def _of_source(
    source: str, known: Format | None, model: Model, settings: Settings, policy: BadRowPolicy
) -> Iterator[list[Answered]]:
    """The rows of a file or pipe, block by block; those before a bad row are answered before it is an error."""
    told = Columns({name: tuple(each) for name, each in columns_told(model.task, settings.data).items()})
    for table in stream(source, format=known, policy=policy):
        rows, reasons = model.answerable(table, told)
        failure: DataError | None = None
        for index, reason in reasons.items():
            try:
                policy.report(table.where(index), reason)
            except DataError as error:
                failure, rows = error, rows.select(np.flatnonzero(rows.rows < index))
                break
        answers = model.answer(rows.fetch(range(len(rows))))
        columns = _shown_columns(table)
        yield [
            Answered(
                table.number(index),
                {column: values[index] for column, values in columns.items()},
                answer,
            )
            for index, answer in zip(rows.rows.tolist(), answers, strict=True)
        ]
        if failure is not None:
            raise failure


def _undamaged(usable: list[int], examples: list[Example], model: Model, policy: BadRowPolicy) -> list[int]:
    """Those whose files can be read; the others are reported."""
    found = list(model.task.damaged(model.loaded.reader, [[examples[index] for index in usable]]))
    for bad in found:
        if bad is not None:
            policy.report(bad.where, bad.reason)
    return [index for index, bad in zip(usable, found, strict=True) if bad is None]


def _shown_columns(table: Table) -> dict[str, list[Any]]:
    """The columns that can be written again: all but images' bytes."""
    rows = range(len(table))
    values = {name: table.values(name, rows) for name in table.column_names}
    return {
        name: column
        for name, column in values.items()
        if not any(isinstance(value, bytes) or (isinstance(value, dict) and "bytes" in value) for value in column)
    }


def _choose_format(format: str | None, output: Path | None) -> str:
    if format is None and output is not None:
        format = output.suffix.removeprefix(".").replace("ndjson", "jsonl")
        if format not in ("jsonl", "csv"):
            raise UserError(f"{output}: name it .jsonl or .csv, or give --format.")
    if format is None:
        format = "text" if sys.stdout.isatty() else "jsonl"
    if format not in WRITERS:
        raise UserError(f"--format {format}: choose from {', '.join(WRITERS)}.")
    return format


def _known_input_format(name: str | None) -> Format | None:
    if name is None:
        return None
    for known in get_args(Format):
        if name == known:
            return known
    raise UserError(f"--input-format {name}: choose from {', '.join(get_args(Format))}.")


def _check_output(output: Path | None, source: str | None, overwrite: bool) -> None:
    """Refuse to replace a file: the input's own always, any other unless asked for."""
    if output is None or not output.exists():
        return
    if source not in (None, "-") and Path(str(source)).exists() and output.samefile(str(source)):
        raise UserError(f"{output} is the input. Write the answers to another file.")
    if output.is_dir():
        raise UserError(f"{output} is a folder. Name a .jsonl or .csv file.")
    if not overwrite:
        raise UserError(f"{output} exists already. Choose another --output, or use --overwrite.")


@contextmanager
def _open_output(output: Path | None) -> Iterator[TextIO]:
    """Where answers go; what was answered before an error is kept.

    A file is written beside its place and takes it at the end: a reader never sees half of it by its name.
    """
    if output is None:
        yield sys.stdout
        return
    failure: HeadwayError | None = None
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        try:
            yield file
        except HeadwayError as error:
            if file.tell() == 0:
                raise
            failure = error
    if failure is not None:
        raise type(failure)(f"{failure} The answers before it are in {output}.") from failure
