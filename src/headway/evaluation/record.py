"""The run record: everything that is known about one run, as plain data.

It is saved as `headway/record.json` in the model folder, and the report, the model card and the terminal's table are
pure functions of it: whoever has the record can make them again, without the data or the model.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AllowInfNan, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from headway.errors import HeadwayError
from headway.examples.checks.findings import Finding

__all__ = ["Baseline", "Interval", "Record", "Scores", "pack_details", "series", "unpack_details"]

DetailsT = TypeVar("DetailsT")

# JSON knows no NaN. A curve may hold one (a step that was refused because its loss was not finite): it is written null.
CurveValue = Annotated[float, AllowInfNan(True), BeforeValidator(lambda value: math.nan if value is None else value)]


@dataclass(frozen=True)
class Interval:
    """A value with its uncertainty: on all rows, and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """How good one set of answers is.

    Attributes:
        rows: How many rows were scored.
        metrics: Each metric with its interval; the first one is the headline.
        signatures: For metrics with several implementations, which one this is and with which options.
    """

    rows: int
    metrics: dict[str, Interval]
    signatures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """The simple alternative to training a transformer, scored on the same rows.

    Attributes:
        lead: For each metric, the model's value minus the baseline's, with the interval of that *paired* difference
            (both are scored on the same resampled rows). Empty if the model's own answers were not available.
    """

    name: str
    description: str
    scores: Scores
    lead: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One run, from the file of examples to the measured model: what every task has, and the task's own details.

    The record of an evaluation leaves what concerns training empty: `curves=()`, steps 0, `settings={}`; the report
    then omits those sections.

    Attributes:
        created: ISO 8601 time.
        task: The task's name: "text_classification".
        folder: The scored model's folder (or its name on the hub), as the user wrote it.
        base_model: What it was trained from, as the user wrote it; "" in an evaluation, which does not know.
        data: What the user wrote, by split: {"train": "reviews.csv", ...}.
        rows: Row counts by split (train, validation, test).
        split: How the split was made, in one sentence.
        evaluation: Whether some rows were set aside, or each fold was scored by a model trained on the others.
        folds: How many folds there are; 1 for a holdout.
        findings: What the checks of the data found.
        curves: One dict per event, in order. A training event has step, epoch, train_loss, learning_rate,
            gradient_norm, tokens_per_second; a validation event step, epoch, validation_loss and the metrics.
        metric: What early stopping watched: "accuracy", "validation_loss", ...
        best_step: The step whose weights were kept; `last_step` the last one done; `total_steps` the planned ones.
        refused_steps: Steps whose loss or gradient was not finite, and which were therefore not applied.
        scored_on: The split that `scores` belongs to, "test" or "validation".
        recipe_notes: What was chosen for the user (settings left at `auto`) and why, one sentence each.
        speed: training_seconds, training_tokens, training_tokens_per_second, prediction_rows_per_second,
            peak_memory_bytes.
        model: The architecture in numbers: family, parameters, blocks, d_model, ...
        settings: The resolved settings.
        environment: python, torch, device, threads, ...
        details: What only this task has, as JSON: see `pack_details`.
    """

    headway_version: str
    created: str
    task: str
    folder: str
    base_model: str
    data: dict[str, str]
    rows: dict[str, int]
    split: str
    findings: tuple[Finding, ...]
    curves: tuple[dict[str, CurveValue], ...]
    metric: str
    best_step: int
    last_step: int
    total_steps: int
    stopped_early: bool
    refused_steps: int
    scores: Scores
    scored_on: str
    baselines: tuple[Baseline, ...]
    speed: dict[str, float]
    model: dict[str, str | int | float | bool]
    settings: dict[str, object]
    environment: dict[str, str]
    evaluation: Literal["holdout", "crossvalidation"] = "holdout"
    folds: int = 1
    recipe_notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the record as valid JSON.

        A non-finite value in `curves` becomes null (and NaN again when read). Anywhere else it is refused: there it
        would be a result that somebody believes.

        Raises:
            HeadwayError: A number outside the curves is not finite; the message names it.
        """
        plain = asdict(self)
        plain["curves"] = [
            {key: value if math.isfinite(value) else None for key, value in event.items()} for event in self.curves
        ]
        broken = list(_non_finite(plain, ""))
        if broken:
            raise HeadwayError(
                f"The run record was not written: {', '.join(broken)} is not a finite number. "
                "Please report this as a bug of Headway, with the settings of the run."
            )
        return json.dumps(plain, allow_nan=False, ensure_ascii=False, indent=1, default=_plain) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Read what `to_json` wrote.

        Raises:
            HeadwayError: Not JSON, or a key is missing, unknown or of the wrong type; all of them are named.
        """
        record: Record = _read(cls, text)
        return record


def pack_details(details: object) -> dict[str, Any]:
    """Turn a task's details, a frozen dataclass, into what `Record.details` and JSON hold."""
    return TypeAdapter(type(details)).dump_python(details, mode="json")


def unpack_details(kind: type[DetailsT], record: Record) -> DetailsT:
    """Return a record's details as the dataclass that `pack_details` took.

    Raises:
        HeadwayError: They do not fit `kind`: the record is damaged or of another task.
    """
    details: DetailsT = _read(kind, json.dumps(record.details), above="details.")
    return details


def series(curves: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Return the steps and the finite values of one key of the curves, in order."""
    points = [(event["step"], event[key]) for event in curves if key in event and math.isfinite(event[key])]
    return [step for step, _ in points], [value for _, value in points]


def _read(kind: Any, text: str, above: str = "") -> Any:
    """Return the dataclass `kind` from JSON; `above` stands before the keys that an error names."""
    try:
        return _adapter(kind).validate_json(f"[{text}]")[0]
    except ValidationError as error:
        problems = "; ".join(_explain(dict(problem), above) for problem in error.errors(include_url=False))
        raise HeadwayError(
            f"The run record cannot be read: {problems}. It is damaged or from another version of Headway; "
            "`headway evaluate` scores the model again."
        ) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[tuple[Any]]:
    # pydantic takes a configuration for standard dataclasses only from what holds them, hence the tuple of one.
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return TypeAdapter(tuple[kind], config=config)


def _explain(problem: dict[str, Any], above: str) -> str:
    where = above + ".".join(str(part) for part in problem["loc"][1:])
    messages = {"missing": "is missing", "unexpected_keyword_argument": "is unknown"}
    message = messages.get(problem["type"], problem["msg"])
    return f"{where} {message}" if where else message


def _non_finite(value: object, path: str) -> Iterator[str]:
    """Yield the dotted path of every NaN and infinity inside nested dicts and lists."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _non_finite(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _non_finite(inner, f"{path}.{position}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path


def _plain(value: object) -> object:
    """Turn what JSON does not know (numpy scalars, paths) into what it does."""
    return value.item() if hasattr(value, "item") else str(value)
