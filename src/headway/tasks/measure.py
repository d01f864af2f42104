"""Everything that is said about a model: its scores beside the baselines, its speed, where it ran."""

import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.checkpoints.model_facts import settings_in_use
from headway.device import describe_device, peak_memory
from headway.evaluation.baselines import score_baseline
from headway.evaluation.metrics import score
from headway.evaluation.record import Baseline, Record
from headway.examples.checks.findings import Finding
from headway.examples.checks.input_checks import left_out
from headway.examples.examples import Examples
from headway.nn.linear import num_parameters
from headway.settings import Settings
from headway.tasks.data import TaskData
from headway.tasks.encoding import EncodedRows, answer_rows
from headway.tasks.fit import Outcome, statistics_of
from headway.tasks.task import Task, TaskModel

__all__ = ["measure_evaluation", "measure_run"]

AnyTask = Task[Any, Any, Any]
FloatArray = NDArray[np.float64]


def measure_run(
    task: AnyTask,
    model: TaskModel,
    data: TaskData,
    rows: Mapping[str, EncodedRows],
    outcome: Outcome,
    settings: Settings,
    *,
    findings: tuple[Finding, ...],
    recipe_notes: tuple[str, ...],
    folder: str,
    base_model: str,
) -> Record:
    """Score a trained model on the test rows, beside the baselines, and gather what the report shows."""
    state, parts = outcome.state, data.splits.parts()
    scored, statistics = _scored(task, model, data.spec, rows["test"], settings, parts)
    common = _common(task, model, folder)
    common["speed"] |= {
        "training_seconds": state.seconds,
        "training_tokens": float(state.tokens),
        "training_tokens_per_second": state.tokens / max(state.seconds, 1e-9),
    }
    return Record(
        **_merged(common, scored),
        base_model=base_model,
        data=data.sources,
        rows={name: len(part) for name, part in parts.items()},
        split=data.splits.description,
        findings=findings,
        curves=outcome.events,
        metric=outcome.metric,
        best_step=state.best_step,
        last_step=state.step,
        total_steps=outcome.total_steps,
        stopped_early=state.stopped_early,
        refused_steps=state.refused_steps,
        baselines=_baselines(task, data, rows["test"], statistics, settings),
        settings=settings.flat(),
        recipe_notes=recipe_notes,
    )


def measure_evaluation(
    task: AnyTask, model: TaskModel, spec: Any, examples: Examples, settings: Settings, *, source: str, folder: str
) -> Record:
    """Score a model on rows with targets; what concerns training stays empty."""
    rows = EncodedRows(task, model, examples)
    scored, _ = _scored(task, model, spec, rows, settings, {"test": examples})
    return Record(
        **_merged(_common(task, model, folder), scored),
        base_model="",
        data={"test": source},
        rows={"test": len(examples)},
        split="Every row that could be read was scored.",
        findings=(
            *(Finding("reading", "note", note) for note in examples.table.notes),
            *(finding for finding in left_out([examples]) if finding.severity != "ok"),
        ),
        curves=(),
        metric="",
        best_step=0,
        last_step=0,
        total_steps=0,
        stopped_early=False,
        refused_steps=0,
        baselines=(),
        settings={},
    )


def _scored(
    task: AnyTask,
    model: TaskModel,
    spec: Any,
    rows: EncodedRows,
    settings: Settings,
    parts: Mapping[str, Examples],
) -> tuple[dict[str, Any], FloatArray]:
    """The scores of the model's answers and the task's details; and the statistics behind them."""
    started = time.perf_counter()
    answers = answer_rows(task, model, spec, rows, settings)
    seconds = time.perf_counter() - started
    statistics = statistics_of(task, spec, rows, answers)
    scored = {
        "scores": score(task.metrics(spec), statistics),
        "scored_on": "test",
        "details": task.details(spec, parts, rows.examples, answers),
        "speed": {"prediction_rows_per_second": len(rows) / max(seconds, 1e-9), "peak_memory_bytes": peak_memory()},
    }
    return scored, statistics


def _baselines(
    task: AnyTask, data: TaskData, rows: EncodedRows, ours: FloatArray, settings: Settings
) -> tuple[Baseline, ...]:
    metrics = task.metrics(data.spec)
    found = []
    for baseline in task.baselines(data.splits.train, rows.examples, data.spec, settings.training.seed):
        theirs = statistics_of(task, data.spec, rows, list(baseline.answers))
        found.append(score_baseline(baseline.name, baseline.description, metrics, theirs, ours=ours))
    return tuple(found)


def _common(task: AnyTask, model: TaskModel, folder: str) -> dict[str, Any]:
    config: Any = model.network.architecture
    return {
        "headway_version": version("headway"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": task.name,
        "folder": folder,
        "speed": {},
        "model": {
            "family": str(model.config["model_type"]),
            "parameters": num_parameters(model.network),
            **settings_in_use(config),
        },
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": describe_device(model.device),
            "precision": model.precision,
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def _merged(common: dict[str, Any], scored: dict[str, Any]) -> dict[str, Any]:
    return {**common, **scored, "speed": {**common["speed"], **scored["speed"]}}
