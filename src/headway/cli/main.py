"""`headway`: train, evaluate, predict, inspect, settings.

Nothing heavy is imported here, so that `headway --help` answers at once: each command imports what it needs.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import headway
from headway.cli import options
from headway.errors import HeadwayError, UserError, cut, reason_of

__all__ = ["app", "run"]

app = typer.Typer(
    help="From a file of examples to a trained, measured, usable transformer.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command()
def train(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="CSV, TSV, JSONL or Parquet (also .gz), a folder of them or of images, hub:NAME, or sample:reviews."
        ),
    ] = None,
    task: options.Task = None,
    model: Annotated[
        str | None,
        typer.Option(help="A model folder, a hub name such as bert-base-uncased, minilm, or scratch:tiny|small|base."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Destination folder; runs/NAME when not given.")] = None,
    validation: Annotated[str | None, typer.Option(help="Rows to validate on; a part of DATA when not given.")] = None,
    test: Annotated[str | None, typer.Option(help="Rows for the final score; a part of DATA when not given.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings as TOML, or the headway/run.json of an earlier run.")
    ] = None,
    text_column: options.TextColumn = None,
    text_pair_column: options.TextPairColumn = None,
    image_column: options.ImageColumn = None,
    label_column: options.LabelColumn = None,
    epochs: options.Epochs = None,
    learning_rate: options.LearningRate = None,
    batch_size: options.BatchSize = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    device: options.Device = None,
    precision: options.Precision = None,
    set_: options.Set = None,
    skip_bad_rows: options.SkipBadRows = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in --output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Train a transformer on DATA, measure it, and write it with its report."""
    from headway.cli.train import train_command

    train_command(
        {"data": data, "task": task, "model": model, "validation": validation, "test": test},
        output=output,
        config=config,
        assignments=options.given(
            set_,
            skip_bad_rows=skip_bad_rows,
            text_column=text_column,
            text_pair_column=text_pair_column,
            image_column=image_column,
            label_column=label_column,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            max_length=max_length,
            seed=seed,
            device=device,
            precision=precision,
        ),
        resume=resume,
        overwrite=overwrite,
        quiet=quiet,
    )


@app.command()
def evaluate(
    model: options.ModelName,
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Rows with labels; as for train.")],
    json: Annotated[bool, typer.Option("--json", help="Print the whole record as JSON on stdout.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write the report, as one HTML page.")] = None,
    task: options.Task = None,
    text_column: options.TextColumn = None,
    text_pair_column: options.TextPairColumn = None,
    image_column: options.ImageColumn = None,
    label_column: options.LabelColumn = None,
    max_length: options.MaxLength = None,
    device: options.Device = None,
    precision: options.Precision = None,
    set_: options.Set = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Measure a trained MODEL on labelled DATA, with 95 % intervals."""
    from headway.cli.evaluate import evaluate_command

    evaluate_command(
        model,
        data if len(data) > 1 else data[0],
        task=task,
        as_json=json,
        report=report,
        assignments=options.given(
            set_,
            skip_bad_rows=skip_bad_rows,
            text_column=text_column,
            text_pair_column=text_pair_column,
            image_column=image_column,
            label_column=label_column,
            max_length=max_length,
            device=device,
            precision=precision,
        ),
    )


@app.command()
def predict(
    model: options.ModelName,
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT|IMAGE]...", help="Texts, or paths of images, to answer.")
    ] = None,
    input: Annotated[
        str | None, typer.Option(help="A file (CSV, TSV, JSONL, Parquet, .txt), a folder of images, or - for a pipe.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A .jsonl or .csv file; stdout when not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing --output.")] = False,
    format: Annotated[
        str | None, typer.Option(help="text, jsonl or csv; by OUTPUT's name, or text for a terminal.")
    ] = None,
    input_format: Annotated[
        str | None, typer.Option(help="csv, tsv, jsonl, parquet or text, where the name does not say.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Show the answer to one text while it is written.")] = False,
    task: options.Task = None,
    text_column: options.TextColumn = None,
    text_pair_column: options.TextPairColumn = None,
    image_column: options.ImageColumn = None,
    max_length: options.MaxLength = None,
    device: options.Device = None,
    precision: options.Precision = None,
    set_: options.Set = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Answer texts or images given as arguments, in a file, or through a pipe; order is kept, any size will do."""
    from headway.cli.predict import PredictRequest, predict_command

    predict_command(
        PredictRequest(
            model=model,
            inputs=inputs or [],
            source=input,
            output=output,
            overwrite=overwrite,
            format=format,
            input_format=input_format,
            task=task,
            stream=stream,
        ),
        assignments=options.given(
            set_,
            skip_bad_rows=skip_bad_rows,
            text_column=text_column,
            text_pair_column=text_pair_column,
            image_column=image_column,
            max_length=max_length,
            device=device,
            precision=precision,
        ),
    )


@app.command()
def inspect(
    what: Annotated[str, typer.Argument(metavar="MODEL|DATA", help="A model folder, hub name, file or sample.")],
    model: Annotated[str | None, typer.Option(help="For DATA: the model that would be trained on it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON on stdout.")] = False,
    task: options.Task = None,
    text_column: options.TextColumn = None,
    text_pair_column: options.TextPairColumn = None,
    image_column: options.ImageColumn = None,
    label_column: options.LabelColumn = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    set_: options.Set = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Show a model's architecture, parameters, FLOP and memory; or check DATA without training."""
    from headway.cli.inspect import inspect_command

    inspect_command(
        what,
        model=model,
        task=task,
        as_json=json,
        assignments=options.given(
            set_,
            skip_bad_rows=skip_bad_rows,
            text_column=text_column,
            text_pair_column=text_pair_column,
            image_column=image_column,
            label_column=label_column,
            max_length=max_length,
            seed=seed,
        ),
    )


@app.command()
def settings(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="Only the settings of this task.")] = None,
) -> None:
    """List every setting with its default and what it does."""
    from headway.cli.settings import settings_command

    settings_command(task)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"headway {headway.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


_INTERRUPTED = 130


def run() -> NoReturn:
    """Run the command line: errors of Headway become one sentence on stderr and their exit status."""
    # A scheduler's SIGTERM is answered as Ctrl-C is. While a model is trained the loop listens to both itself.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(standalone_mode=True)
    except HeadwayError as error:
        _say(str(error))
        sys.exit(error.exit_status)
    except SystemExit as ending:
        if ending.code == _INTERRUPTED:  # typer's own answer to Ctrl-C, which is silent
            more = " A training that had begun continues with: headway train --resume --output FOLDER"
            _say("interrupted." + (more if sys.argv[1:2] == ["train"] else ""))
        raise
    except OSError as error:
        if error.filename is None:
            raise
        _say(f"{cut(str(error.filename))}: {reason_of(error)}. Check the name, and your permissions there.")
        sys.exit(UserError.exit_status)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        more = "--set micro_batches=4, a smaller --batch-size, or " if sys.argv[1:2] == ["train"] else ""
        _say(f"out of memory. Try {more}--max-length 256.")
        sys.exit(1)
    sys.exit(0)


def _say(message: str) -> None:
    typer.echo(f"headway: {message}", err=True)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory is spent, on a GPU (torch.OutOfMemoryError) or a CPU (a plain RuntimeError, by system)."""
    words = str(error).lower()
    spent = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(phrase in words for phrase in spent)
