"""`headway`: train, evaluate, predict, inspect, settings.

Nothing heavy is imported here, so that `headway --help` answers at once: each command imports what it needs.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import headway
from headway.errors import HeadwayError, UserError, cut, reason_of

__all__ = ["app", "run"]

app = typer.Typer(
    help="From a file of examples to a trained, measured, usable transformer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DataArgument = Annotated[
    str | None,
    typer.Argument(help="CSV, TSV, JSONL or Parquet (also .gz), a folder of them, hub:NAME, or sample:reviews."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting; `headway settings` lists them.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A trained model's folder, or a hub name.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave out unreadable rows; count and list them.")]
PrecisionOption = Annotated[str, typer.Option(help="auto, float32, bfloat16, or int8 (CPU only, fastest).")]


@app.command()
def train(
    data: DataArgument = None,
    task: Annotated[str | None, typer.Option(help="classification; read off the columns when not given.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A model folder, a hub name such as bert-base-uncased, minilm, or scratch:tiny|small|base."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The folder to write to; runs/NAME when not given.")] = None,
    validation: Annotated[str | None, typer.Option(help="Rows to validate on; a part of DATA when not given.")] = None,
    test: Annotated[str | None, typer.Option(help="Rows for the final score; a part of DATA when not given.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings as TOML, or the headway/run.json of an earlier run.")
    ] = None,
    set_: SetOption = None,
    skip_bad_rows: SkipOption = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in --output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Fine-tune a transformer on DATA, measure it, and write it with its report."""
    from headway.cli.train import train_command

    train_command(
        {"data": data, "task": task, "model": model, "validation": validation, "test": test},
        output=output,
        config=config,
        assignments=_assignments(set_, skip_bad_rows),
        resume=resume,
        overwrite=overwrite,
        quiet=quiet,
    )


@app.command()
def evaluate(
    model: ModelArgument,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled rows; as for train.")],
    json: Annotated[bool, typer.Option("--json", help="Print the whole record as JSON on stdout.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write the report, as one HTML page.")] = None,
    set_: SetOption = None,
    skip_bad_rows: SkipOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Measure a trained MODEL on labelled DATA, with 95 % intervals."""
    from headway.cli.evaluate import evaluate_command

    evaluate_command(
        model,
        data,
        as_json=json,
        report=report,
        assignments=_assignments(set_, skip_bad_rows),
        device=device,
        precision=precision,
    )


@app.command()
def predict(
    model: ModelArgument,
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to label.")] = None,
    input: Annotated[
        str | None, typer.Option(help="A file of texts (CSV, TSV, JSONL, Parquet, .txt), or - for a pipe.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A .jsonl or .csv file; stdout when not given.")] = None,
    format: Annotated[
        str | None, typer.Option(help="text, jsonl or csv; by OUTPUT's name, or text for a terminal.")
    ] = None,
    input_format: Annotated[
        str | None, typer.Option(help="csv, tsv, jsonl, parquet or text, where the name does not tell.")
    ] = None,
    skip_bad_rows: Annotated[
        bool,
        typer.Option(
            "--skip-bad-rows",
            help="Leave out unusable rows; count and list them. Answers keep the row numbers of the input.",
        ),
    ] = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
) -> None:
    """Label texts given as arguments, in a file, or through a pipe; order is kept, any size will do."""
    from headway.cli.predict import predict_command

    predict_command(
        model,
        texts or [],
        source=input,
        output=output,
        format=format,
        input_format=input_format,
        skip_bad_rows=skip_bad_rows,
        device=device,
        precision=precision,
    )


@app.command()
def inspect(
    what: Annotated[str, typer.Argument(metavar="MODEL|DATA", help="A model folder, hub name, file or sample.")],
    model: Annotated[str | None, typer.Option(help="For DATA: the model whose tokenizer counts tokens.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON on stdout.")] = False,
    set_: SetOption = None,
    skip_bad_rows: SkipOption = False,
) -> None:
    """Show a model's architecture, parameters, FLOP and memory; or check DATA without training."""
    from headway.cli.inspect import inspect_command

    inspect_command(what, model=model, as_json=json, assignments=_assignments(set_, skip_bad_rows))


@app.command()
def settings() -> None:
    """List every setting with its default and what it does."""
    from headway.cli.settings import settings_command

    settings_command()


def _assignments(given: list[str] | None, skip_bad_rows: bool) -> list[str]:
    """What --set was given, and the one setting that has an option of its own."""
    return [*(given or []), *(["skip_bad_rows=true"] if skip_bad_rows else [])]


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
            more = " A training that had begun goes on with: headway train --resume --output FOLDER"
            _say("interrupted." + (more if sys.argv[1:2] == ["train"] else ""))
        raise
    except OSError as error:
        if error.filename is None:
            raise
        _say(f"{cut(str(error.filename))}: {reason_of(error)}. Check the name, and what you may do there.")
        sys.exit(UserError.exit_status)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        _say("out of memory. Try --set micro_batches=4, a smaller --set batch_size, or --set max_length=256.")
        sys.exit(1)
    sys.exit(0)


def _say(message: str) -> None:
    typer.echo(f"headway: {message}", err=True)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory is spent, on a GPU (torch.OutOfMemoryError) or a CPU (a plain RuntimeError)."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "not enough memory" in words
