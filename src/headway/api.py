"""The Python face: `headway.train` and `headway.load`."""

from pathlib import Path
from typing import Any

from headway.tasks.classification import TextClassifier

__all__ = ["load", "train"]


def train(
    data: str | Path,
    *,
    model: str | Path = "minilm",
    output: str | Path,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> TextClassifier:
    """Fine-tune a transformer on a file of examples; measure it; save it with its report.

    Args:
        data: CSV, TSV, JSONL or Parquet (also compressed), a folder of them, `hub:NAME` or `sample:reviews`.
        model: A model folder, a hub name such as `bert-base-uncased`, `minilm`, or `scratch:tiny`, `scratch:small`,
            `scratch:base` for new weights and a vocabulary of the data's own.
        output: The folder to write the model, its record and its report to.
        validation: Rows to validate on; a part of `data` when not given.
        test: Rows for the final score; a part of `data` when not given.
        resume: Go on with an interrupted run in `output`.
        overwrite: Replace what is in `output`.
        quiet: Say nothing on stderr.
        **settings: Any of `headway settings`, for example `learning_rate=3e-5`.

    Returns:
        The classifier, with the best weights.

    Raises:
        UserError: The data, the model or a setting cannot be used.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        TrainingError: Training cannot go on.
    """
    from headway.console import console_reporter
    from headway.settings import resolve
    from headway.tasks.classification.run import train_classifier

    return train_classifier(
        str(data),
        model=str(model),
        output=output,
        validation=None if validation is None else str(validation),
        test=None if test is None else str(test),
        settings=resolve(settings),
        resume=resume,
        overwrite=overwrite,
        reporter=None if quiet else console_reporter(),
    )


def load(
    model: str | Path,
    *,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_length: int | None = None,
) -> TextClassifier:
    """Open a trained model from a folder or the hub.

    Args:
        model: A model folder or a hub name.
        revision: A branch, tag or commit of a hub model.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `float32`, `bfloat16` or `int8` (CPU only).
        max_length: Longest sequence in tokens; as in training when not given.

    Raises:
        CheckpointError: The model cannot be read; everything that is wrong with it is listed.
    """
    return TextClassifier.load(model, revision=revision, device=device, precision=precision, max_length=max_length)
