"""The model folder: what `transformers` reads on top, Headway's own record in the subfolder `headway/`."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headway.errors import CheckpointError, DataError, SettingsError, UserError, reason_of
from headway.files import remove_leftovers, write_atomically
from headway.training.state import StateFolder

__all__ = ["Request", "RunFolder"]

Request = dict[str, Any]
"""What a run was asked for: data, model and settings, as JSON can hold them."""


class RunFolder:
    """Where everything of a run lies.

    ====================  =========================================================================
    config.json …         the model, as `transformers` reads it, and its card `README.md`
    headway/run.json      what was asked for: `headway train --config` with it runs the same again
    headway/task.json     what prediction must know: the task, the columns, the longest sequence
    headway/curves.jsonl  the learning curves; also as curves.png and, if asked for, TensorBoard events
    headway/record.json   everything measured; report.html shows it
    headway/state/        what `--resume` continues from, while training is not done
    ====================  =========================================================================

    A folder counts as finished from the moment in which `record.json` is there beside `config.json`. `open` takes both
    away; then the state comes and goes on changing, then the model (weights, then `config.json`), then the report, and
    `finish` writes the record and removes the state. A run that is killed anywhere on this way goes on by `--resume`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = self.folder / "config.json"
        self.own = self.folder / "headway"
        self.run = self.own / "run.json"
        self.task = self.own / "task.json"
        self.curves = self.own / "curves.jsonl"
        self.curves_image = self.own / "curves.png"
        self.tensorboard = self.own / "tensorboard"
        self.record = self.own / "record.json"
        self.report = self.own / "report.html"
        self.card = self.folder / "README.md"
        self.states = StateFolder(self.own / "state")

    def is_finished(self) -> bool:
        """Whether a run ended here with a measured model."""
        return self.record.is_file() and self.config.is_file()

    def check(self, request: Request, *, resume: bool, overwrite: bool) -> None:
        """Make sure that a run may use the folder, before any work is done.

        Args:
            request: What is asked for: data, model and settings.
            resume: Go on with the run that was interrupted here.
            overwrite: Whatever is here may be replaced.

        Raises:
            UserError: A model or an interrupted run is here already, the folder is that of the model to start from,
                there is nothing to resume, or nothing can be written here.
            SettingsError: The interrupted run was asked for something else.
        """
        if resume:
            self._check_same(request)
            return
        self._check_not_the_source(request)
        if not overwrite:
            self._check_free()
        self._check_writable()

    def open(self, request: Request, *, resume: bool) -> None:
        """Make the folder ready: forget an earlier run and note down what is asked for, or, resuming, compare with it.

        From here on a model that was in the folder is no longer taken for the run's own.

        Raises:
            SettingsError: The interrupted run was asked for something else.
        """
        if resume:
            self._check_same(request)
        self.withdraw()
        self.config.unlink(missing_ok=True)
        for place in (self.folder, self.own, self.states.folder):
            remove_leftovers(place)
        if resume:
            return
        self.states.remove()
        earlier = (self.card, self.curves, self.report, self.curves_image, *self.tensorboard.glob("events.*"))
        for file in earlier:
            file.unlink(missing_ok=True)
        write_atomically(self.run, json.dumps(request, indent=2) + "\n")

    def withdraw(self) -> None:
        """Make the folder count as unfinished, before its model is replaced."""
        self.record.unlink(missing_ok=True)

    def finish(self, record: str) -> None:
        """Write the record, after everything else: from now on the folder counts as finished, and needs no state.

        Args:
            record: The run record as JSON.
        """
        write_atomically(self.record, record)
        self.states.remove()

    def read_json(self, file: Path) -> dict[str, Any]:
        """Read one of the folder's own records.

        Raises:
            CheckpointError: It is not valid JSON.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: could not be read: {reason_of(error)}.") from error
        if not isinstance(content, dict):
            raise CheckpointError(f"{file}: should hold a JSON object.")
        return content

    def _check_free(self) -> None:
        if self.states.exists() and not self.is_finished():
            raise UserError(
                f"{self.folder}: an interrupted run is here. Go on by --resume, or start again with --overwrite."
            )
        if self.config.exists():
            raise UserError(f"{self.folder}: a model is here already. Choose another --output, or use --overwrite.")
        if self.folder.is_dir() and not self.own.exists() and any(self.folder.iterdir()):
            raise UserError(f"{self.folder}: the folder is not empty. Choose another --output, or use --overwrite.")

    def _check_not_the_source(self, request: Request) -> None:
        """A run that replaces the model that it starts from could not be resumed, and not be run again."""
        model = request.get("model")
        if model and self.config.exists() and os.path.realpath(model) == os.path.realpath(self.folder):
            raise UserError(
                f"{self.folder}: the model to start from is in this folder, and the run would replace it. "
                "Choose another --output."
            )

    def _check_writable(self) -> None:
        existing = next(place for place in (self.folder, *self.folder.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise UserError(f"{existing}: is a file. Choose a folder with --output.")
        try:
            with TemporaryDirectory(dir=existing, prefix=".headway-"):
                pass
        except OSError as error:
            reason = reason_of(error)
            raise UserError(f"{existing}: nothing can be written here ({reason}). Choose another --output.") from error

    def _check_same(self, request: Request) -> None:
        if not self.run.is_file():
            raise UserError(f"{self.folder}: there is no run to resume here. Leave --resume out to start one.")
        before = self.read_json(self.run)
        if "fingerprint" not in request:  # the data is not read yet
            before.pop("fingerprint", None)
        different = [key for key in {**before, **request} if before.get(key) != request.get(key)]
        if "fingerprint" in different:
            raise DataError(
                f"{request['data']}: the rows are not those that the interrupted run in {self.folder} was training on. "
                "Put the old file back, or start anew with --overwrite."
            )
        if different:
            changes = ", ".join(f"{key} was {_asked(before, key)}, now {_asked(request, key)}" for key in different)
            raise SettingsError(
                f"{self.folder}: the interrupted run was asked for something else ({changes}). "
                "Ask for the same again, or start anew with --overwrite."
            )


def _asked(request: Request, key: str) -> str:
    return repr(request[key]) if key in request else "not set"
