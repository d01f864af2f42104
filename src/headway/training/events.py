"""What training tells while it runs, and who listens: a JSONL file, TensorBoard, a progress bar."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headway.errors import HeadwayError
from headway.files import write_atomically

__all__ = ["CurveFile", "Event", "Listener", "TensorBoardListener"]

Event = dict[str, float]
"""One point of the learning curves: `step`, `epoch` and either training figures or validation figures.

Training: train_loss, learning_rate, gradient_norm, tokens (so far), tokens_per_second. Validation: validation_loss and
metrics.
A step that was refused for a non-finite loss or gradient: refused = 1.
"""

Listener = Callable[[Event], None]


class CurveFile:
    """The learning curves as JSON lines: appended as training goes, cut back to the state's step on resuming."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: Event) -> None:
        """Append an event.

        Raises:
            HeadwayError: It cannot be written, the disk being full for example.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")
        except OSError as error:
            raise HeadwayError(
                f"{self.path}: could not be written: {error.strerror}. The state of the last save is intact: make room "
                "and go on with --resume."
            ) from error

    def truncate_after(self, step: int) -> None:
        """Forget what came after `step`: the resumed run will say it again."""
        kept = [json.dumps(event) + "\n" for event in self.read() if event["step"] <= step]
        write_atomically(self.path, "".join(kept))

    def read(self) -> Iterator[Event]:
        """All events so far; a last line that a crash cut short is left out."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


class TensorBoardListener:
    """The same events for `tensorboard --logdir`."""

    def __init__(self, folder: Path, start_step: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=start_step + 1 if start_step else None)

    def __call__(self, event: Event) -> None:
        """Write an event's figures as scalars."""
        for name, value in event.items():
            if name not in ("step", "epoch"):
                side = "validation" if "validation_loss" in event else "training"
                self._writer.add_scalar(f"{side}/{name.removeprefix('validation_')}", value, int(event["step"]))

    def close(self) -> None:
        """Flush to disk."""
        self._writer.close()
