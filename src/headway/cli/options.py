"""The options that several commands share: each has one name, one help text and one meaning everywhere."""

from typing import Annotated, Any

import typer

__all__ = [
    "BatchSize",
    "Device",
    "Epochs",
    "ImageColumn",
    "LabelColumn",
    "LearningRate",
    "MaxLength",
    "ModelName",
    "Precision",
    "Seed",
    "Set",
    "SkipBadRows",
    "Task",
    "TextColumn",
    "TextPairColumn",
    "given",
]

_DATA = "Columns and rows"
_TRAINING = "Training"
_MACHINE = "Machine"

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; `headway settings` lists them.")
]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A trained model's folder, or a hub name.")]
Task = Annotated[
    str | None, typer.Option(help="text_classification or image_classification; by the columns if not given.")
]
SkipBadRows = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be used; count and list them.")
]
TextColumn = Annotated[str | None, typer.Option(help="Column with the text.")]
TextPairColumn = Annotated[str | None, typer.Option(help="Column with the second text of a pair.")]
ImageColumn = Annotated[str | None, typer.Option(help="Column with the image.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column with the label; several 0/1 columns with commas.")]
MaxLength = Annotated[int | None, typer.Option(help="Longest sequence in tokens; longer ones are cut.")]
Epochs = Annotated[float | None, typer.Option(help="Passes over the training data at most.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak of the learning rate schedule.")]
BatchSize = Annotated[int | None, typer.Option(help="Examples in one step.")]
Seed = Annotated[int | None, typer.Option(help="Of the split, the order, new weights and dropout.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str | None, typer.Option(help="auto, float32, bfloat16, or int8 (answers on a CPU only).")]


def given(assignments: list[str] | None, *, skip_bad_rows: bool = False, **flags: Any) -> dict[str, Any]:
    """The settings that were given: flags, which win, over `--set`."""
    from headway.settings import parse_assignments

    told = {name: value for name, value in flags.items() if value is not None}
    if skip_bad_rows:
        told["skip_bad_rows"] = True
    return {**parse_assignments(assignments or []), **told}
