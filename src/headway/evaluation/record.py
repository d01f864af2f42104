"""The run record: everything that is known about one run, as plain data.

It is saved as `headway/record.json` in the model folder, and the report, the model card and the terminal's table are
pure functions of it: whoever has the record can make them again, without the data and without the model.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import AllowInfNan, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from headway.errors import HeadwayError
from headway.examples.checks.label_checks import Finding

__all__ = ["Baseline", "Bin", "ClassScore", "Interval", "Mistake", "Record", "Scores"]

# JSON knows no NaN. A curve may hold one (a step that was refused because its loss was not finite): it is written null.
CurveValue = Annotated[float, AllowInfNan(True), BeforeValidator(lambda value: math.nan if value is None else value)]


@dataclass(frozen=True)
class Interval:
    """A figure with its doubt: the value on all rows, and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    """How well one class (or one label of several) is found.

    Attributes:
        support: Scored rows whose truth is this class. With 0 nothing is known: the values are 0, the intervals 0 to 1.
    """

    name: str
    precision: Interval
    recall: Interval
    f1: Interval
    support: int


@dataclass(frozen=True)
class Bin:
    """One bar of the reliability diagram: mean confidence and accuracy of the `count` predictions that fall in it."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Scores:
    """What one set of predictions is worth.

    Attributes:
        rows: How many rows were scored.
        metrics: accuracy, macro_f1, mcc, ece; for multi-label micro_f1, macro_f1, mean_average_precision,
            subset_accuracy. The first one is the headline.
        confusion: Counts, rows = truth, columns = predicted, in the order of the label names; () for multi-label.
        reliability: The bins that hold predictions, by rising confidence; () for multi-label.
    """

    rows: int
    metrics: dict[str, Interval]
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]


@dataclass(frozen=True)
class Baseline:
    """The simple thing a person would do instead, scored on the same rows.

    Attributes:
        lead: For each metric, the model's value minus the baseline's, with the interval of that *paired* difference
            (both are scored on the same resampled rows). Empty when the model's own predictions were not at hand.
    """

    name: str
    description: str
    scores: Scores
    lead: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the model was sure of; `where` names file and row."""

    where: str
    text: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Record:
    """One run, from the file of examples to the measured model.

    A record of an evaluation alone leaves what concerns the training empty: `curves=()`, steps 0, `settings={}`; the
    report then leaves those sections out.

    Attributes:
        created: ISO 8601 time.
        folder: The scored model's folder (or its name on the hub), as the user wrote it.
        base_model: What it was trained from, as the user wrote it; "" in an evaluation, which does not know.
        data: What the user wrote, by split: {"train": "reviews.csv", ...}.
        rows: Row counts by split (train, validation, test).
        split: How the split was made, in one sentence.
        label_counts: Rows per label, by split, in the order of `label_names`.
        curves: One dict an event, in order. A training event holds step, epoch, train_loss, learning_rate,
            gradient_norm, tokens_per_second; a validation event step, epoch, validation_loss and the metrics.
        metric: The figure that early stopping watched: "accuracy", "validation_loss", ...
        best_step: The step whose weights were kept; `last_step` the last one done; `total_steps` the planned ones.
        refused_steps: Steps whose loss or gradient was not finite, and which were therefore not applied.
        scored_on: The split that `scores` speaks of, "test" or "validation".
        mistakes: Wrong answers, the most confident first.
        speed: training_seconds, training_tokens, training_tokens_per_second, prediction_texts_per_second,
            peak_memory_bytes.
        model: The architecture in figures: family, parameters, blocks, d_model, ...
        settings: The resolved settings.
        environment: python, torch, device, threads, ...
    """

    headway_version: str
    created: str
    task: str
    folder: str
    base_model: str
    data: dict[str, str]
    rows: dict[str, int]
    split: str
    label_names: tuple[str, ...]
    label_counts: dict[str, tuple[int, ...]]
    multi_label: bool
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
    mistakes: tuple[Mistake, ...]
    speed: dict[str, float]
    model: dict[str, str | int | float | bool]
    settings: dict[str, object]
    environment: dict[str, str]

    def to_json(self) -> str:
        """Return the record as valid JSON.

        A non-finite value in `curves` becomes null (and NaN again when read). Anywhere else it is refused: there it
        would be a figure that somebody believes.

        Raises:
            HeadwayError: A figure outside the curves is not finite; the message names it.
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
        try:
            return _adapter().validate_json(f"[{text}]")[0]
        except ValidationError as error:
            problems = "; ".join(_explain(dict(problem)) for problem in error.errors(include_url=False))
            raise HeadwayError(
                f"The run record cannot be read: {problems}. It is damaged or from another version of Headway; "
                "`headway evaluate` measures the model anew."
            ) from None


@cache
def _adapter() -> TypeAdapter[tuple[Record]]:
    # pydantic takes a configuration for standard dataclasses only from what holds them, hence the tuple of one.
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return TypeAdapter(tuple[Record], config=config)


def _explain(problem: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"][1:])
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
