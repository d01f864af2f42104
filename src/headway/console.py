"""Talk for people, on stderr: stages, findings, a progress bar, the result. Results for machines go to stdout."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from headway.evaluation.record import Record
from headway.examples.checks.label_checks import Finding, skipped_message
from headway.sources.bad_rows import BadRows
from headway.tasks.reporter import Reporter
from headway.training.events import Event

__all__ = ["ConsoleReporter", "console_reporter"]

_MARKS = {"ok": "[green]✓[/]", "note": "[cyan]•[/]", "warning": "[yellow]![/]"}


def console_reporter() -> "ConsoleReporter":
    """A reporter that writes to stderr."""
    return ConsoleReporter(Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty()))


class ConsoleReporter(Reporter):
    """Tells a person how a run goes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._bar: Any = None
        self._metrics = ""

    def stage(self, text: str) -> None:
        """A new stage begins."""
        self.console.print(f"[bold]{escape(text)}[/]")

    def note(self, text: str) -> None:
        """Something that the user should know."""
        self.console.print(f"  {_MARKS['note']} {escape(text)}")

    def findings(self, findings: Sequence[Finding]) -> None:
        """What the checks of the data found, with the first example rows of each warning."""
        for finding in findings:
            self.console.print(f"  {_MARKS[finding.severity]} {escape(finding.message)}")
            if finding.severity == "warning":
                for example in finding.examples[:2]:
                    self.console.print(f"      [dim]{escape(example)}[/]")

    def skipped(self, rows: BadRows) -> None:
        """The rows that a prediction left out, each with its reason: no report tells them again."""
        if not rows.count:
            return
        self.console.print(f"  {_MARKS['warning']} {skipped_message(rows.count)}")
        for row in rows.listed:
            self.console.print(f"      [dim]{escape(f'{row.where}: {row.reason}.')}[/]")
        if rows.count > len(rows.listed):
            self.console.print(f"      [dim]… and {rows.count - len(rows.listed):,} more.[/]")

    def training_starts(self, total_steps: int, done_steps: int) -> None:
        """Show the progress bar."""
        self.stage(f"Training, {total_steps:,} steps at most" + (f", from step {done_steps:,}" if done_steps else ""))
        self._progress = Progress(
            TextColumn("  step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[speed]:>6,.0f} tokens/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._progress.start()
        self._bar = self._progress.add_task("", total=total_steps, completed=done_steps, speed=0.0, metrics="")

    def step(self, step: int, tokens_per_second: float) -> None:
        """Move the progress bar."""
        if self._progress is not None:
            self._progress.update(self._bar, completed=step, speed=tokens_per_second)

    def event(self, event: Event) -> None:
        """Print each validation; say each refused step."""
        if "refused" in event:
            self.note(f"step {event['step']:,.0f}: the loss or its gradient was not finite; the step was not applied.")
        if "validation_loss" in event:
            figures = ", ".join(
                f"{name.replace('_', ' ')} {value:.4f}"
                for name, value in event.items()
                if name not in ("step", "epoch")
            )
            self.console.print(f"  step {event['step']:>6,.0f}  epoch {event['epoch']:.2f}  {figures}")

    def training_ends(self) -> None:
        """Take the progress bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def result(self, record: Record, folder: str) -> None:
        """Print the results beside the baselines, and where everything is."""
        print_result(self.console, record)
        self.console.print(f"Model and report are in [bold]{escape(folder)}[/] (report: headway/report.html)")


def print_result(console: Console, record: Record) -> None:
    """Print the scores beside the baselines, and the verdict."""
    from headway.evaluation.report.page import summary  # imports matplotlib, which predicting need not wait for

    result = summary(record)
    table = Table(*result.header, box=None, header_style="bold", pad_edge=False)
    for row in result.rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print()
    console.print(table)
    console.print()
    console.print(escape(result.verdict))
