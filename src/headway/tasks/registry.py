"""The tasks that there are, and which of them a table or a model belongs to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headway.errors import SettingsError, UserError
from headway.settings import Settings
from headway.sources.table import Table
from headway.tasks.classification.task import TextClassification
from headway.tasks.image_classification.task import ImageClassification
from headway.tasks.task import Match, Task

__all__ = [
    "TASKS",
    "find_task",
    "ignored_settings",
    "recognise_model",
    "recognise_table",
    "register",
    "unused_settings",
]

AnyTask = Task[Any, Any, Any]

TASKS: dict[str, AnyTask] = {task.name: task for task in (TextClassification(), ImageClassification())}
"""A task of Headway's own is added here, and nowhere else; one from outside by `register`."""

_SAMPLE_ROWS = 100

_RENAMED = {"classification": "text_classification"}  # names of version 0.1.0


def register(task: AnyTask) -> None:
    """Add a task to those of this process.

    Raises:
        ValueError: There is another task of that name.
    """
    if type(TASKS.setdefault(task.name, task)) is not type(task):
        raise ValueError(f"there is a task named {task.name!r} already")


def find_task(name: str) -> AnyTask:
    """The task of a name; hyphens count as underscores.

    Raises:
        SettingsError: There is none.
    """
    plain = name.replace("-", "_")
    task = TASKS.get(_RENAMED.get(plain, plain))
    if task is None:
        raise SettingsError(f"task = {name!r}: unknown task; choose from {', '.join(TASKS)}.")
    return task


def unused_settings(task: AnyTask) -> set[str]:
    """The settings that have no effect on a task: its own list, and the columns of other tasks' fields."""
    columns = {one.setting for other in TASKS.values() for one in other.fields}
    return (columns - {one.setting for one in task.fields}) | task.unused_settings


def ignored_settings(task: AnyTask, settings: Settings) -> list[str]:
    """What was asked for and would have no effect on a task."""
    default = Settings().flat()
    asked = {name for name, value in settings.flat().items() if value != default[name]}
    return sorted(asked & unused_settings(task))


def recognise_table(table: Table) -> AnyTask:
    """The task that a table is for: the only one that is certain, or the only one that is possible.

    Raises:
        UserError: Several tasks are possible, or none.
    """
    rows = np.unique(np.linspace(0, max(0, len(table) - 1), _SAMPLE_ROWS).astype(np.int64))
    columns = {name: table.values(name, rows) for name in table.column_names}
    return _only({name: task.recognise_table(columns) for name, task in TASKS.items()}, f"{table.source}: this table")


def recognise_model(config: Mapping[str, Any], folder: Path) -> AnyTask:
    """The task that a model answers, by its `config.json`.

    Raises:
        UserError: Several tasks are possible, or none.
    """
    return _only({name: task.recognise_model(config) for name, task in TASKS.items()}, f"{folder}: this model")


def _only(matches: Mapping[str, Match], what: str) -> AnyTask:
    for level in (Match.CERTAIN, Match.POSSIBLE):
        names = [name for name, match in matches.items() if match == level]
        if len(names) == 1:
            return TASKS[names[0]]
        if names:
            raise UserError(f"{what} could be for {' or '.join(names)}. Choose one with --task.")
    raise UserError(f"{what} fits no task. Choose one with --task: {', '.join(TASKS)}.")
