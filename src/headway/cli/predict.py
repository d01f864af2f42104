"""`headway predict`: inputs from arguments, a file or a pipe; answers out as they are known."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO, get_args

from headway.api import load
from headway.cli.answers import WRITERS, Answered, Unanswered
from headway.console import console_reporter
from headway.errors import DataError, HeadwayError, UserError, cut
from headway.examples.examples import Example, Examples
from headway.examples.fields import Columns
from headway.files import replacing
from headway.settings import Settings, resolve
from headway.sources.bad_rows import BadRowPolicy
from headway.sources.opening import Format, format_of_name
from headway.sources.read import stream
from headway.sources.table import Table
from headway.tasks.data import columns_told, dialect_of
from headway.tasks.model import Model

__all__ = ["PredictRequest", "predict_command"]

_USED = (
    *("text_column", "text_pair_column", "image_column", "encoding", "delimiter", "skip_bad_rows", "max_length"),
    *("generation", "device", "precision", "threads"),
)

_LONGEST_NAME = 256


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
    policy = BadRowPolicy(True) if settings.data.skip_bad_rows else Unanswered()
    answered = 0
    try:
        with _open_output(request.output) as file:
            writer = WRITERS[chosen](file, model.task)
            blocks = (
                _of_arguments(request.inputs, model, policy)
                if source is None
                else _of_source(source, known, model, settings, policy)
            )
            for block in blocks:
                answered += sum(row.error is None for row in block)
                writer.write(block)
                file.flush()
            writer.finish()
            if policy.count and not answered:
                raise _NoAnswersError(str(policy.seen().all_of(_name_of(source))))
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(policy, Unanswered):
        if policy.count:
            raise policy.failure(answered)
    else:
        console_reporter().skipped(policy.seen())


class _NoAnswersError(DataError):
    """No row at all has an answer: nothing is worth keeping."""


def _name_of(source: str | None) -> str:
    return {None: "the command line", "-": "standard input"}.get(source, str(source))


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


def _of_arguments(inputs: list[str], model: Model, policy: BadRowPolicy) -> Iterator[list[Answered]]:
    """Answers to what stands on the command line."""
    field, examples = model.input_names[0], _examples_of(inputs, model)
    block = []
    for row, (text, (answer, error)) in enumerate(zip(inputs, _answers(model, examples), strict=True), 1):
        if error is None or _is_kept(policy, text, error, row):
            block.append(Answered(row, {field: text}, answer, (field,), error))
    yield block


def _examples_of(inputs: list[str], model: Model) -> list[Example]:
    """Texts or paths of images, as they stand on the command line."""
    [field] = [one for one in model.task.fields if one.name == model.input_names[0]]
    if field.kind == "text":
        for text in inputs:
            _require_text(text)
    if len(model.input_names) > 1:
        raise UserError(
            f"This model takes {' and '.join(model.input_names)} together. Give a file with both columns: --input FILE."
        )
    return [Example({field.name: Path(text) if field.kind == "image" else text}) for text in inputs]


def _require_text(text: str) -> None:
    """Refuse what names a file or a data set: its rows should be answered, not its name."""
    is_name = "\n" not in text and len(text) < _LONGEST_NAME
    if text.startswith(("hub:", "sample:")) and not any(map(str.isspace, text)):
        raise UserError(f"{text} is a data set. Answer its rows with --input {text}.")
    if is_name and Path(text).exists():
        kind = "file" if Path(text).is_file() else "folder"
        raise UserError(
            f"{text} is a {kind}. Answer its rows with --input {text}; a text of that name goes through a pipe."
        )
    if is_name and not any(map(str.isspace, text)) and format_of_name(Path(text)) is not None:
        raise UserError(f"{text}: no such file. Check the name; a text of that name goes through a pipe.")


def _of_source(
    source: str, known: Format | None, model: Model, settings: Settings, policy: BadRowPolicy
) -> Iterator[list[Answered]]:
    """The rows of a file or pipe, block by block: each with its answer, or with the reason why it has none."""
    told = Columns({name: tuple(each) for name, each in columns_told(model.task, settings.data).items()})
    first = True
    told_notes = 0
    columns, dialect = _known_columns(model, told), dialect_of(settings.data)
    for table in stream(source, format=known, policy=policy, columns=columns, dialect=dialect):
        rows, reasons = model.answerable(table, told)
        if reasons and not rows.columns.by_field and source != "-" and not settings.data.skip_bad_rows:
            raise DataError(f"{source}: {reasons[0]}.")  # no row's fault: the whole file lacks the column
        if first:
            for note in (*table.notes, *_header_note(source, known, told, table, model)):
                console_reporter().note(note)
        first = False
        for note in policy.notes[told_notes:]:
            console_reporter().note(note)
        told_notes = len(policy.notes)
        yield _answered(table, rows, reasons, model, policy)
    if isinstance(policy, Unanswered) and policy.waiting:
        yield policy.before()


def _answered(
    table: Table, rows: Examples, reasons: Mapping[int, str], model: Model, policy: BadRowPolicy
) -> list[Answered]:
    """The rows of a block in order, those that could not even be read among them."""
    found: dict[int, tuple[Any, str | None]] = {index: (None, reason) for index, reason in reasons.items()}
    found |= dict(zip(rows.rows.tolist(), _answers(model, rows.fetch(range(len(rows)))), strict=True))
    columns = _shown_columns(table)
    inputs = tuple(column for name in model.input_names for column in rows.columns[name])
    block: list[Answered] = []
    for index in range(len(table)):
        answer, error = found[index]
        number = table.number(index)
        if isinstance(policy, Unanswered):
            block += policy.before(number)
        if error is None or _is_kept(policy, table.where(index), error, number):
            values = {column: values[index] for column, values in columns.items()}
            block.append(Answered(number, values, answer, inputs, error))
    return block


def _is_kept(policy: BadRowPolicy, where: str, reason: str, number: int) -> bool:
    """Remember a row without an answer; whether it is written all the same."""
    if isinstance(policy, Unanswered):
        policy.remember(where, reason, number)
        return True
    policy.report(where, reason, number)
    return False


def _answers(model: Model, examples: list[Example]) -> list[tuple[Any, str | None]]:
    """An answer to each example, or the reason why it has none: a damaged image, say."""
    try:
        return [(answer, None) for answer in model.answer(examples)]
    except DataError as error:
        if len(examples) == 1:
            return [(None, str(error).rstrip("."))]
    middle = len(examples) // 2
    return [*_answers(model, examples[:middle]), *_answers(model, examples[middle:])]


def _known_columns(model: Model, told: Columns) -> set[str]:
    """The names, in lower case, by which the header of a table that comes through a pipe is recognised."""
    names = {name for one in model.input_names for known in (told, model.columns) if known for name in known[one]}
    for one in model.task.fields:
        if one.name in model.input_names:
            names |= {one.name, *(name for tier in one.usual_names for name in tier)}
    return {name.lower() for name in names}


def _header_note(source: str, known: Format | None, told: Columns, table: Table, model: Model) -> list[str]:
    """What was taken for the header of a file with one column, where it may be a text."""
    format = known or format_of_name(Path(source))
    name = table.column_names[0]
    if format not in ("csv", "tsv") or len(table.column_names) > 1 or name.lower() in _known_columns(model, told):
        return []
    return [f"The first line, '{cut(name)}', is taken for the header. If it is a text, use --input-format text."]


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
            if file.tell() == 0 or isinstance(error, _NoAnswersError):
                raise
            failure = error
    if failure is not None:
        raise type(failure)(f"{failure} The answers before it are in {output}.") from failure
