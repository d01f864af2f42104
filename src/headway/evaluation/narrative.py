"""What the numbers say, in plain sentences, whatever the task.

A sentence claims only what the intervals allow: two values are called different when the interval of their difference
excludes 0, and "not distinguishable" otherwise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from headway.evaluation.metrics.metric import MetricInfo, in_prose
from headway.evaluation.record import Baseline, Interval, Record, Scores, series

__all__ = [
    "Summary",
    "Verdict",
    "lead_of",
    "name_of_data",
    "origin",
    "public_folder",
    "read_curves",
    "summary",
    "title_of",
    "verdict",
]

_FEW_ROWS = 100
_FALLING = 0.99  # a validation loss below this share of the one before is still falling
_STEADY = 0.5  # and so is one that falls by this share of its mean fall, if all in all it fell below the share above
_RISING = 1.05  # above this share of its minimum it has turned


@dataclass(frozen=True)
class Verdict:
    """The result in words: `level` good (clearly better than every baseline), open, or bad; `short`; the paragraph."""

    level: Literal["good", "open", "bad"]
    short: str
    text: str


@dataclass(frozen=True)
class Summary:
    """The result as a small table of strings: a header, a row for the model and each baseline, and the verdict."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdict: str


def summary(record: Record, infos: Sequence[MetricInfo], reservations: Sequence[str] = ()) -> Summary:
    """Return the results beside the baselines, each as "87.3 % (83.5–91.0 %)", for the terminal.

    Args:
        record: The run.
        infos: The task's metrics, the headline first.
        reservations: What the task adds to the verdict, in sentences.
    """
    contenders = [("this model", record.scores), *((baseline.name, baseline.scores) for baseline in record.baselines)]
    rows = tuple(
        (name, *(info.show_with_range(scores.metrics[info.name]) for info in infos)) for name, scores in contenders
    )
    header = (f"{record.scores.rows:,} {record.scored_on} rows", *(info.label for info in infos))
    return Summary(header, rows, verdict(record, infos, reservations).text)


def verdict(record: Record, infos: Sequence[MetricInfo], reservations: Sequence[str] = ()) -> Verdict:
    """Say how good the model is, compared with the baselines, and how certain that is.

    Args:
        record: The run.
        infos: The task's metrics; the verdict is about the first one.
        reservations: What the task adds, in sentences: "No scored row has …".
    """
    metric = infos[0]
    value, rows = record.scores.metrics[metric.name], f"{record.scores.rows:,}"
    if metric.sentence:
        result = metric.sentence.format(
            value=metric.show(value.value), low_high=metric.show_range(value), rows=rows, split=record.scored_on
        )
    else:
        result = f"On {rows} {record.scored_on} rows the model reaches a {metric.label} of"
        result += f" {metric.show(value.value)} (95\N{NO-BREAK SPACE}% interval {metric.show_range(value)})."
    level, short, comparison = _compare(record, metric)
    return Verdict(level, short, " ".join([result, comparison, *_reservations(record), *reservations]))


def lead_of(scores: Scores, baseline: Baseline, metric: str) -> Interval:
    """Return the model's value minus the baseline's, with an interval.

    It is the paired difference where the baseline has one. Otherwise it is computed from both intervals as if the two
    were independent (Newcombe, Statistics in Medicine 17, 1998, method 10), which is wider than the truth for two
    models that find the same rows hard.
    """
    if metric in baseline.lead:
        return baseline.lead[metric]
    ours, theirs = scores.metrics[metric], baseline.scores.metrics[metric]
    difference = ours.value - theirs.value
    down = math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    up = math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Interval(difference, difference - down, difference + up)


