"""`headway evaluate`."""

import sys
from pathlib import Path

from rich.console import Console

from headway.api import load
from headway.console import console_reporter, print_result
from headway.evaluation.report.page import render
from headway.files import write_atomically
from headway.settings import parse_assignments, resolve
from headway.tasks.classification.page import classification_page

__all__ = ["evaluate_command"]


def evaluate_command(
    model: str,
    data: str,
    *,
    as_json: bool,
    report: Path | None,
    assignments: list[str],
    device: str,
    precision: str,
) -> None:
    """Measure a model on labelled rows: as a table for people, or as JSON for machines."""
    settings = resolve(parse_assignments(assignments))
    classifier = load(model, device=device, precision=precision, max_length=settings.max_length)
    record = classifier.evaluate(data, settings)
    console_reporter().findings(record.findings)
    if report is not None:
        write_atomically(report, render(record, classification_page(record)))
    if as_json:
        sys.stdout.write(record.to_json())
    else:
        print_result(Console(highlight=False), record)
