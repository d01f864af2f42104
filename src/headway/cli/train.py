"""`headway train`."""

import json
import re
from pathlib import Path
from typing import Any

from headway.console import console_reporter
from headway.errors import UserError, reason_of
from headway.settings import load_settings_file, resolve
from headway.tasks.run import Request, train

__all__ = ["train_command"]

_REQUEST_KEYS = ("data", "task", "model", "validation", "test")


def train_command(
    request: dict[str, Any],
    *,
    output: Path | None,
    config: Path | None,
    assignments: dict[str, Any],
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Put together what is asked for: the command line over the configuration file over the resumed run."""
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
    known |= {key: value for key, value in request.items() if value} | assignments
    wanted = {key: known.pop(key, None) for key in _REQUEST_KEYS}
    known.pop("fingerprint", None)
    data = wanted.pop("data")
    if not data:
        raise UserError("Which data? For example: headway train reviews.csv, or headway train sample:reviews.")
    sources = [data] if isinstance(data, str) else data
    first = sources[0] if len(sources) == 1 else sources
    train(
        Request(data=first, output=output or default_output(sources[0]), **wanted),
        resolve(known),
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
        raise UserError(f"{path}: should be a JSON object.")
    return content