def _compare(record: Record, metric: MetricInfo) -> tuple[Literal["good", "open", "bad"], str, str]:
    if not record.baselines:
        return "open", "No baseline to compare with", "No baseline was scored on these rows."
    leads = [(baseline, _ahead(record.scores, baseline, metric)) for baseline in record.baselines]
    better = [(baseline, lead) for baseline, lead in leads if lead.low > 0]
    worse = [(baseline, lead) for baseline, lead in leads if lead.high < 0]
    same = [(baseline, lead) for baseline, lead in leads if lead.low <= 0 <= lead.high]
    sentences = []
    if better:
        sentences.append(f"That is clearly better than {_listed(better, metric)}.")
    if same:
        sentences.append(
            f"It is not distinguishable from {_listed(same, metric)} on these rows: scoring more rows would tell, and "
            "until then the simpler one may do just as well."
        )
    if worse:
        sentences.append(
            f"It is worse than {_listed(worse, metric)}. Do not use it as it is: look at the data checks and the "
            "learning curves."
        )
    if worse:
        return "bad", f"Worse than {_names(worse)}", " ".join(sentences)
    if same:
        return "open", f"Not distinguishable from {_names(same)}", " ".join(sentences)
    return "good", f"Clearly better than {_names(better)}", " ".join(sentences)


def _ahead(scores: Scores, baseline: Baseline, metric: MetricInfo) -> Interval:
    """Return by how much the model is better than the baseline: for an error, by how much its value is lower."""
    lead = lead_of(scores, baseline, metric.name)
    return lead if metric.higher_is_better else Interval(-lead.value, -lead.high, -lead.low)


def _names(leads: list[tuple[Baseline, Interval]]) -> str:
    return " and ".join(baseline.name for baseline, _ in leads)


def _listed(leads: list[tuple[Baseline, Interval]], metric: MetricInfo) -> str:
    """List baselines with their value and the lead: "majority class (50.7 %; ahead by 31.2 to 42.0 points)"."""
    return " and ".join(
        f"{baseline.name} ({metric.show(baseline.scores.metrics[metric.name].value)}; {_difference(lead, metric)})"
        for baseline, lead in leads
    )


def _difference(lead: Interval, metric: MetricInfo) -> str:
    scale, digits, unit = (100, 1, "\N{NO-BREAK SPACE}points") if metric.percent else (1, metric.decimals, "")
    low, high = scale * lead.low, scale * lead.high
    if low > 0:
        return f"ahead by {low:.{digits}f} to {high:.{digits}f}{unit}"
    if high < 0:
        return f"behind by {-high:.{digits}f} to {-low:.{digits}f}{unit}"
    ends = metric.show_difference(lead.low), metric.show_difference(lead.high)
    if ends[0] == ends[1]:
        return "no difference"
    return f"somewhere between {ends[0]} and {ends[1]}{unit}"


def _reservations(record: Record) -> list[str]:
    """Say what makes the result weaker than it looks."""
    sentences = []
    if record.scored_on == "validation" and record.curves:
        sentences.append(
            "These rows also decided which weights to keep, so the result is slightly optimistic; a separate test set "
            "would give an unbiased one."
        )
    if record.scores.rows < _FEW_ROWS:
        sentences.append(f"With only {record.scores.rows} rows every number here is uncertain.")
    leak = f"leak_train_{record.scored_on}"
    if any(finding.name == leak and finding.severity != "ok" for finding in record.findings):
        sentences.append("Some scored rows were also trained on (see the data checks), which inflates the results.")
    return sentences


def read_curves(record: Record, infos: Sequence[MetricInfo]) -> list[str]:
    """Describe the learning curves: when validation turned, which weights were kept, what was refused."""
    if not record.curves:
        return []
    steps, losses = series(record.curves, "validation_loss")
    sentences = [*_read_validation(record, steps, losses), *_read_kept(record, infos, len(steps))]
    if record.refused_steps:
        many = record.refused_steps > 1
        sentences.append(
            f"{record.refused_steps:,} step{'s' if many else ''} with a loss or gradient that was not finite "
            f"{'were' if many else 'was'} skipped: {'they' if many else 'it'} never changed the weights."
        )
    return sentences


