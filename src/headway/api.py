"""The Python face: `headway.train` and `headway.load`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.evaluation.record import Record
from headway.sources.read import Source
from headway.tasks.model import Model

__all__ = ["Result", "load", "train"]


@dataclass(frozen=True, repr=False)
class Result:
    """A trained model and the record of its run."""

    model: Model
    record: Record | None
    """Everything that was measured; None where the run was finished before."""

    def __repr__(self) -> str:
        if self.record is None:
            return f"<Result: {self.model!r}>"
        from headway.evaluation.narrative import verdict

        page = self.model.task.page(self.record)
        return f"<Result: {self.model!r}. {verdict(self.record, page.metrics, page.reservations).text}>"

    def _repr_html_(self) -> str:
        """The scores beside the baselines and the learning curves, for a notebook."""
        if self.record is None:
            return ""
        from headway.evaluation.report.notebook import notebook_html

        return notebook_html(self.record, self.model.task.page(self.record))


def train(
    data: Source,
    *,
    output: str | Path,
    task: str | None = None,
    model: str | Path | None = None,
    validation: Source | None = None,
    test: Source | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Result:
    """Train a transformer on examples; measure it; save it with its report.

    Args:
        data: A file (CSV, TSV, JSONL or Parquet, also compressed), a folder of them or of images, `hub:NAME`,
            `sample:reviews`; a DataFrame, a `datasets.Dataset`, a mapping of columns, or any iterable of rows.
        output: The folder to write the model, its record and its report to.
        task: What is to be learned; by the columns when not given.
        model: A model folder, a hub name such as `bert-base-uncased`, `minilm`, or `scratch:tiny`, `scratch:small`,
            `scratch:base` for new weights; the task's default when not given.
        validation: Rows to validate on; a part of `data` when not given.
        test: Rows for the final score; a part of `data` when not given.
        resume: Continue an interrupted run in `output`.
        overwrite: Replace what is in `output`.
        quiet: Say nothing on stderr.
        **settings: Any of `headway settings`, for example `learning_rate=3e-5`.

    Returns:
        The model with the best weights, and the record.

    Raises:
        UserError: The data, the model or a setting cannot be used.
        TypeError: The data is no data.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        TrainingError: Training cannot go on.
    """
    from headway.console import console_reporter
    from headway.settings import resolve
    from headway.tasks.run import Request
    from headway.tasks.run import train as run

    request = Request(
        data=data,
        output=Path(output),
        task=task,
        model=None if model is None else str(model),
        validation=validation,
        test=test,
    )
    trained = run(
        request,
        resolve(settings),
        resume=resume,
        overwrite=overwrite,
        reporter=None if quiet else console_reporter(),
    )
    return Result(trained.model, trained.record)


def load(
    model: str | Path,
    *,
    task: str | None = None,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_length: int | None = None,
) -> Model:
    """Open a trained model from a folder or the hub.

    Args:
        model: A model folder or a hub name.
        task: What it is for, where its folder leaves that open.
        revision: A branch, tag or commit of a hub model.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `float32`, `bfloat16` or `int8` (CPU only).
        max_length: Longest sequence in tokens; as in training when not given.

    Raises:
        CheckpointError: The model cannot be read; everything that is wrong with it is listed.
    """
    return Model.open(model, task=task, revision=revision, device=device, precision=precision, max_length=max_length)
