"""The one way of every task: read, check, train, measure, save."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headway.checkpoints.hub import locate
from headway.checkpoints.scratch import is_scratch
from headway.device import choose_device
from headway.errors import SettingsError, UserError
from headway.evaluation.record import Record
from headway.examples.checks.findings import AllRows, Finding
from headway.examples.checks.input_checks import TokenCounts, input_checks, length_checks
from headway.settings import Settings
from headway.sources.read import Source, describe, require
from headway.tasks.data import TaskData, read_tables, read_task_data
from headway.tasks.encoding import EncodedRows
from headway.tasks.fit import choose_metric, fit
from headway.tasks.folder import RunFolder
from headway.tasks.measure import measure_run
from headway.tasks.model import Model
from headway.tasks.registry import TASKS, find_task, ignored_settings, recognise_table
from headway.tasks.reporter import Reporter
from headway.tasks.task import ModelSource, Task, TaskModel
from headway.training.recipe import resolve_recipe
from headway.training.state import seed_everything

__all__ = ["Checked", "Request", "Trained", "check_data", "train"]

AnyTask = Task[Any, Any, Any]


@dataclass(frozen=True)
class Request:
    """What is to be trained on what."""

    data: Source
    output: Path
    task: str | None = None
    model: str | None = None
    validation: Source | None = None
    test: Source | None = None

    def as_json(self, settings: Settings) -> dict[str, Any]:
        """As `run.json` keeps it: with `headway train --config` it runs the same again."""
        sources = {"data": self.data, "validation": self.validation, "test": self.test}
        named = {name: None if source is None else _as_written(source) for name, source in sources.items()}
        return {**named, "task": self.task, "model": self.model, **settings.given()}


@dataclass(frozen=True)
class Trained:
    """A trained model and the record of its run; no record where the run was finished before."""

    model: Model
    record: Record | None


@dataclass(frozen=True)
class Checked:
    """Data that was read and checked."""

    task: AnyTask
    data: TaskData
    findings: tuple[Finding, ...]


def train(
    request: Request,
    settings: Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> Trained:
    """Train a model on examples and measure it.

    Args:
        request: The data, the model to start from, and the folder to write to.
        settings: Everything else.
        resume: Continue the interrupted run in the output folder, bit for bit as if it had not been interrupted.
        overwrite: Replace what is in the output folder.
        reporter: Hears how it goes.

    Raises:
        UserError: The data, the model or the settings cannot be used.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        TrainingError: Training cannot go on.
    """
    reporter = reporter or Reporter()
    folder = RunFolder(request.output)
    asked = request.as_json(settings)
    folder.check(asked, resume=resume, overwrite=overwrite)
    if resume and folder.is_finished():
        folder.states.remove()  # a run that was killed right after its record would keep it for ever
        reporter.note(f"{folder.folder}: this run is finished already; there is nothing to resume.")
        return Trained(Model.open(folder.folder, device=settings.machine.device), None)

    device = _prepare_machine(settings)
    task, source, data, settings, notes = _read(request, settings, reporter)
    reporter.stage(f"{'Making' if source.folder is None else 'Loading'} {source.name}")
    seed_everything(settings.training.seed)
    model = task.load(source, data.spec, data.splits.train, settings, device)
    for note in model.notes:
        reporter.note(note)
    reporter.stage("Checking the data")
    rows = _encode(task, model, data, settings)
    findings = _findings(task, data, rows, model)
    reporter.findings(findings)
    folder.open({**asked, "fingerprint": data.fingerprint()}, resume=resume)
    outcome = fit(task, model, data.spec, rows, settings, folder, reporter, resume=resume)
    reporter.stage("Measuring")
    record = measure_run(
        task,
        model,
        data,
        rows,
        outcome,
        settings,
        findings=findings,
        recipe_notes=notes,
        folder=str(folder.folder),
        base_model=source.name,
    )
    model = model.remembering(False)
    trained = Model(task, data.spec, model, data.columns, settings=settings, folder=str(folder.folder))
    trained.save(folder.folder, record)
    reporter.result(record, task.page(record), str(folder.folder))
    return Trained(trained, record)


def check_data(data: Source, task: str | None, model: str | None, settings: Settings) -> Checked:
    """Read and check data as `train` would, without training.

    Raises:
        UserError: The data, the model or the settings cannot be used.
    """
    device = _prepare_machine(settings)
    chosen, source, read, settings, _ = _read(Request(data, Path(), task, model), settings, Reporter())
    loaded = chosen.load(source, read.spec, read.splits.train, settings, device)
    rows = _encode(chosen, loaded, read, settings)
    return Checked(chosen, read, _findings(chosen, read, rows, loaded))


def _read(
    request: Request, settings: Settings, reporter: Reporter
) -> tuple[AnyTask, ModelSource, TaskData, Settings, tuple[str, ...]]:
    """The task, the model to start from, the data, the settings without `auto`, and what was chosen for them."""
    source = _look_ahead(request, settings)
    reporter.stage(f"Reading {describe(request.data)}")
    tables, sources = read_tables(request.data, request.validation, request.test, settings.data)
    task = find_task(request.task) if request.task else recognise_table(tables["train"])
    _refuse_ignored(task, settings)
    source = source or _model_source(task.default_model)
    task.check_model(source, settings)
    preferred = task.preferred(source, len(tables["train"]))
    settings, notes = resolve_recipe(settings, from_scratch=source.folder is None, preferred=preferred)
    data = read_task_data(task, tables, sources, settings, source)
    choose_metric(task, data.spec, settings.training.metric)
    _tell_data(task, data, reporter, notes)
    return task, source, data, settings, notes


def _as_written(source: Source) -> str | list[str]:
    """A source as the user wrote it: a name, or the names of several files."""
    if isinstance(source, list | tuple) and all(isinstance(each, str | Path) for each in source):
        return [str(each) for each in source]
    return describe(source)


def _look_ahead(request: Request, settings: Settings) -> ModelSource | None:
    """Refuse what can be known to fail before a large file is read for nothing.

    Returns:
        The model to start from; None where the task, which is not known yet, chooses.
    """
    for data in (request.data, request.validation, request.test):
        if data is not None:
            require(data)
    if request.task:
        _refuse_ignored(find_task(request.task), settings)
    tasks = [find_task(request.task)] if request.task else list(TASKS.values())
    if settings.machine.precision == "int8":
        raise SettingsError("precision = 'int8' is for answering only; train in float32 or bfloat16.")
    tasks = [task for task in tasks if not ignored_settings(task, settings)] or tasks
    if settings.training.metric is not None:
        _check_metric(tasks, settings.training.metric)
    if request.model is None:
        return None
    source = _model_source(request.model)
    problems: list[UserError] = []
    for task in tasks:
        try:
            task.check_model(source, settings)
        except UserError as error:
            problems.append(error)
    if len(problems) == len(tasks):
        raise problems[0]
    return source


def _refuse_ignored(task: AnyTask, settings: Settings) -> None:
    ignored = ignored_settings(task, settings)
    if ignored:
        names, s = ", ".join(ignored), "s" * (len(ignored) > 1)
        have = "have" if s else "has"
        raise SettingsError(f"Setting{s} {names} {have} no effect on {task.name}; leave {'them' if s else 'it'} out.")


def _check_metric(tasks: Sequence[AnyTask], wanted: str) -> None:
    known = dict.fromkeys(name for task in tasks for name in (*task.metric_names, "validation_loss"))
    if wanted not in known:
        raise SettingsError(f"metric = {wanted!r}: unknown metric; choose from {', '.join(known)}.")


def _model_source(name: str) -> ModelSource:
    return ModelSource(name, None if is_scratch(name) else locate(name))


def _prepare_machine(settings: Settings) -> torch.device:
    if settings.machine.threads is not None:
        torch.set_num_threads(settings.machine.threads)
    return choose_device(settings.machine.device)


def _tell_data(task: AnyTask, data: TaskData, reporter: Reporter, notes: tuple[str, ...]) -> None:
    found = [
        f"{one.name.replace('_', ' ')}: {', '.join(data.columns[one.name])}"
        for one in task.fields
        if data.columns[one.name]
    ]
    reporter.note(f"Columns by field: {'; '.join(found)}.")
    reporter.note(data.splits.description)
    for note in (*data.notes, *notes):
        reporter.note(note)


def _encode(task: AnyTask, model: TaskModel, data: TaskData, settings: Settings) -> dict[str, EncodedRows]:
    seed = settings.training.seed
    return {name: EncodedRows(task, model, part, seed=seed) for name, part in data.splits.parts().items()}


def _findings(task: AnyTask, data: TaskData, rows: dict[str, EncodedRows], model: TaskModel) -> tuple[Finding, ...]:
    everything = AllRows(data.splits)
    findings = [*input_checks(everything), *task.checks(everything, data.splits, data.spec)]
    stores = [part.store for part in rows.values() if part.store is not None]
    if stores:
        lengths, unknown = (
            np.concatenate([getattr(store, name) for store in stores]) for name in ("full_lengths", "unknown")
        )
        findings += length_checks(everything, TokenCounts(lengths, unknown, task.max_length(model), task.segments))
    return tuple(findings)
