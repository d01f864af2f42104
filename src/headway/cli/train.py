"""`headway train`."""

import json
import re
from pathlib import Path
from typing import Any

from headway.console import console_reporter
from headway.errors import SettingsError, UserError, reason_of
from headway.settings import load_settings_file, parse_assignments, resolve
from headway.tasks.classification.run import train_classifier

__all__ = ["train_command"]

_REQUEST_KEYS = ("data", "task", "model", "validation", "test")
_TASKS = ("classification",)


def train_command(
    request: dict[str, str | None],
    *,
    output: Path | None,
    config: Path | None,
    assignments: list[str],
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Put together what is asked for, from the command line over the configuration file over the resumed run."""
    known: dict[str, Any] = {}
    if resume:
        if output is None:
            raise UserError("--resume needs the folder of the interrupted run: --output FOLDER.")
        run = output / "headway" / "run.json"
        if not run.exists():
            raise UserError(f"{output}: there is no run to resume here. Leave --resume out to start one.")
        known |= _read_run(run)
    if config is not None:
        known |= _read_run(config) if config.suffix == ".json" else load_settings_file(config)
    known |= {key: value for key, value in request.items() if value is not None} | parse_assignments(assignments)
    wanted = {key: known.pop(key, None) for key in _REQUEST_KEYS}
    known.pop("fingerprint", None)
    if wanted["data"] is None:
        raise UserError("Which data? For example: headway train reviews.csv, or headway train sample:reviews.")
    if wanted["task"] not in (None, *_TASKS):
        raise SettingsError(f"task = {wanted['task']!r}: this version trains {', '.join(_TASKS)}.")
    train_classifier(
        wanted["data"],
        model=wanted["model"] or "minilm",
        output=output or default_output(wanted["data"]),
        validation=wanted["validation"],
        test=wanted["test"],
        settings=resolve(known),
        resume=resume,
        overwrite=overwrite,
        reporter=None if quiet else console_reporter(),
    )


def default_output(data: str) -> Path:
    """runs/NAME, after the file's name."""
    stem = Path(data.rpartition(":")[2]).name.split(".")[0]
    return Path("runs") / (re.sub(r"[^\w.-]+", "-", stem) or "run")


def _read_run(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: could not be read: {reason_of(error)}. Give the headway/run.json of an earlier run."
        raise UserError(message) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold a JSON object.")
    return content
