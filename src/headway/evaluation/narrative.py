"""What the figures say, in plain sentences.

A sentence claims only what the intervals allow: two figures are called different when the interval of their
difference leaves out 0, and "not distinguishable" otherwise.
"""

import math
from dataclasses import dataclass
from typing import Literal

from headway.evaluation.metrics.names import METRICS, Metric, in_prose
from headway.evaluation.record import Baseline, Interval, Record, Scores
from headway.evaluation.report.charts import series

__all__ = ["Verdict", "headline", "lead_of", "name_of_data", "read_curves", "read_reliability", "verdict"]

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


def verdict(record: Record) -> Verdict:
    """Say how good the model is, beside the baselines and with the doubt."""
    name = headline(record.scores)
    metric, value = METRICS[name], record.scores.metrics[name]
    if name == "accuracy":
        result = f"The model labels {metric.show(value.value)} of the {record.scores.rows:,} {record.scored_on} rows"
        result += f" correctly; on new rows of the same kind, expect {metric.show_range(value)}."
    else:
        result = f"On {record.scores.rows:,} {record.scored_on} rows the model reaches a {metric.label} of"
        result += f" {metric.show(value.value)} (95\N{NO-BREAK SPACE}% interval {metric.show_range(value)})."
    level, short, comparison = _compare(record, name)
    return Verdict(level, short, " ".join(part for part in (result, comparison, *_reservations(record)) if part))


def headline(scores: Scores) -> str:
    """Return the name of the figure that the verdict speaks of: the first one."""
    return next(iter(scores.metrics))


def lead_of(scores: Scores, baseline: Baseline, metric: str) -> Interval:
    """Return by how much the model is ahead of the baseline, with an interval.

    It is the paired difference where the baseline has one. Otherwise it is put together from both intervals as if the
    two were independent (Newcombe, Statistics in Medicine 17, 1998, method 10), which is wider than the truth for two
    models that find the same rows hard.
    """
    if metric in baseline.lead:
        return baseline.lead[metric]
    ours, theirs = scores.metrics[metric], baseline.scores.metrics[metric]
    difference = ours.value - theirs.value
    down = math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    up = math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Interval(difference, difference - down, difference + up)


def _compare(record: Record, name: str) -> tuple[Literal["good", "open", "bad"], str, str]:
    if not record.baselines:
        return "open", "No baseline to compare with", "No baseline was scored on these rows."
    leads = [(baseline, lead_of(record.scores, baseline, name)) for baseline in record.baselines]
    better = [(baseline, lead) for baseline, lead in leads if lead.low > 0]
    worse = [(baseline, lead) for baseline, lead in leads if lead.high < 0]
    same = [(baseline, lead) for baseline, lead in leads if lead.low <= 0 <= lead.high]
    metric = METRICS[name]
    sentences = []
    if better:
        sentences.append(f"That is clearly better than {_listed(better, metric)}.")
    if same:
        sentences.append(
            f"It is not distinguishable from {_listed(same, metric)} on these rows: more rows to score on would tell, "
            "and until then the simpler one may do as well."
        )
    if worse:
        sentences.append(
            f"It is worse than {_listed(worse, metric)}. Do not use it as it is: look at the data checks and at the "
            "learning curves."
        )
    if worse:
        return "bad", f"Worse than {_names(worse)}", " ".join(sentences)
    if same:
        return "open", f"Not distinguishable from {_names(same)}", " ".join(sentences)
    return "good", f"Clearly better than {_names(better)}", " ".join(sentences)


def _names(leads: list[tuple[Baseline, Interval]]) -> str:
    return " and ".join(baseline.name for baseline, _ in leads)


def _listed(leads: list[tuple[Baseline, Interval]], metric: Metric) -> str:
    """List baselines with their figure and the lead: "majority class (50.7 %; ahead by 31.2 to 42.0 points)"."""
    return " and ".join(
        f"{baseline.name} ({metric.show(baseline.scores.metrics[headline(baseline.scores)].value)}; "
        f"{_difference(lead, metric)})"
        for baseline, lead in leads
    )