def _read_validation(record: Record, steps: list[float], losses: list[float]) -> list[str]:
    if not steps:
        return ["There was no validation during training, so the curves cannot tell when to stop."]
    if len(steps) == 1:
        return [f"There was one validation, at step {steps[0]:,.0f}, so it shows no trend."]
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if lowest == len(losses) - 1:
        if losses[-1] < _FALLING * losses[-2] or _falls_steadily(losses):
            return [f"Validation loss was still falling at the end ({losses[-1]:.3f}): more epochs may help."]
        if len(losses) == 2:
            return [f"Validation loss hardly moved ({losses[0]:.3f} to {losses[1]:.3f}); two points show no trend."]
        return [f"Validation loss had levelled off by the end, at {losses[-1]:.3f}."]
    if losses[-1] < _RISING * losses[lowest]:
        return [
            f"Validation loss was lowest at step {steps[lowest]:,.0f} ({losses[lowest]:.3f}) and stayed level "
            "afterwards."
        ]
    turned = f"Validation loss turned at step {steps[lowest]:,.0f} and rose from {losses[lowest]:.3f} "
    turned += f"to {losses[-1]:.3f}"
    before, after = _training_loss_around(record, steps[lowest])
    if after < before:
        return [
            f"{turned}, while training loss kept falling ({before:.3f} to {after:.3f}): from then on the model "
            "memorised its training examples (overfitting)."
        ]
    return [f"{turned}."]


def _falls_steadily(losses: list[float]) -> bool:
    mean_fall = (losses[0] - losses[-1]) / (len(losses) - 1)
    return losses[-1] < _FALLING * losses[0] and losses[-2] - losses[-1] >= _STEADY * mean_fall


def _training_loss_around(record: Record, turn: float) -> tuple[float, float]:
    """Return the mean training loss of the fifth of the points that leads up to a step, and of the last fifth."""
    steps, losses = series(record.curves, "train_loss")
    early = [loss for step, loss in zip(steps, losses, strict=True) if step <= turn]
    size = max(1, len(losses) // 5)
    if not early:
        return math.nan, math.nan
    before, after = early[-size:], losses[-size:]
    return sum(before) / len(before), sum(after) / len(after)


def _read_kept(record: Record, infos: Sequence[MetricInfo], validations: int) -> list[str]:
    watched = in_prose(record.metric, infos)
    sentences = []
    if record.stopped_early:
        sentences.append(
            f"Training stopped at step {record.last_step:,} of {record.total_steps:,}, because the {watched} had "
            f"stopped improving."
        )
    elif record.last_step < record.total_steps:
        sentences.append(f"Training ended at step {record.last_step:,} of {record.total_steps:,}.")
    if validations and record.best_step < record.last_step:
        sentences.append(f"The weights of step {record.best_step:,}, where the {watched} was best, were restored.")
    elif validations > 1:
        sentences.append(f"The last weights are also the best by {watched}, and were kept.")
    return sentences


def title_of(record: Record) -> str:
    """Return the task's name as a title: "Text classification"."""
    return record.task.replace("_", " ").capitalize()


def origin(record: Record) -> str:
    """Return what the model was before; "" where that is not known."""
    size = record.base_model.removeprefix("scratch:")
    if size != record.base_model:
        return f"trained from scratch ({size})"
    return record.base_model and f"fine-tuned from {record.base_model}"


def public_folder(folder: str) -> str:
    """Return a folder as a published card may show it: as it was written, but of an absolute path the last part."""
    if PurePath(folder).is_absolute() or "\\" in folder:
        return PurePath(folder.replace("\\", "/")).name or folder
    return folder


def name_of_data(record: Record) -> str:
    """Return what the data is called in a title: the training file's name, or whatever else there is."""
    source = record.data.get("train") or next(iter(record.data.values()), "")
    return source.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] or "data"
