"""`headway evaluate`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from headway.api import load
from headway.console import console_reporter, print_result
from headway.evaluation.report.page import render
from headway.files import write_atomically
from headway.settings import resolve

__all__ = ["USED", "evaluate_command"]

USED = (
    *("text_column", "text_pair_column", "image_column", "label_column", "target_column"),
    *("encoding", "delimiter", "skip_bad_rows", "max_length"),
    *("generation", "device", "precision", "threads"),
)
"""The settings that an evaluation uses; a command refuses the others."""


def evaluate_command(
    model: str,
    data: str | list[str],
    *,
    task: str | None,
    as_json: bool,
    report: Path | None,
    assignments: dict[str, Any],
) -> None:
    """Measure a model on rows with targets: as a table for people, or as JSON for machines."""
    settings = resolve(assignments, only=USED, command="headway evaluate")
    machine = settings.machine
    loaded = load(
        model, task=task, device=machine.device, precision=machine.precision, max_length=settings.data.max_length
    )
    record = loaded.evaluate(data, replace(settings, machine=loaded.settings.machine))
    page = loaded.task.page(record)
    console_reporter().findings(record.findings)
    if report is not None:
        write_atomically(report, render(record, page))
    if as_json:
        sys.stdout.write(record.to_json())
    else:
        print_result(Console(highlight=False), record, page)