def _difference(lead: Interval, metric: Metric) -> str:
    scale, digits, unit = (100, 1, "\N{NO-BREAK SPACE}points") if metric.percent else (1, 3, "")
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
    """Say what makes the figure weaker than it looks."""
    scores, sentences = record.scores, []
    if record.scored_on == "validation" and record.curves:
        sentences.append(
            "These rows also decided which weights to keep, so the figure is a little too kind; "
            "rows set aside for a test would give a clean one."
        )
    if scores.rows < _FEW_ROWS:
        sentences.append(f"With only {scores.rows} rows every figure here is uncertain.")
    missing = [score.name for score in scores.classes if not score.support]
    if missing:
        names = ", ".join(f"“{name}”" for name in missing[:5]) + (" …" if len(missing) > 5 else "")
        sentences.append(f"No scored row has {names}: nothing is known about {'it' if len(missing) == 1 else 'them'}.")
    leak = f"leak_train_{record.scored_on}"
    if any(finding.name == leak and finding.severity != "ok" for finding in record.findings):
        sentences.append("Some scored rows were also learned from (see the data checks), which flatters the figures.")
    return sentences


def read_curves(record: Record) -> list[str]:
    """Read the learning curves: when validation turned, which weights were kept, what was refused."""
    if not record.curves:
        return []
    steps, losses = series(record.curves, "validation_loss")
    sentences = [*_read_validation(record, steps, losses), *_read_kept(record, len(steps))]
    if record.refused_steps:
        many = record.refused_steps > 1
        sentences.append(
            f"{record.refused_steps:,} step{'s' if many else ''} with a loss or gradient that was not finite "
            f"{'were' if many else 'was'} refused: {'they' if many else 'it'} never reached the weights."
        )
    return sentences


def _read_validation(record: Record, steps: list[float], losses: list[float]) -> list[str]:
    if not steps:
        return ["Nothing was validated during the training, so the curves cannot tell when to stop."]
    if len(steps) == 1:
        return [f"Validation was measured once, at step {steps[0]:,.0f}, so it shows no trend."]
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if lowest == len(losses) - 1:
        if losses[-1] < _FALLING * losses[-2] or _falls_steadily(losses):
            return [f"Validation loss was still falling at the end ({losses[-1]:.3f}): more epochs may help."]
        if len(losses) == 2:
            return [f"Validation loss hardly moved ({losses[0]:.3f} to {losses[1]:.3f}); two points show no trend."]
        return [f"Validation loss had levelled off by the end, at {losses[-1]:.3f}."]
    if losses[-1] < _RISING * losses[lowest]:
        return [
            f"Validation loss was lowest at step {steps[lowest]:,.0f} ({losses[lowest]:.3f}) and stayed level after it."
        ]
    turned = f"Validation loss turned at step {steps[lowest]:,.0f} and rose from {losses[lowest]:.3f} "
    turned += f"to {losses[-1]:.3f}"
    before, after = _training_loss_around(record, steps[lowest])
    if after < before:
        return [
            f"{turned}, while training loss went on falling ({before:.3f} to {after:.3f}): from there on the model "
            "learned its examples by heart (overfitting)."
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


def _read_kept(record: Record, validations: int) -> list[str]:
    watched = in_prose(record.metric)
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


def read_reliability(scores: Scores) -> str:
    """Say whether the model's confidence can be taken at its word."""
    if not scores.reliability:
        return ""
    sure = sum(bar.confidence * bar.count for bar in scores.reliability) / scores.rows
    accuracy = scores.metrics["accuracy"]
    gap = f"on average it is {100 * sure:.0f} % sure and {100 * accuracy.value:.0f} % right"
    if sure > accuracy.high:
        sentence = f"The model is overconfident: {gap}."
    elif sure < accuracy.low:
        sentence = f"The model is too cautious: {gap}."
    else:
        sentence = f"On the whole its confidence fits: {gap}, a difference that chance explains."
    top = scores.reliability[-1]
    if top.confidence > 14 / 15 and 0 < top.count < scores.rows:
        sentence += (
            f" The {100 * top.count / scores.rows:.0f} % of the rows where it is surest (above 93 %) "
            f"are right {100 * top.accuracy:.3g} % of the time."
        )
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


def name_of_data(record: Record) -> str:
    """Return what the data is called in a title: the training file's name, or whatever else there is."""
    source = record.data.get("train") or next(iter(record.data.values()), "")
    return source.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] or "data"
