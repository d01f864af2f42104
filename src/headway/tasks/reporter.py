"""Who is told how a run goes. This one keeps silent; the command line's draws a progress bar."""

from collections.abc import Sequence

from headway.evaluation.record import Record
from headway.evaluation.report import TaskPage
from headway.examples.checks.findings import Finding
from headway.training.events import Event

__all__ = ["Reporter"]


class Reporter:
    """Hears of each stage of a run; does nothing by itself."""

    def stage(self, text: str) -> None:
        """A new stage begins: one line that says what is done."""

    def note(self, text: str) -> None:
        """Something that the user should know: a guess, a cut, a thing left out."""

    def findings(self, findings: Sequence[Finding]) -> None:
        """What the checks of the data found."""

    def training_starts(self, total_steps: int, done_steps: int) -> None:
        """Training starts, or goes on."""

    def step(self, step: int, tokens_per_second: float) -> None:
        """A step is done."""

    def event(self, event: Event) -> None:
        """A point of the learning curves."""

    def training_ends(self) -> None:
        """Training is over, or was interrupted."""

    def result(self, record: Record, page: TaskPage, folder: str) -> None:
        """The run is measured and saved."""
